"""A model card (Mitchell et al., Model Cards for Model Reporting, FAT* 2019, arXiv:1810.03993)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment

from uda_seg.errors import show
from uda_seg.evaluation.measures import PROTOCOLS
from uda_seg.evaluation.scores import SELECTIONS, method_facts, split_scored
from uda_seg.export import terms
from uda_seg.images.pictures import color_of
from uda_seg.report.rendering import environment

TAGS = ("semantic-segmentation", "domain-adaptation", "uda_seg")


@dataclass
class Written:
    """A file beside the card."""

    name: str
    format: str
    """A key of the command's `formats`."""
    version: str
    """Versions of the format and of what wrote it."""
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
        """Markdown below a block of metadata, as the Hugging Face hub reads it."""
        text = _cards().get_template("model_card.md").render(self._values())
        return str(ModelCard(f"---\n{self.metadata().to_yaml()}\n---\n\n{text}\n"))

    def metadata(self) -> ModelCardData:
        """What the hub lists and searches; no licence fits these weights, see the text."""
        scores = self.scores or {}
        results = [
            EvalResult(
                task_type="image-segmentation",
                dataset_type=scores["target"],
                dataset_name=scores["target"],
                dataset_split=split_scored(scores),
                metric_type="mean_iou",
                metric_name=f"{name}, percent",
                metric_config=self.selection,
                metric_value=round(value, 2),
            )
            for name, value in self._means().items()
            if math.isfinite(value)
        ]
        return ModelCardData(
            license="other",
            pipeline_tag="image-segmentation",
            tags=[*TAGS, self.run["method"]["name"]],
            model_name=str(self.run["run_name"]),
            eval_results=results or None,
        )

    def _values(self) -> dict[str, Any]:
        run, method = self.run, self.run["method"]
        base = method.get("base") or {}
        every = {**(base.get("weights") or {}), **(method.get("weights") or {})}
        weights = {k: v for k, v in every.items() if v is not None}
        facts = {k: v for k, v in method_facts(method).items() if k not in ("name", "label")}
        first_weights = terms.of_first_weights(run["backbone"])
        datasets = {
            f"{side}: {name}": words
            for side in ("source", "target")
            for name, words in terms.of_dataset(run[side]).items()
        }
        return {
            "card": self,
            "run": run,
            "facts": "".join(f", {key} {show(value)}" for key, value in facts.items()),
            "losses": ", ".join(f"{name} {weight:g}" for name, weight in weights.items()),
            "first_weights": first_weights,
            "chosen": self._chosen(),
            "selection": self.selection,
            "selection_means": SELECTIONS.get(str(self.selection), self.selection),
            "means": self._means(),
            "inference": (self.scores or {}).get("inference") or {},
            "colors": {name: color_of(name) for name in self.classes},
            "size": run["target"].get("size") or (512, 1024),
            "terms": {"code of uda_seg": terms.CODE, "first weights": first_weights} | datasets,
        }

    def _chosen(self) -> Mapping[str, Any]:
        """The scores of the selection; empty without any."""
        return self.scores["selections"][self.selection or "last"] if self.scores else {}

    def _means(self) -> dict[str, float]:
        """Over all classes and over the known subsets, by what they are called."""
        if not (chosen := self._chosen()):
            return {}
        return {"mIoU": chosen["miou"]} | {
            PROTOCOLS.get(key, key): value for key, value in chosen["protocols"].items()
        }


def _cards() -> Environment:
    cards = environment("uda_seg.export", finalize=_in_markdown)
    cards.filters["percent"] = _percent
    return cards


def _in_markdown(value: Any) -> Any:
    """A value that neither ends a table's cell nor begins a tag."""
    if not isinstance(value, str):
        return value
    return " ".join(value.replace("<", "&lt;").replace("|", "&#124;").split("\n"))


def _percent(value: float | None) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.1f}"
