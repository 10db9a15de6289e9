"""ToyTown as a dataset: scenes that are drawn when they are read, and kept in memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.toytown import traffic
from uda_seg.data.toytown.palette import CLASSES, DOMAINS, VOID
from uda_seg.data.toytown.render import Picture, render
from uda_seg.data.toytown.street import Street
from uda_seg.errors import ConfigError

SPLITS = ("train", "val", "test", "tune")
"""Each has scenes of its own; tune is for choosing hyper-parameters."""
CACHE_BYTES = 512 * 2**20
"""Per process; scenes drawn longest ago go first."""
_cache: "OrderedDict[tuple, Sample]" = OrderedDict()
_cached = 0


def scene(
    seed: int, index: int, domain: str, size: tuple[int, int] = (128, 256), position: float = 0.0
) -> Picture:
    """One street view, a function of its arguments.

    Args:
        seed: of the town.
        index: of the street.
        domain: "toytown" (a game) or "toytown_camera".
        size: (height, width), any.
        position: metres driven along the street.

    Raises:
        ConfigError: for an unknown domain.
    """
    return draw(seed, index, domain, size, position)[0]


def draw(
    seed: int, index: int, domain: str, size: tuple[int, int], position: float
) -> tuple[Picture, Street]:
    """`scene`, and the street that owners and footprints belong to."""
    if domain not in DOMAINS:
        raise ConfigError(f"ToyTown has no domain {domain!r}; choose from {', '.join(DOMAINS)}")
    street = Street(seed, index, domain, position)
    traffic.fill(street)
    steady = np.random.default_rng((seed, index, 98))
    chance = np.random.default_rng((seed, index, 99, round(position * 1000) & 0xFFFFFFFF))
    camera = domain == "toytown_camera"
    return render(street.pen, street.mount, size, camera, steady, chance), street


def sequence(
    seed: int, index: int, domain: str, size: tuple[int, int], positions: Iterable[float]
) -> Iterator[Picture]:
    """A drive along one street: its view from every position, in metres."""
    for position in positions:
        yield scene(seed, index, domain, size, position)


class ToyTown(Dataset):
    """
    Args:
        domain: "toytown" or "toytown_camera".
        split: train, val, test or tune.
        length: number of scenes of every split.
        size: (height, width) of a scene.
        seed: of the town; another seed is another town.

    Raises:
        ConfigError: for an unknown domain or split.
    """

    terms = "drawn by this package: Apache-2.0"
    classes = dict(enumerate(CLASSES))
    void = {VOID: "unlabeled"}
    has_depth = True
    ids_in_files = False

    def __init__(
        self, domain: str, split: str, length: Mapping[str, int], size: Collection[int], seed: int
    ) -> None:
        if domain not in DOMAINS:
            raise ConfigError(f"ToyTown has no domain {domain!r}; choose from {', '.join(DOMAINS)}")
        if split not in SPLITS or split not in length:
            known = ", ".join(s for s in SPLITS if s in length)
            raise ConfigError(f"ToyTown has no split {split!r}; choose from {known}")
        self.domain, self.split, self.length = domain, split, int(length[split])
        height, width = size
        self.size = int(height), int(width)
        self.seed = seed * len(SPLITS) + SPLITS.index(split)

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"{self.domain}/{self.split}/{index:05d}"

    def recipe(self, index: int) -> str:
        """A scene follows from these numbers and from how this version draws."""
        return f"{self.seed} {index} {self.domain} {self.size} {_pen()}"

    def read(self, index: int, fields: Collection[str]) -> Sample:
        if not 0 <= index < self.length:
            raise IndexError(f"{self.name(index)}: the split has {self.length} scenes")
        drawn = self._drawn(index, "depth" in fields)
        return Sample(
            image=drawn.image.copy(),
            label=drawn.label.copy() if "label" in fields and drawn.label is not None else None,
            depth=drawn.depth.copy() if "depth" in fields and drawn.depth is not None else None,
            name=self.name(index),
        )

    def _drawn(self, index: int, with_depth: bool) -> Sample:
        """From memory, or drawn; depth is kept only when somebody asks for it."""
        global _cached
        key = (self.seed, index, self.domain, self.size)
        kept = _cache.get(key)
        if kept is not None and (kept.depth is not None or not with_depth):
            return kept
        if kept is not None:
            _cached -= _bytes(_cache.pop(key))
        picture = scene(self.seed, index, self.domain, self.size)
        sample = Sample(picture.image, picture.label, picture.depth if with_depth else None)
        _cache[key] = sample
        _cached += _bytes(sample)
        while _cached > CACHE_BYTES and len(_cache) > 1:
            _cached -= _bytes(_cache.popitem(last=False)[1])
        return sample


@cache
def _pen() -> str:
    """Tells apart what versions draw, by the code of this folder and the libraries it uses."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _bytes(sample: Sample) -> int:
    parts = (sample.image, sample.label, sample.depth)
    return sum(part.nbytes for part in parts if part is not None)
