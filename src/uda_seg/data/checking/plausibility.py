"""Do an experiment's classes occur in the labels, and do the ids mean what their reader thinks?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from uda_seg.batch import IGNORE
from uda_seg.data.checking.numberings import Numbering, Thirds, better, merge_thirds, of_dataset
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.wrapper import DatasetWrapper

SHOWN = 12
"""Ids that a message lists."""
MOST = 8
"""Classes that it lists."""


@dataclass(frozen=True)
class Occurrence:
    """Which classes of an experiment some labels hold.

    Attributes:
        held: classes that occur.
        absent: classes that the dataset names, and no label holds.
        ids: raw ids that were found.
    """

    held: tuple[str, ...]
    absent: tuple[str, ...]
    ids: tuple[int, ...]

    @property
    def hollow(self) -> bool:
        """There is nothing to tell apart in such labels."""
        return bool(self.absent) and len(self.held) < 2


def occurrence(dataset: Dataset, space: LabelSpace, ids: Mapping[int, int]) -> Occurrence:
    """
    Args:
        dataset: whose labels.
        space: classes of the experiment.
        ids: raw id -> pixels, of all labels that were opened.
    """
    places = {i: space.place(name) for i, name in dataset.classes.items()}
    named = {place for place in places.values() if place != IGNORE}
    there = {places[i] for i, count in ids.items() if count and i in places}
    held, absent = there & named, named - there
    return Occurrence(
        tuple(space.classes[place] for place in sorted(held)),
        tuple(space.classes[place] for place in sorted(absent)),
        tuple(sorted(i for i, count in ids.items() if count)),
    )


def never_held(dataset: Dataset, found: Occurrence, opened: int, length: int, side: str) -> str:
    """A message: these classes are in no label that was opened, and what is there instead."""
    own = of_dataset(dataset)
    looked = f"{opened} of {length}" if opened < length else f"all {length}"
    nothing = "" if found.held else "any class of the experiment: "
    listed = [i for i in found.ids if found.hollow or i not in own.classes]
    ids = [f"{i} ({_meaning(own, i)})" for i in listed[:SHOWN]]
    more = ", …" if len(listed) > SHOWN else ""
    which = "The ids found" if found.hollow else "Ids found that do not count"
    words = f" {which} are {_and(ids)}{more}." if ids and dataset.ids_in_files else ""
    cure = _cure_of_absence(dataset, found, side)
    if opened < length and not found.hollow:
        cure = f"To look at all: data check {side}=…"
    return (
        f"no label that was opened ({looked}) holds {nothing}{_or(found.absent)}.{words} "
        f"{cure[0].upper()}{cure[1:]}"
    )


def renaming_option(dataset: Dataset, ids: Sequence[int]) -> str | None:
    """`classes: {0: background, 255: road}`, where just as many ids were found as have names."""
    names = {i: name for i, name in sorted(dataset.classes.items())}
    if dataset.option_for({}) is None or len(ids) != len(names) or set(ids) == set(names):
        return None
    if not all(i in range(256) for i in ids):  # nothing that could be named
        return None
    kept = {i: names[i] for i in ids if i in names}
    if [i - 1 for i in ids] == list(names):  # counted from one
        kept = {}
    rest = iter(name for i, name in names.items() if i not in kept)
    return dataset.option_for({i: kept[i] if i in kept else next(rest) for i in ids})


def other_numbering(dataset: Dataset, labels: Thirds, side: str) -> str | None:
    """A message: another numbering than the dataset's own explains the labels."""
    other = better(dataset, labels) if dataset.ids_in_files else None
    if other is None:
        return None
    own, ids = of_dataset(dataset), sorted(labels)[:SHOWN]
    option = dataset.option_for(other.classes, [i for i in ids if i not in other.classes])
    cure = f"set {option}, below {side}" if option and ":" in option else f"set {side}.{option}"
    if option is None:
        listed = ", ".join(f"{i}: {name}" for i, name in sorted(other.classes.items()))
        cure = (
            "unpack the dataset's own label files again, or read these as they are with "
            f"{side}=folder and classes: {{{listed}}}"
        )
    return (
        f"the labels look like {other.name}, which {own.name} does not read: their ids are "
        f"{_and([f'{i} ({other.word(i)})' for i in ids])}, and would be taken for "
        f"{_and([own.word(i) for i in ids])}; {cure}"
    )


def members(dataset: Dataset, labels: Mapping[int, Thirds]) -> Iterator[tuple[Dataset, Thirds]]:
    """A dataset, or the members of several as one, with its labels' own raw ids.

    Args:
        dataset: behind its cache or not.
        labels: index of a sample -> its ids.
    """
    while isinstance(dataset, DatasetWrapper):
        dataset = dataset.dataset
    if not isinstance(dataset, MergedDataset):
        yield dataset, merge_thirds(labels.values())
        return
    for name, member in dataset.datasets.items():
        renumber = dataset.renumber[name]
        raw = {new: i for i, new in renumber.wide.items()}
        raw |= {int(new): i for i, new in reversed(list(enumerate(renumber.table)))}
        own = [label for index, label in labels.items() if dataset.place(index)[0] == name]
        thirds = [{raw[i]: counts for i, counts in label.items()} for label in own]
        yield from members(member, dict(enumerate(thirds)))


def pixels(labels: Thirds) -> Counter[int]:
    """Raw id -> pixels."""
    return Counter({i: sum(counts) for i, counts in labels.items()})


def _cure_of_absence(dataset: Dataset, found: Occurrence, side: str) -> str:
    option = renaming_option(dataset, found.ids)
    if option is not None:
        return f"name what is there: {option}"
    if not found.hollow:
        kept = ", ".join(found.held)
        return f"add such labels, or leave the class out of the experiment: label_space=[{kept}]"
    if not dataset.ids_in_files:
        return "are these its labels, and the colors right?"
    if dataset.option_for({}) is not None:
        return "name what is there in `classes`"
    return f"are these the dataset's own labels? Look at them: data check {side}=…"


def _meaning(own: Numbering, identifier: int) -> str:
    if identifier in own.classes or identifier not in own.void:
        return own.word(identifier)
    word = own.void[identifier]
    return word if word == "void" else f"{word}, void"


def _or(words: Sequence[str]) -> str:
    if len(words) > MOST:
        return f"{', '.join(words[:MOST])}, or {len(words) - MOST} more"
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else "".join(words)


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
