"""How many images a second one core brings from disk to a batch of floats.

    python benchmarks/data.py [--rounds 15] [--scenes 4] [--image PATH]

Classical: what published loaders of the field do. Pillow decodes, bicubic and nearest resizing,
NumPy floats, red and blue swapped, mean subtracted, a loop over the 19 ids. Ours: what training
does, without and with `cache=disk`. All take turns, one image a batch as published; the table shows
medians of the time on the processor. Files lie in the operating system's memory, so a disk's own
speed does not count. They are drawn: ToyTown with a texture that makes PNGs as large, and as slow
to decode, as a genuine one.

2026-11-21, --rounds 31, 2 minutes on one core of an AMD EPYC (Zen 3), versions of constraints.txt,
in ms an image:

                                   classical  ours          cache=disk
    GTA5, drawn                    108.2      32.3 (3.4x)   5.2 (20.8x)
    GTA5, its first image          96.7       26.0 (3.7x)   4.6 (21.2x)
    Cityscapes, drawn              97.4       29.6 (3.3x)   2.8 (34.3x)

    the genuine image (classical, ours): decode image 40.8, 16.6; decode label 3.8, 0.7; resize
    26.7, 4.2; encode label 6.2, 1.1; to a batch 17.8, 3.1. From the cache: read image 0.9, read
    label 0.5, encode label 0.5, to a batch 2.2.

2026-11-26, --rounds 15, an Intel Xeon's core beside another job: GTA5, drawn, 101.8, 33.5 (3.0x),
5.3 (19.2x); Cityscapes, drawn, 93.6, 33.6 (2.8x), 3.4 (27.3x).

The goals were 2.5x without a cache and 15x with it. What is left without a cache is decoding.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import default_collate

from uda_seg.data.cache.cached_dataset import cached
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset, FileDataset, Sample
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.classes import CITYSCAPES, CITYSCAPES_IDS
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.feeding.data_module import DomainDataModule
from uda_seg.data.feeding.streams import TrainingStream, collate_pairs, to_tensor
from uda_seg.data.feeding.transforms import Transform
from uda_seg.data.files import reading
from uda_seg.data.toytown import scene

GENUINE_BYTES = 2_100_000
"""Of GTA5's first image; Cityscapes' are about as large."""
MEAN = np.float32([104.00698793, 116.66876762, 122.67891434])
"""Blue, green, red, of the published loaders."""
TRAIN_IDS = {i: CITYSCAPES.index(n) for i, n in CITYSCAPES_IDS.items()}


@contextmanager
def clock(seconds: dict[str, list[float]], name: str) -> Iterator[None]:
    start = time.process_time()
    yield
    seconds[name].append(time.process_time() - start)


def classical(image_path: Path, label_path: Path, size: tuple[int, int], seconds: dict) -> None:
    width, height = size[1], size[0]
    with clock(seconds, "decode image"):
        picture = Image.open(image_path).convert("RGB")
    with clock(seconds, "decode label"):
        ids = Image.open(label_path)
        ids.load()
    with clock(seconds, "resize"):
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        ids = ids.resize((width, height), Image.Resampling.NEAREST)
    with clock(seconds, "encode label"):
        label = np.asarray(ids, np.float32)
        encoded = 255 * np.ones(label.shape, np.float32)
        for identifier, train_id in TRAIN_IDS.items():
            encoded[label == identifier] = train_id
    with clock(seconds, "to a batch"):
        image = np.asarray(picture, np.float32)[:, :, ::-1]
        image = (image - MEAN).transpose(2, 0, 1)
        batch = default_collate([(image.copy(), encoded.copy())])
        batch[1] = batch[1].long()


def domain_of(dataset: Dataset, size: tuple[int, int]) -> TrainingStream:
    """As training builds it, with the two configs' `augment`: nothing."""
    space = common(CITYSCAPES, CITYSCAPES)
    transform = Transform(list(size), None, None, False, 0.0)
    encode = LabelMapper(space, dataset)
    fields = {"image", "label"}
    return TrainingStream(dataset, transform, encode, fields, "source", 0, BadImages(False, None))


def ours(domain: TrainingStream, position: int) -> None:
    batch = collate_pairs([(domain[position], {"image": torch.zeros(1)})])
    DomainDataModule.on_after_batch_transfer(None, batch, 0)  # type: ignore[arg-type]
    assert batch.source.image.dtype == torch.float32


def parts(domain: TrainingStream, paths: tuple[Path, Path], seconds: dict) -> None:
    """The same, step by step."""
    with clock(seconds, "decode image"):
        image = reading.read_rgb(paths[0])
    with clock(seconds, "decode label"):
        label = reading.read_ids(paths[1])
    with clock(seconds, "encode label"):
        label = domain.encode(label, "")
    with clock(seconds, "resize"):
        item = domain.transform(image, np.random.default_rng(0), label=label)
    finish(item, seconds)


