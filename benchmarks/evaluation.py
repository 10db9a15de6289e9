"""From logits to scores at 2048x1024 and 19 classes: the field's scripts against ours.

    python benchmarks/evaluation.py [--images 2] [--rounds 5] [--networks small deeplab_resnet101]

"Published" is what AdaptSegNet's `evaluate_cityscapes.py` and `compute_iou.py` do, written anew:
logits are up-sampled, their arg-max is taken in NumPy with classes last and saved as a PNG and as a
colored one, the first is read again beside the label's, whose ids are mapped one by one, and NumPy
counts both. Its windows are summed as in mmsegmentation, each padded to the image's size. Ours is
what `evaluate` does: `Inference`, `InformationMaximisation` (which the scripts have not: also left
out once) and `ConfusionMatrix`, the label read by `EvaluationSet`'s parts. Both start at the
network's logits, an eighth of its image. Where memory is told, a way is alone in a process. Ours is
compared with the published way that up-samples as often as ours.

2026-11-26, --images 1 --rounds 5, one thread, the second core busy with other work, an Intel Xeon
of two cores, torch 2.15.0; all counts were the same. "Alone": against labels, without the
label-free score; "small pages": both ways where torch asks for pages of 4 KB, as it does by itself
(another run, THP_MEM_ALLOC_ENABLE=0):

    network's images     ours, ms  alone  published  times as fast  and with small pages
    whole, 1024x512          30.1   22.2  251 twice       8.3, 11.3             7.5, 11
    whole, 2048x1024         65.4   25.9        238        3.6, 9.3            3.8, 9.8
    3 windows of 1024        69.9   30.6        528         7.8, 18              10, 25
    15 windows of 512        80.1   36.5       1088          14, 30              22, 47

The goal was 5: reached everywhere against labels alone, and with the label-free score everywhere
but for whole 2048x1024, where that score takes 40 of the 65 ms: an exponential and five passes for
each of 40 million numbers, in the caches. One protocol takes 0.09 ms a split, all nine 0.45; the
small network 231 ms for 1024x512 and 1,492 for 2048x1024. Peaks: 2048x1024 55 MB beside 322, 15
windows 78 beside 375. Before logits were enlarged by rows, where they are read, ours took 90 (75
alone), 145 (75), 223 (157) and 214 (150) ms and 194 and 246 MB, on a machine at rest.

Tried without gain for the label-free score: the mean of p·logits from maps made small again by the
same products, tiles of 256 to 1,024 columns, OpenCV's exponential.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import measure
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.toytown import scene
from uda_seg.evaluation import measures
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.inference import Inference, spans
from uda_seg.evaluation.selection import InformationMaximisation
from uda_seg.images.pictures import palette
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small
from uda_seg.runs.memory import keep_freed_memory

CLASSES, HEIGHT, WIDTH, SHARE = 19, 1024, 2048, 8
SPACE = LabelSpace(tuple(measures.SUBSETS["miou_19"]))
ALL = tuple(measures.PROTOCOLS)


@dataclass
class Case:
    """Of the network's image, and of its windows."""

    size: tuple[int, int]
    window: int | None = None
    stride: int | None = None

    def places(self) -> Iterator[tuple[slice, slice]]:
        if self.window is None or self.stride is None:
            yield slice(0, self.size[0]), slice(0, self.size[1])
            return
        for rows in spans(self.size[0], self.window, self.stride):
            for columns in spans(self.size[1], self.window, self.stride):
                yield rows, columns


CASES = {
    "whole, 1024x512": Case((512, 1024)),
    "whole, 2048x1024": Case((1024, 2048)),
    "3 windows of 1024": Case((1024, 2048), 1024, 768),
    "15 windows of 512": Case((1024, 2048), 512, 384),
}
ALONE = "F.interpolate of one image alone"
WEIGHED = ("whole, 2048x1024", "15 windows of 512")


class Known(nn.Module):
    """A network that has its logits already, and does what networks do with them at the end."""

    def __init__(self, maps: list[Tensor]) -> None:
        super().__init__()
        self.maps, self.asked = maps, 0

    def forward(self, image: Tensor, domain: str) -> Prediction:
        maps = self.maps[self.asked % len(self.maps)]
        self.asked += 1
        return Prediction(Small(maps, (image.shape[2], image.shape[3]), False), maps)


