"""Class names, palettes' order, and the classes two datasets have in common."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.errors import ConfigError

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
"""The 19 train ids, in their order."""

CITYSCAPES_IDS = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip
"""Cityscapes' `labelIds` that count; GTA5 uses the same."""

ALIASES = {
    "pedestrian": "person",
    "pavement": "sidewalk",
    "tree": "vegetation",
    "van": "car",
    "light": "traffic light",
    "sign": "traffic sign",
    "sign symbol": "traffic sign",
    "column pole": "pole",
    "motorbike": "motorcycle",
}
"""Other datasets' words for Cityscapes' classes."""

MERGES = {"bicyclist": ("rider", "bicycle")}
"""Coarser classes, and the finer ones that make them up: CamVid labels rider and bicycle as one."""


@dataclass(frozen=True)
class LabelSpace:
    """The ordered classes of an experiment; a class's position is its id."""

    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def lookup(self, raw: Mapping[int, str]) -> np.ndarray:
        """(256,) uint8: raw id -> id here, IGNORE where the class does not count."""
        table = np.full(256, IGNORE, np.uint8)
        for identifier, name in raw.items():
            name = canonical(name)
            if name not in self.classes:
                name = next((m for m in MERGES if m in self.classes and name in MERGES[m]), name)
            if name in self.classes:
                table[identifier] = self.classes.index(name)
        return table


def canonical(name: str) -> str:
    """The one name a class goes by here."""
    name = name.strip().lower().replace("_", " ")
    return ALIASES.get(name, name)


def common(source: Iterable[str], target: Iterable[str]) -> LabelSpace:
    """The classes both have, in Cityscapes' order, merged ones where one side knows no finer."""
    ours, theirs = ({canonical(n) for n in names} for names in (source, target))
    for merged, parts in MERGES.items():
        if merged in ours | theirs:
            ours, theirs = (_merge(names, merged, parts) for names in (ours, theirs))
    both = ours & theirs
    if not both:
        raise ConfigError(
            f"source and target have no class in common: {sorted(ours)} against {sorted(theirs)}"
        )
    return LabelSpace(tuple(sorted(both, key=_order)))


def label_space(
    choice: list[str] | None, source: Iterable[str], target: Iterable[str]
) -> LabelSpace:
    """The common classes, or those of them that `label_space=[…]` lists, in its order."""
    shared = common(source, target)
    if choice is None:
        return shared
    wanted = tuple(canonical(name) for name in choice)
    unknown = [name for name in wanted if name not in shared.classes]
    if unknown:
        raise ConfigError(
            f"label_space: {', '.join(unknown)} not common to source and target; "
            f"choose from {', '.join(shared.classes)}"
        )
    return LabelSpace(wanted)


def _merge(names: set[str], merged: str, parts: tuple[str, ...]) -> set[str]:
    return (names - set(parts)) | {merged} if names & {merged, *parts} else names


def _order(name: str) -> tuple[int, str]:
    first = MERGES[name][0] if name in MERGES else name
    return (CITYSCAPES.index(first) if first in CITYSCAPES else len(CITYSCAPES), name)
