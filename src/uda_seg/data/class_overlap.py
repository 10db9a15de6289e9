"""Which classes two domains share, which are dropped, and how much of each there is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from uda_seg.batch import IGNORE
from uda_seg.data.base import Dataset
from uda_seg.data.classes import canonical
from uda_seg.data.labels import LabelSpace


@dataclass(frozen=True)
class Amount:
    """Of one class in one domain."""

    share: float
    """Of all pixels of the labels that were opened, those without a class among them."""
    images: int
    """Labels that hold it."""


def names_of(dataset: Dataset, space: LabelSpace) -> dict[int, str]:
    """Raw id -> the experiment's word for it, or the dataset's own where it is dropped."""
    words = {}
    for identifier, name in dataset.classes.items():
        place = space.place(name)
        words[identifier] = canonical(name) if place == IGNORE else space.classes[place]
    return words


def amounts(labels: Iterable[Mapping[int, int]], names: Mapping[int, str]) -> dict[str, Amount]:
    """
    Args:
        labels: of every label, raw id -> pixels.
        names: raw id -> class; other ids count for the whole only.

    Returns:
        An amount for every class of `names`; nothing when there are no labels.
    """
    pixels, images, whole = dict.fromkeys(names.values(), 0), dict.fromkeys(names.values(), 0), 0
    for label in labels:
        whole += sum(label.values())
        held = {names[identifier] for identifier in label if identifier in names}
        for name in held:
            images[name] += 1
        for identifier, count in label.items():
            if identifier in names:
                pixels[names[identifier]] += count
    if not whole:
        return {}
    return {name: Amount(pixels[name] / whole, images[name]) for name in pixels}
