"""Well-known numberings of street classes, and which of them explains the ids of some labels.

Two files of one name may hold ids of two meanings (Cityscapes' labelIds and train ids, CARLA before
and after 0.9.14), and read with the wrong one, every pixel still has a name. What gives it away is
the picture: most of a street is road, building and vegetation, and hardly any of it traffic signs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log

import numpy as np

from uda_seg.data.checking.examination import pixels_of
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.classes import (
    CITYSCAPES_IDS,
    CITYSCAPES_TRAIN_IDS,
    CITYSCAPES_VOID,
    canonical,
)

STREET = {
    "road": (0.30, (1, 3, 8)),
    "sidewalk": (0.08, (1, 4, 7)),
    "building": (0.20, (6, 5, 1)),
    "vegetation": (0.15, (6, 5, 1)),
    "sky": (0.10, (9, 2, 1)),
    "car": (0.07, (1, 7, 4)),
    "terrain": (0.03, (1, 6, 5)),
    "person": (0.01, (2, 7, 3)),
    "wall": (0.01, (3, 6, 3)),
    "fence": (0.01, (3, 6, 3)),
    "pole": (0.01, (5, 5, 2)),
    "truck": (0.01, (3, 7, 2)),
    "bus": (0.01, (3, 7, 2)),
    "drivable": (0.30, (1, 3, 8)),
    "non-drivable": (0.08, (1, 5, 6)),
    "far objects": (0.30, (6, 5, 1)),
    "vehicles": (0.10, (1, 7, 4)),
    "living things": (0.01, (2, 7, 3)),
    "roadside objects": (0.05, (4, 6, 2)),
}
"""A class's share of a street's pixels, roughly, over several datasets, and how twelve pixels of it
lie in the picture's upper, middle and lower third. Other classes are rare, and lie anywhere."""
RARE, VOID, NAMELESS = 0.004, 0.10, 0.0001
"""Shares of another class, of what is not labelled, of an id without a name."""
UNLABELLED = {"unlabeled", "void", "ego vehicle", "out of roi", "other", "ignored", "background"}
"""What may well cover much of a picture, of the names that do not count."""

EVERYWHERE = {
    ("road", "drivable"): 1.0,
    ("building", "far objects"): 0.5,
    ("vegetation", "far objects"): 0.5,
    ("sky",): 0.5,
    ("car", "vehicles"): 0.5,
}
"""What nearly every street shows, and how much it speaks against a numbering if nothing does."""
LEAST = 0.0005
"""Share of the pixels that makes a class seen."""
BETTER = 0.8
"""By how much another numbering must explain the labels better, in units of log likelihood."""
NAMED = 5
"""Classes of `STREET` that a dataset must name to be asked about."""
SEEN = 3
"""Classes that another numbering must find in the labels."""

Thirds = Mapping[int, Sequence[int]]
"""Raw id -> pixels in the upper, middle and lower third of the pictures."""


@dataclass(frozen=True)
class Numbering:
    name: str
    classes: Mapping[int, str]
    void: Mapping[int, str]

    def explains(self, labels: Thirds) -> float:
        """How well: mean log likelihood of a pixel, less for what should be there and is not."""
        whole = sum(sum(counts) for counts in labels.values())
        held: dict[str, float] = {}
        total = 0.0
        for identifier, counts in labels.items():
            name = canonical(self.classes.get(identifier, ""))
            share, places = STREET.get(name, (RARE, (4, 4, 4)))
            if not name:
                share = self._void(identifier)
            total += sum(c * log(share * n / 4) for c, n in zip(counts, places, strict=True))
            held[name] = held.get(name, 0) + sum(counts) / whole
        known = {canonical(name) for name in self.classes.values()}
        lacking = (
            weight
            for names, weight in EVERYWHERE.items()
            if known & set(names) and sum(held.get(name, 0) for name in names) < LEAST
        )
        return total / whole - sum(lacking)

    def _void(self, identifier: int) -> float:
        if identifier not in self.void:
            return NAMELESS
        return VOID if canonical(self.void[identifier]) in UNLABELLED else RARE

    def names(self, identifier: int) -> bool:
        return identifier in self.classes or identifier in self.void

    def word(self, identifier: int) -> str:
        return self.classes.get(identifier) or self.void.get(identifier) or "no name"

    def seen(self, labels: Thirds) -> set[str]:
        """Its classes that are there."""
        return {canonical(self.classes[i]) for i in labels if i in self.classes}


