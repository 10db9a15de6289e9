"""A model card (Mitchell et al., Model Cards for Model Reporting, FAT* 2019, arXiv:1810.03993)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.export import terms
from uda_seg.images.pictures import colour_of
from uda_seg.report.comparison import PROTOCOLS


@dataclass
class Written:
    """A file beside the card."""

    name: str
    format: str
    """A key of the command's `formats`."""
    version: str
    """Of the format and of what wrote it."""
    bytes: int
    sha256: str
    checks: list[str] = field(default_factory=list)
    """How it compares with the network, a line a size of images."""


@dataclass
class Card:
    """
    Attributes:
        run: the config of the run.
        classes: their names, by id.
        checkpoint: the file's name, without its folders.
        step: which it was trained to.
        parameters: weights in the exported network.
        supervised_by: "source", or "target" for an oracle.
        scores: loaded, of this checkpoint, or None.
        selection: which of them.
        why_unscored: what the card says where there are none.
        answer: "logits" or "classes".
        files: beside the card.
        tolerance: of the checks.
        versions: of packages.
        smallest: image side.
    """

    run: Mapping[str, Any]
    classes: Sequence[str]
    checkpoint: str
    step: int
    parameters: int
    supervised_by: str
    scores: Mapping[str, Any] | None
    selection: str | None
    why_unscored: str
    answer: str
    files: Sequence[Written]
    tolerance: float
    versions: Mapping[str, Any]
    smallest: int

    def text(self) -> str:
        """Markdown."""
        parts = (
            self._head(), self._making(), self._results(), self._input_output(), self._use(),
            self._checks(), self._limits(), self._licences(),
        )  # fmt: skip
        return "\n\n".join(parts) + "\n"

    def _head(self) -> str:
        run = self.run
        return (
            f"# {run['method']['name']}: {run['source']['name']} to {run['target']['name']}, "
            f"{run['backbone']['name']}\n\n"
            "A network that gives every pixel of a street scene a class, exported from a run of "
            f"uda_seg {self.versions['uda_seg']}."
        )

    def _making(self) -> str:
        run, method = self.run, self.run["method"]
        steps = run.get("trainer", {}).get("steps")
        levels = f", levels {method['levels']}" if "levels" in method else ""
        batch = run.get("trainer", {}).get("batch_size", "unknown")
        labels = self.supervised_by
        unused = "" if labels == "source" else " (an oracle: the source's labels were not used)"
        rows = {
            "method": f"`{method['name']}`{levels}; weights of its losses: {_losses(method)}",
            "labels from": f"the {labels}{unused}",
            "source": _domain(run["source"]),
            "target": _domain(run["target"]) + ("; its labels were not used" if not unused else ""),
            "network": f"`{run['backbone']['name']}`, {self.parameters:,} weights",
            "first weights": terms.of_first_weights(run["backbone"]) + self._initial(),
            "trained": f"{self.step} of {steps or 'unknown'} steps, {batch} images of each domain "
            f"a step, seed {run['seed']}; {_optimizer(run['backbone'])}",
            "batch norm": f"`{run['backbone']['batch_norm']}` in training, fixed statistics here",
            "checkpoint": f"`{self.checkpoint}`",
        }
        return "## How it was made\n\n" + _table(["", ""], [list(row) for row in rows.items()])

    def _initial(self) -> str:
        initial = self.run.get("initial")
        if not initial:
            return ""
        return f"; then another run's network ({'/'.join(str(initial).split('/')[-2:])})"

    def _results(self) -> str:
        iou: Mapping[str, Any] = {}
        if self.scores is None:
            said = f"Not scored: {self.why_unscored}"
        else:
            scores, name = self.scores, self.selection or "last"
            chosen = scores["selections"][name]
            iou = chosen["iou"]
            protocols = {"mIoU": chosen["miou"], **chosen["protocols"]}
            figures = ", ".join(
                f"{PROTOCOLS.get(k, k)} {_percent(v)}" for k, v in protocols.items()
            )
            oracle = (
                " This checkpoint was chosen on the target's labels: an oracle's choice, not what "
                "an unsupervised method reaches by itself."
                if name == "oracle_best"
                else ""
            )
            caveat = f" The mIoU: {chosen['caveat']}." if chosen["caveat"] else ""
            said = (
                f"On {scores['target']}, split {scores.get('split', 'unknown')}; selection "
                f"`{name}` ({SELECTIONS.get(name, name)}), step {chosen['step']}: {figures} "
                f"(percent, one seed).{caveat} Scored by uda_seg from the "
                f"checkpoint{_inference(scores)}, "
                f"at the labels' own resolution, not from the files here.{oracle}"
            )
        rows = [
            [str(i), name, _swatch(name), *([_percent(iou.get(name))] if iou else [])]
            for i, name in enumerate(self.classes)
        ]
        head = ["id", "class", "colour (R, G, B)", *(["IoU"] if iou else [])]
        return f"## Scores\n\n{said}\n\n## Classes\n\n{_table(head, rows)}"

    def _input_output(self) -> str:
        size = self.run["target"].get("size")
        seen = (
            f" It was trained on {size[0]}x{size[1]} (height, width): give it such." if size else ""
        )
        out = (
            f"`logits`, float32 (B, {len(self.classes)}, H, W)"
            if self.answer == "logits"
            else "`classes`, uint8 (B, H, W): ids of the table above"
        )
        return (
            "## Input and output\n\n"
            "- in: `image`, float32 (B, 3, H, W), RGB in [0, 1]; any B, any H and W from "
            f"{self.smallest}. Mean and standard deviation are inside the network.{seen} The run "
            "resized with Pillow's bicubic filter.\n"
            f"- out: {out}, at the image's size"
        )

    def _use(self) -> str:
        height, width = self.run["target"].get("size") or (512, 1024)
        parts = ["## How to run it"]
        for file in self.files:
            parts.append(
                f"```python\n{RUN[file.format](file.name, self.answer, height, width)}\n```"
            )
        return "\n\n".join(parts)

    def _checks(self) -> str:
        rows = [
            [f"`{f.name}`", f.version, f"{f.bytes / 1e6:.1f} MB", f"`{f.sha256}`"]
            for f in self.files
        ]
        lines = "\n".join(f"- `{f.name}`: {line}" for f in self.files for line in f.checks)
        packages = ", ".join(f"{k} {v}" for k, v in self.versions.items() if v is not None)
        return (
            f"## Files\n\n{_table(['file', 'format', 'size', 'SHA-256'], rows)}\n\n"
            "Compared with the network's own output on drawn streets (CPU, float32); tolerance "
            f"{self.tolerance:g} of the largest logit:\n\n{lines}\n\nVersions: {packages}."
        )

    def _limits(self) -> str:
        target = self.run["target"]["name"]
        return (
            "## Intended use and limits\n\n"
            "For research on domain adaptation, and to look at its results. Not for driving, nor "
            "for any decision on which somebody's safety or rights depend: nothing of that kind "
            "was tested.\n\n"
            f"- It was made for {target} alone. Other cameras, cities, weather and hours were "
            "not scored.\n"
            "- Every pixel gets one of the classes above, also where none of them is: there is no "
            "class for the unknown, and a high probability is no proof.\n"
            "- The numbers above are of one run; seeds differ. Small and rare classes are the "
            "weakest: see their IoU.\n"
            "- Who or what is seldom in the data is badly seen; no score here tells groups of "
            "people apart."
        )

    def _licences(self) -> str:
        rows = [["code of uda_seg", terms.CODE]]
        rows += [["first weights", terms.of_first_weights(self.run["backbone"])]]
        for side in ("source", "target"):
            rows += [[f"{side}: {n}", t] for n, t in terms.of_dataset(self.run[side]).items()]
        return (
            f"## Licences\n\n{_table(['of', 'terms'], rows)}\n\n"
            "The licence of these weights is not settled by that of the code. Whether the terms of "
            "pictures and of first weights pass on to a network trained with them is an open "
            "question: keep to the strictest of them, or ask. Recalled means: from memory, look it "
            "up before you rely on it."
        )