def parts_cached(domain: TrainingStream, index: int, seconds: dict) -> None:
    with clock(seconds, "read image"):
        domain.dataset.read(index, {"image"})
    start = time.process_time()
    sample = domain.dataset.read(index, {"image", "label"})
    seconds["read label"].append(time.process_time() - start - seconds["read image"][-1])
    with clock(seconds, "encode label"):
        label = domain.encode(sample.label, "")
    with clock(seconds, "resize"):
        item = domain.transform(sample.image, np.random.default_rng(0), label=label)
    finish(item, seconds)


def finish(item: dict[str, np.ndarray], seconds: dict) -> None:
    with clock(seconds, "to a batch"):
        tensors = {name: to_tensor(array) for name, array in item.items()}
        batch = collate_pairs([(tensors, {"image": torch.zeros(1)})])
        DomainDataModule.on_after_batch_transfer(None, batch, 0)  # type: ignore[arg-type]


def draw(cls: type[FileDataset], root: Path, split: str, size: tuple[int, int], count: int) -> None:
    """Scenes in the dataset's own layout, saved by Pillow, as both datasets' own tools do."""
    for number in range(count):
        drawn = scene(0, number, "toytown", size)
        cls.write_sample(root, split, number, Sample(drawn.image, drawn.label))
    for index, entry in enumerate(cls(str(root), split).files):
        assert entry.label is not None
        noise = np.random.default_rng(index).standard_normal(size, dtype=np.float32)
        texture = cv2.GaussianBlur(noise, (0, 0), 1.0)[..., None]  # decodes as slowly as genuine
        image, least, most = reading.read_rgb(entry.image), 0.0, 40.0
        for _ in range(7):
            level = (least + most) / 2
            Image.fromarray(np.clip(image + level * texture, 0, 255).astype(np.uint8)).save(
                entry.image
            )
            small = entry.image.stat().st_size < GENUINE_BYTES
            least, most = (level, most) if small else (least, level)
        if cls is Cityscapes:
            Image.fromarray(reading.read_ids(entry.label)).save(entry.label)


def measure(
    cls: type[FileDataset], root: Path, split: str, size: tuple[int, int], rounds: int
) -> None:
    plain = cls(str(root), split)
    kept = cached(plain, list(size), "disk", str(root.parent / f"{root.name}_kept"))
    domains = {"ours": domain_of(plain, size), "ours, cache=disk": domain_of(kept, size)}
    whole: dict[str, list[float]] = defaultdict(list)
    where: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for turn in range(rounds + 1):
        index = turn % len(plain)
        paths = plain.files[index].image, plain.files[index].label
        ways: dict[str, Callable[[], None]] = {
            "classical": lambda: classical(*paths, size, where["classical"]),  # noqa: B023
            **{n: (lambda d=d: ours(d, turn)) for n, d in domains.items()},  # noqa: B023
        }
        for name, way in ways.items():
            with clock(whole, name):
                way()
        parts(domains["ours"], paths, where["ours"])
        parts_cached(domains["ours, cache=disk"], index, where["ours, cache=disk"])
        if not turn or turn < len(plain):  # warms up, and fills the cache
            whole.clear()
            where.clear()
    show(plain, whole, where)


def show(plain: FileDataset, whole: dict, where: dict) -> None:
    bytes_ = [sum(p.stat().st_size for p in (f.image, f.label)) for f in plain.files]
    print(f"\n{type(plain).__name__}: {statistics.mean(bytes_) / 1e6:.1f} MB a sample, one core\n")
    print("| way | images/s | ms an image | against classical | where the ms go |")
    print("|---|---|---|---|---|")
    base = statistics.median(whole["classical"])
    for name, times in whole.items():
        median = statistics.median(times)
        shares = ", ".join(
            f"{part} {1000 * statistics.median(seconds):.1f}"
            for part, seconds in where[name].items()
        )
        print(
            f"| {name} | {1 / median:.1f} | {1000 * median:.1f} | {base / median:.1f} | {shares} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--image", type=Path, help="a genuine image in the place of GTA5's")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        for cls, split, drawn, size in (
            (GTA5, "all", (1052, 1914), (720, 1280)),
            (Cityscapes, "val", (1024, 2048), (512, 1024)),
        ):
            root = Path(folder, cls.__name__)
            draw(cls, root, split, drawn, arguments.scenes)
            if cls is GTA5 and arguments.image:
                for entry in cls(str(root), split).files:
                    entry.image.write_bytes(arguments.image.read_bytes())
            measure(cls, root, split, size, arguments.rounds)


if __name__ == "__main__":
    main()
