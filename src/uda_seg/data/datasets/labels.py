"""The classes two datasets have in common, and raw ids turned into them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.classes import CITYSCAPES, MERGES, SPACES, canonical
from uda_seg.data.files.label_ids import divisor_of, whole
from uda_seg.errors import ConfigError, DataError, suggest

UNNAMED = 254
"""In an encoder's table: a raw id that the dataset has no name for."""
SHOWN = 8
"""Strange ids that a message names."""


@dataclass(frozen=True)
class LabelSpace:
    """The ordered classes of an experiment; a class's position is its id."""

    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.classes)

    def place(self, name: str) -> int:
        """A dataset's word for a class to its id here; IGNORE where it does not count."""
        name = canonical(name)
        if name not in self.classes:
            name = next((m for m in self._merged() if name in MERGES[m]), name)
        return self.classes.index(name) if name in self.classes else IGNORE

    def _merged(self) -> list[str]:
        """Coarse classes that stand here for their parts: none of these is a class itself."""
        return [m for m in MERGES if m in self.classes and not set(MERGES[m]) & set(self.classes)]

    def lookup(self, raw: Mapping[int, str]) -> np.ndarray:
        """(256,) uint8: raw id -> id here, IGNORE where the class does not count."""
        table = np.full(256, IGNORE, np.uint8)
        for identifier, name in raw.items():
            table[identifier] = self.place(name)
        return table


class LabelMapper:
    """Raw labels of a dataset to an experiment's classes, on the fly."""

    def __init__(self, space: LabelSpace, dataset: Dataset) -> None:
        self.space = space
        places = dict.fromkeys(dataset.void, IGNORE)
        places |= {identifier: space.place(name) for identifier, name in dataset.classes.items()}
        if not dataset.has_labels:
            places = dict.fromkeys(range(256), IGNORE) | places
        self._number(places, dataset)

    def _number(self, places: Mapping[int, int], dataset: Dataset) -> None:
        """
        Args:
            places: raw id -> what it becomes.
            dataset: for messages.
        """
        self.dataset = getattr(dataset, "dataset", dataset)  # behind its cache
        self.table = np.full(256, UNNAMED, np.uint8)
        self.wide: dict[int, int] = {}
        """What ids become that no byte holds."""
        for identifier, place in places.items():
            if 0 <= identifier < 256:
                self.table[identifier] = place
            else:
                self.wide[identifier] = place

    def __call__(self, label: np.ndarray, name: str) -> np.ndarray:
        """
        Args:
            label: (H, W) raw ids.
            name: of the sample, for the message.

        Returns:
            (H, W) uint8 classes, IGNORE where none of them is.

        Raises:
            DataError: there is an id that the dataset has no name for.
        """
        label = whole(name, label)
        encoded = self.looked_up(label)
        if (encoded == UNNAMED).any():
            strangers = np.unique(label[encoded == UNNAMED]).tolist()
            more = f", … ({len(strangers)} in all)" if len(strangers) > SHOWN else ""
            raise DataError(
                f"{name}: the label holds ids {', '.join(map(str, strangers[:SHOWN]))}{more}, for "
                f"which {type(self.dataset).__name__} has no name; {self._cure(strangers)}"
            )
        return encoded

    def looked_up(self, label: np.ndarray) -> np.ndarray:
        """(H, W) uint8 as above, UNNAMED where an id has no name."""
        if label.dtype == np.uint8:
            return cv2.LUT(label, self.table)  # in a fifth of the time
        encoded = self.table[label.clip(0, 255)]
        encoded[(label < 0) | (label > 255)] = UNNAMED
        for identifier, place in self.wide.items():
            encoded[label == identifier] = place
        return encoded

    def _cure(self, strangers: Collection[int]) -> str:
        divisor = divisor_of(strangers, {*self.dataset.classes, *self.dataset.void})
        if divisor is None:
            return self.dataset.cure_of_strange_ids
        return (
            f"they look like class * {divisor} + the number of an instance: "
            f"{self.dataset.cure_of_instance_ids.format(divisor)}"
        )


def common(source: Iterable[str], target: Iterable[str]) -> LabelSpace:
    """The classes both have, in Cityscapes' order, merged ones where one side knows no finer.

    A side that has the coarse word and one of its parts tells them apart: nothing is merged for it.
    """
    ours, theirs = ({canonical(n) for n in names} for names in (source, target))
    for merged, parts in MERGES.items():
        if any(merged in names and not names & set(parts) for names in (ours, theirs)):
            ours, theirs = (_merge(names, merged, parts) for names in (ours, theirs))
    both = ours & theirs
    if not both:
        hints = (f"{name}: {suggest(name, sorted(theirs))}".strip() for name in sorted(ours))
        near = "".join(f"; {hint}" for hint in hints if "did you mean" in hint)
        raise ConfigError(
            f"source and target have no class in common: {sorted(ours)} against {sorted(theirs)}"
            f"{near}"
        )
    return LabelSpace(tuple(sorted(both, key=_order)))


def other_classes(space: LabelSpace, dataset: Dataset) -> tuple[str, ...]:
    """The dataset's classes that are not in the space; their pixels are still taken for others."""
    names = {canonical(name) for name in dataset.classes.values()}
    return tuple(sorted((n for n in names if space.place(n) == IGNORE), key=_order))


def label_space(
    choice: str | list[str] | None, source: Iterable[str], target: Iterable[str]
) -> LabelSpace:
    """
    Args:
        choice: None for all common classes, the name of a space of `classes.SPACES`, or a list of
            names, whose order is kept. Coarser classes that both sides can be merged into will do.
        source: names of the source's classes.
        target: names of the target's classes.

    Raises:
        ConfigError: something is chosen that is not common.
    """
    source, target = list(source), list(target)
    shared = common(source, target)
    if choice is None:
        return shared
    if isinstance(choice, str):
        if choice not in SPACES:
            hint = f"{suggest(choice, SPACES)}choose from {', '.join(SPACES)}"
            raise ConfigError(f"label_space={choice}: unknown, {hint}, or list classes: [road,sky]")
        choice = list(SPACES[choice])
    wanted = LabelSpace(tuple(canonical(name) for name in choice))
    reached = [{wanted.place(name) for name in names} for names in (source, target)]
    missing = [n for i, n in enumerate(wanted.classes) if not all(i in side for side in reached)]
    if missing:
        raise ConfigError(
            f"label_space: {', '.join(missing)} not common to source and target; "
            f"{suggest(missing[0], shared.classes)}"
            f"choose from {', '.join(shared.classes)}"
        )
    return wanted


def _merge(names: set[str], merged: str, parts: tuple[str, ...]) -> set[str]:
    return (names - set(parts)) | {merged} if names & {merged, *parts} else names


def _order(name: str) -> tuple[int, str]:
    first = MERGES[name][0] if name in MERGES else name
    return (CITYSCAPES.index(first) if first in CITYSCAPES else len(CITYSCAPES), name)