def run_onnx(file: str, answer: str, height: int, width: int) -> str:
    """Six lines from a picture to ids, with onnxruntime."""
    run = 'network.run(None, {"image": batch})[0]'
    run += ".argmax(1)[0]" if answer == "logits" else "[0]"
    return (
        "import numpy, onnxruntime\nfrom PIL import Image\n"
        f'image = Image.open("street.png").convert("RGB").resize(({width}, {height}), '
        "Image.Resampling.BICUBIC)\n"
        "batch = numpy.asarray(image, numpy.float32).transpose(2, 0, 1)[None] / 255\n"
        f'network = onnxruntime.InferenceSession("{file}")\n'
        f"ids = {run}  # (height, width)"
    )


def run_torch(file: str, answer: str, height: int, width: int) -> str:
    """The same with PyTorch; the file needs nothing of this package."""
    last = "answer.argmax(1)[0]" if answer == "logits" else "answer[0]"
    return (
        "import numpy, torch\nfrom PIL import Image\n"
        f'image = Image.open("street.png").convert("RGB").resize(({width}, {height}), '
        "Image.Resampling.BICUBIC)\n"
        "batch = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)[None].float() / 255\n"
        f'answer = torch.export.load("{file}").module()(batch)\n'
        f"ids = {last}  # (height, width)"
    )


RUN = {"onnx": run_onnx, "torch_export": run_torch}
"""By format: how a file is run."""


def _losses(method: Mapping[str, Any]) -> str:
    weights = {k: v for k, v in (method.get("weights") or {}).items() if v is not None}
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items()) or "none"


def _domain(domain: Mapping[str, Any]) -> str:
    size = domain.get("size")
    seen = f"{size[0]}x{size[1]}" if size else "own size"
    return f"{domain['name']}, split {domain.get('train_split', 'unknown')}, {seen}"


def _optimizer(backbone: Mapping[str, Any]) -> str:
    optimizer = backbone.get("optimizer") or {}
    name = str(optimizer.get("_target_", "optimizer unknown")).rpartition(".")[2]
    updates = optimizer.get("encoder_updates", 1)
    repeated = "" if updates == 1 else f", encoder updates `{updates}`"
    return f"{name}, learning rate {optimizer.get('lr', 'unknown')}{repeated}"


def _inference(scores: Mapping[str, Any]) -> str:
    inference = scores.get("inference") or {}
    if not inference:
        return ""
    flipped = ", averaged with the mirrored image" if inference.get("flip") else ""
    return f" ({inference.get('mode', 'whole')} images{flipped})"


def _percent(value: Any) -> str:
    return "–" if value is None or value != value else f"{value:.1f}"


def _swatch(name: str) -> str:
    red, green, blue = colour_of(name)
    return f"{red}, {green}, {blue} `#{red:02x}{green:02x}{blue:02x}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