def of_dataset(dataset: Dataset) -> Numbering:
    return Numbering(type(dataset).__name__, dataset.classes, dataset.void)


def better(dataset: Dataset, labels: Thirds) -> Numbering | None:
    """A well-known numbering that explains labels much better than the dataset's own names do.

    Datasets that are not of streets are never asked about, unless an id has no name.
    """
    own = of_dataset(dataset)
    street = {canonical(name) for name in own.classes.values()} & STREET.keys()
    if not labels or (len(street) < NAMED and all(map(own.names, labels))):
        return None
    rivals = [
        other
        for other in well_known()
        if all(map(other.names, labels))
        and len(other.seen(labels)) >= SEEN
        and any(canonical(other.word(i)) != canonical(own.word(i)) for i in labels)
    ]
    best = max(rivals, key=lambda other: other.explains(labels), default=None)
    if best is None or best.explains(labels) < own.explains(labels) + BETTER:
        return None
    return best


def thirds(label: np.ndarray) -> Thirds:
    """The thirds of one label (H, W)."""
    found: dict[int, list[int]] = {}
    for place, part in enumerate(np.array_split(label, 3)):
        for identifier, count in pixels_of(part).items():
            found.setdefault(identifier, [0, 0, 0])[place] += count
    return found


def merge_thirds(labels: Iterable[Thirds]) -> Thirds:
    """The thirds of several labels together."""
    found: dict[int, list[int]] = {}
    for label in labels:
        for identifier, counts in label.items():
            known = found.setdefault(identifier, [0, 0, 0])
            found[identifier] = [a + b for a, b in zip(known, counts, strict=True)]
    return found


@cache
def well_known() -> list[Numbering]:
    from uda_seg.data.datasets.camvid import CamVid
    from uda_seg.data.datasets.carla import CARLA, EarlierCARLA
    from uda_seg.data.datasets.idd import IDD, LEVEL_3, LEVEL_3_IDS, NAMES
    from uda_seg.data.datasets.idd_lite import IDDLite
    from uda_seg.data.datasets.mapillary import Mapillary, Mapillary2
    from uda_seg.data.datasets.synthia import SYNTHIA

    idd_ids = {i: LEVEL_3[level] for i, level in enumerate(LEVEL_3_IDS) if level < len(LEVEL_3)}
    named: list[tuple[str, type[Dataset]]] = [
        ("CARLA's ids from 0.9.14 on", CARLA),
        ("CARLA's ids before 0.9.14", EarlierCARLA),
        ("IDD's level3Ids", IDD),
        ("IDD-Lite's ids", IDDLite),
        ("CamVid's 11 ids", CamVid),
        ("SYNTHIA's ids", SYNTHIA),
        ("Mapillary 1.2's ids", Mapillary),
        ("Mapillary 2.0's ids", Mapillary2),
    ]
    return [
        Numbering("Cityscapes' labelIds", CITYSCAPES_IDS, CITYSCAPES_VOID | {34: "license plate"}),
        Numbering("Cityscapes' train ids", CITYSCAPES_TRAIN_IDS, dict.fromkeys((19, 255), "void")),
        *(Numbering(name, kind.classes, kind.void) for name, kind in named),
        Numbering("IDD's ids", idd_ids, dict(enumerate(NAMES)) | {255: "unlabeled"}),
    ]
