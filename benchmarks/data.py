"""How many images a second one core brings from disk to a batch of floats.

    python benchmarks/data.py [--rounds 15] [--scenes 4] [--image PATH] [--video PATH]

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

The same day, --rounds 5 --scenes 2 --video (genuine, 1280x720), there again beside three jobs:

                     classical  ours          cache=disk    cache=ram     cache=auto
    GTA5             110        37.4 (2.9x)   7.3 (15.0x)   6.9 (16.0x)   6.8 (16.1x)
    Cityscapes       98.0       36.1 (2.7x)   3.9 (25.3x)   3.6 (27.4x)   3.4 (29.0x)

    several sources at 1024x512: GTA5 33.2, Cityscapes 35.6, both as one source 35.8
    a video to 1024x512, in order and at random: OpenCV 26.1, 98.7; ours 9.4, 49.8; cache=disk 2.6,
    2.4. At random a frame costs those between it and the key frame before it: keep them.

Does it starve a step? `experiment=laptop source=gta5 target=cityscapes method=adaptive_bn
trainer.steps=70` on drawn files of full size, the small network's step on one thread waits for data
(`progress.json`) 25 % of its time with trainer.workers=0 and no cache, of which the run tells, and
3 % with one worker or with cache=auto; CamVid and rendered scenes of 320x240 take 3 % anyhow.

The goals were 2.5x without a cache and 15x with it. What is left without a cache is decoding.
"""

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import count
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from measure import machine, ratio, table, take_turns
from PIL import Image
from torch.utils.data import default_collate

from uda_seg.data.cache.cached_dataset import cached
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset, FileDataset, Sample
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.classes import CITYSCAPES, CITYSCAPES_IDS
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.video import Video
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
    domains = {"ours": domain_of(plain, size)}
    for cache in ("disk", "ram", "auto"):
        kept = cached(plain, list(size), cache, f"{root}_kept")
        domains[f"ours, cache={cache}"] = domain_of(kept, size)
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
        for name, domain in list(domains.items())[1:]:
            parts_cached(domain, index, where[name])
        if not turn or turn < len(plain):  # warms up, and fills the caches
            whole.clear()
            where.clear()
    show(plain, whole, where)


def several(members: dict[str, FileDataset], size: tuple[int, int], rounds: int) -> None:
    """Each member alone, and all of them as one source."""
    datasets: dict[str, Dataset] = {**members, "all of them": MergedDataset(members, None)}
    domains = {name: domain_of(dataset, size) for name, dataset in datasets.items()}
    ways = {name: (lambda d=d: ours(d, next(places))) for name, d in domains.items()}
    places = count()
    found = take_turns(ways, 2 * rounds)
    print(f"\nSeveral sources, at {size[1]}x{size[0]}\n")
    rows = [(name, 1000 * statistics.mean(seconds)) for name, seconds in found.items()]
    print(table(["source", "ms an image, mean"], rows))


def video(path: Path, folder: Path, size: tuple[int, int], rounds: int) -> None:
    """Frames in their order, and in a random one, as training asks for them."""
    plain = Video(str(path), "all", 1)
    kept = cached(plain, list(size), "disk", str(folder))
    reader, orders = cv2.VideoCapture(str(path)), {}
    for name, order in (("in order", range), ("at random", np.random.default_rng(0).permutation)):
        orders[name] = [int(place) for place in order(len(plain))]

    def opencv(place: int) -> None:
        if place != int(reader.get(cv2.CAP_PROP_POS_FRAMES)):
            reader.set(cv2.CAP_PROP_POS_FRAMES, place)
        frame = cv2.cvtColor(reader.read()[1], cv2.COLOR_BGR2RGB)
        picture = Image.fromarray(frame).resize(size[::-1], Image.Resampling.BICUBIC)
        image = (np.asarray(picture, np.float32)[:, :, ::-1] - MEAN).transpose(2, 0, 1)
        default_collate([image.copy()])

    def through(read: Callable[[int], object], order: list[int]) -> Callable[[], None]:
        def way() -> None:
            for place in order:
                read(place)

        return way

    transform = Transform(list(size), None, None, False, 0.0)

    def frame(dataset: Dataset) -> Callable[[int], object]:
        def read(place: int) -> object:
            image = dataset.read(place, {"image"}).image
            tensor = to_tensor(transform(image, np.random.default_rng(0))["image"])
            return tensor[None].float() / 255

        return read

    readers = {"OpenCV": opencv, "ours": frame(plain), "ours, cache=disk": frame(kept)}
    ways = {f"{n}, {o}": through(r, w) for n, r in readers.items() for o, w in orders.items()}
    found = take_turns(ways, rounds)
    height, width = plain.read(0, {"image"}).image.shape[:2]
    print(f"\nVideo: {len(plain)} frames of {width}x{height}, to {size[1]}x{size[0]}\n")
    rows = [(n, 1000 * statistics.median(s) / len(plain)) for n, s in found.items()]
    print(table(["way", "ms a frame"], rows))


def film(path: Path) -> Path:
    """Two seconds of a drawn drive, 1280x720, as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", Fraction(25))
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        for number in range(50):
            image = scene(0, 0, "toytown_camera", (720, 1280), float(number)).image
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


def show(plain: FileDataset, whole: dict, where: dict) -> None:
    bytes_ = [sum(p.stat().st_size for p in (f.image, f.label)) for f in plain.files]
    print(f"\n{type(plain).__name__}: {statistics.mean(bytes_) / 1e6:.1f} MB a sample, one core\n")
    rows = []
    for name, times in whole.items():
        taken = {part: 1000 * statistics.median(each) for part, each in where[name].items()}
        shares = ", ".join(f"{part} {time:.1f}" for part, time in taken.items())
        rows.append(
            [name, 1000 * statistics.median(times), ratio(whole["classical"], times), shares]
        )
    print(table(["way", "ms an image", "times as fast", "where the ms go"], rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--image", type=Path, help="a genuine image in the place of GTA5's")
    parser.add_argument("--video", type=Path, help="in the place of a drawn drive")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(machine())
    members: dict[str, FileDataset] = {}
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
            members[cls.__name__] = cls(str(root), split)
        several(members, (512, 1024), arguments.rounds)
        clip = arguments.video or film(Path(folder, "drive.mp4"))
        video(clip, Path(folder, "frames"), (512, 1024), max(1, arguments.rounds // 5))


if __name__ == "__main__":
    main()
