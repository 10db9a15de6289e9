"""Which classes two domains share, which are dropped, and how much of each there is."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.classes import ALIASES, CITYSCAPES, CITYSCAPES_VOID, MERGES, canonical
from uda_seg.data.datasets.labels import LabelSpace, label_space

KNOWN = {
    *CITYSCAPES, *CITYSCAPES_VOID.values(), *ALIASES, *ALIASES.values(), *MERGES,
    *(part for parts in MERGES.values() for part in parts),
}  # fmt: skip
"""Words of the field: two of them are two classes, however alike."""
ALIKE = 0.8
"""Share of letters in common that makes one word look like a slip for another."""


@dataclass(frozen=True)
class Amount:
    """How much of one class a domain holds."""

    share: float
    """Share of all pixels of the labels that were opened, those without a class among them."""
    images: int
    """Labels that hold it."""


def misspelt(
    source: Iterable[str], target: Iterable[str], space: LabelSpace
) -> Iterator[tuple[str, str, str, str]]:
    """Classes that are dropped, though the other side has one of nearly the same name.

    Yields:
        side, class, the other side, its class; first whichever is more likely to be the slip.
    """
    words = {"source": dict.fromkeys(map(canonical, source))}
    words["target"] = dict.fromkeys(map(canonical, target))
    told: set[frozenset[str]] = set()
    for side, other in (("source", "target"), ("target", "source")):
        for name in words[side]:
            if space.place(name) != IGNORE:
                continue
            near = _nearest(name, words[other])
            if near is not None and frozenset((name, near)) not in told:
                told.add(frozenset((name, near)))
                ends = (side, name, other, near)
                yield ends if name not in KNOWN else (*ends[2:], *ends[:2])


def _nearest(name: str, words: Iterable[str]) -> str | None:
    """A word of the other side that may be meant; none when both are words of the field."""
    words = [word for word in words if word != name and not {word, name} <= KNOWN]
    plain = {"".join(filter(str.isalnum, word)): word for word in words}
    near = get_close_matches("".join(filter(str.isalnum, name)), plain, n=1, cutoff=ALIKE)
    return plain[near[0]] if near else None


def did_you_mean(side: str, name: str, other: str, meant: str) -> str:
    """A line about two classes of `misspelt`."""
    return (
        f"{side}: class {name!r} is dropped, as the {other} has no such class; did you mean "
        f"{meant!r}, which the {other} has?"
    )


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


def space_of(choice: str | list[str] | None, source: Dataset, target: Dataset) -> LabelSpace:
    """The classes of an experiment; a target that names none takes the source's."""
    theirs = target.classes or source.classes
    return label_space(choice, source.classes.values(), theirs.values())


def slips(space: LabelSpace, source: Dataset, target: Dataset) -> list[str]:
    """A line for every class that one of the two misspells, in all likelihood."""
    theirs = target.classes or source.classes
    found = misspelt(source.classes.values(), theirs.values(), space)
    return [did_you_mean(*slip) for slip in found]