def coarse_logits(label: np.ndarray, case: Case) -> list[Tensor]:
    """(1, C, h, w) for every window: the label, blurred, and smooth noise."""
    label = label[::4, ::4]
    known = torch.from_numpy(np.where(label == IGNORE, 0, label)).long()[None]
    sharp = F.one_hot(known, CLASSES).permute(0, 3, 1, 2).float()
    small = (case.size[0] // SHARE, case.size[1] // SHARE)
    maps = 6 * F.interpolate(sharp, small, mode="area")
    generator = torch.Generator().manual_seed(0)
    maps += F.avg_pool2d(3 * torch.randn(maps.shape, generator=generator), 5, 1, 2)
    parts = [(r.start, r.stop, c.start, c.stop) for r, c in case.places()]
    return [
        maps[..., a // SHARE : b // SHARE, c // SHARE : d // SHARE].contiguous()
        for a, b, c, d in parts
    ]


def prepare(folder: Path, images: int) -> None:
    """Labels in Cityscapes' ids and folders."""
    for number in range(images):
        drawn = scene(0, number, "toytown_camera", (HEIGHT, WIDTH))
        Cityscapes.write_sample(folder, "val", number, drawn)


class Ours:
    """As `evaluate` does it; `judged`: how good the network looks without labels is told too."""

    def __init__(
        self, folder: Path, case: Case, maps: list[list[Tensor]], judged: bool = True
    ) -> None:
        self.case, self.maps, self.judged = case, maps, judged
        self.dataset = Cityscapes(str(folder), "val")
        self.encode = LabelMapper(SPACE, self.dataset)
        slides = case.window is not None
        self.inference = Inference("slide" if slides else "whole", case.window, case.stride, False)

    def __call__(self) -> np.ndarray:
        confusion, label_free = ConfusionMatrix(CLASSES), InformationMaximisation(CLASSES)
        for index, maps in enumerate(self.maps):
            path = self.dataset.files[index].label
            label = torch.from_numpy(self.encode(self.dataset.read_label(path), str(path)))
            with torch.no_grad():
                image = torch.empty(1, 3, *self.case.size)
                (logits,) = self.inference.each(Known(maps), image)
                if self.judged:
                    label_free.update(logits)
            confusion.update(self.inference.predict(logits, label.shape), label[None])
        return confusion.counts()


class Published:
    """
    Args:
        folder: with labels.
        case: whole or windows.
        maps: of every image and window.
        twice: up-sampled to the network's image first, as ours and mmsegmentation do.
    """

    def __init__(self, folder: Path, case: Case, maps: list[list[Tensor]], twice: bool) -> None:
        self.case, self.maps, self.twice = case, maps, twice
        self.labels = sorted(folder.glob("gtFine/val/*/*_labelIds.png"))
        table = SPACE.lookup(Cityscapes.classes)
        self.pairs = [(raw, int(table[raw])) for raw in range(35)]
        self.answers = Path(tempfile.mkdtemp())
        self.colors = palette(SPACE.classes).flatten().tolist()

    def __call__(self) -> np.ndarray:
        for path, maps in zip(self.labels, self.maps, strict=True):
            logits = self.enlarge(maps)[0].numpy().transpose(1, 2, 0)
            answer = np.asarray(np.argmax(logits, axis=2), dtype=np.uint8)
            picture = Image.fromarray(answer)
            picture.save(self.answers / path.name)
            colored = picture.convert("P")
            colored.putpalette(self.colors)
            colored.save(self.answers / f"colored_{path.name}")
        counts = np.zeros((CLASSES, CLASSES))
        for path in self.labels:
            answer = np.array(Image.open(self.answers / path.name))
            raw = np.array(Image.open(path))
            label = np.copy(raw).astype(np.int64)
            for before, after in self.pairs:
                label[raw == before] = after
            counts += self.histogram(label.flatten(), answer.flatten())
        return counts.astype(np.int64)

    def enlarge(self, maps: list[Tensor]) -> Tensor:
        def to(logits: Tensor, size: tuple[int, int]) -> Tensor:
            return F.interpolate(logits, size, mode="bilinear", align_corners=False)

        if self.case.window is None:
            first = to(maps[0], self.case.size) if self.twice else maps[0]
            return to(first, (HEIGHT, WIDTH))
        total = torch.zeros(1, CLASSES, *self.case.size)
        times = torch.zeros(1, 1, *self.case.size)
        for (rows, columns), part in zip(self.case.places(), maps, strict=True):
            around = (columns.start, WIDTH - columns.stop, rows.start, HEIGHT - rows.stop)
            size = (rows.stop - rows.start, columns.stop - columns.start)
            total += F.pad(to(part, size), around)
            times[..., rows, columns] += 1
        return total / times

    @staticmethod
    def histogram(label: np.ndarray, answer: np.ndarray) -> np.ndarray:
        known = (label >= 0) & (label < CLASSES)
        pairs = CLASSES * label[known].astype(int) + answer[known]
        return np.bincount(pairs, minlength=CLASSES**2).reshape(CLASSES, CLASSES)


def ways_of(folder: Path, case: Case) -> dict[str, Callable[[], np.ndarray]]:
    dataset = Cityscapes(str(folder), "val")
    encode = LabelMapper(SPACE, dataset)
    kept = folder / f"{case.size[0]}_{case.window}.pt"
    if not kept.exists():
        samples = [dataset.read(index, {"label"}) for index in range(len(dataset))]
        made = [coarse_logits(encode(one.label, one.name), case) for one in samples]
        torch.save(made, kept)
    maps = torch.load(kept)
    ways: dict[str, Callable[[], np.ndarray]] = {
        "ours": Ours(folder, case, maps),
        "ours, against labels alone": Ours(folder, case, maps, judged=False),
    }
    for twice in (False, True):
        if not twice or case.size != (HEIGHT, WIDTH):
            ways["published, twice" if twice else "published"] = Published(
                folder, case, maps, twice
            )
    if case.window is None:
        ways[ALONE] = lambda: F.interpolate(maps[0][0], (HEIGHT, WIDTH), mode="bilinear").numpy()
    return ways


def rows_of(folder: Path, rounds: int) -> Iterator[list[object]]:
    for name, case in CASES.items():
        ways = ways_of(folder, case)
        answers = {way: run() for way, run in ways.items() if way != ALONE}
        reference = answers.get("published, twice", answers["published"])
        same = bool((answers["ours"] == reference).all())
        seconds = measure.take_turns(ways, rounds)
        images = len(Cityscapes(str(folder), "val"))
        for way, values in seconds.items():
            yield [
                name, way, 1000 * statistics.median(values) / images,
                measure.ratio(seconds["published"], values),
                memory(folder, name, way) if name in WEIGHED else "",
                f"{same}" if way == "ours" else "",
            ]  # fmt: skip


def memory(folder: Path, case: str, way: str) -> float:
    """MB that a way adds to its process."""
    words = [sys.executable, __file__, "--memory", str(folder), case, way]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def forward(names: list[str]) -> Iterator[list[object]]:
    """Seconds of networks, which have the rest of an image's time."""
    from uda_seg.cli.command_line import check
    from uda_seg.config import build, plain

    for name in names:
        config = check("train", [f"backbone={name}", "backbone.pretrained=none"]).config
        network = build(plain(config.backbone), classes=CLASSES).eval()
        for case in ((512, 1024), (1024, 2048)):
            with torch.no_grad():
                image = torch.rand(1, 3, *case)
                seconds = measure.take_turns(
                    {name: lambda n=network, x=image: n(x, domain="target")}, 2, warm_up=1
                )
            yield [name, f"{case[1]}x{case[0]}", 1000 * statistics.median(seconds[name])]


def protocols_cost() -> list[list[object]]:
    """Milliseconds of scores from one matrix, whatever the number of images."""
    counts = np.random.default_rng(0).integers(0, 10**6, (CLASSES, CLASSES))

    def timed(wanted: tuple[str, ...]) -> float:
        start = time.process_time()
        for _ in range(20):
            measures.protocols(counts, SPACE.classes, wanted, {})
        return 1000 * (time.process_time() - start) / 20

    return [[f"{len(wanted)} protocols", timed(wanted)] for wanted in (ALL[:1], ALL)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--networks", nargs="*", default=["small", "deeplab_resnet101"])
    arguments = parser.parse_args()
    set_up()
    folder = Path(tempfile.mkdtemp())
    prepare(folder, arguments.images)
    print(measure.machine())
    header = ["network's images", "way", "ms an image", "times as fast", "MB", "same counts"]
    print(measure.table(header, []))
    for row in rows_of(folder, arguments.rounds):
        print(measure.table(header, [row]).splitlines()[-1], flush=True)
    print(measure.table(["network", "image", "forward, ms"], forward(arguments.networks)))
    print(measure.table(["a split's scores", "ms"], protocols_cost()))


def set_up() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as the command line does


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        set_up()
        run = ways_of(Path(sys.argv[2]), CASES[sys.argv[3]])[sys.argv[4]]
        before = measure.peak_megabytes()
        run()
        print(math.ceil(measure.peak_megabytes() - before))
    else:
        main()
