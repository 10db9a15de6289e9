"""How many pixels of which class every sample holds: counted once, kept outside the dataset."""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.data.cache.cached_dataset import Cached
from uda_seg.data.cache.stores import Address, Disk, folder_apart
from uda_seg.data.checking.examination import NOTES, Finding, examinations, path_of
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.errors import ConfigError, DataError

log = logging.getLogger(__name__)


class Records:
    """Findings of one split, kept between runs as `Cached` keeps what is read.

    Args:
        dataset: the split. Samples whose identity is None are not kept.
        fields: that were read for them.
        cache_root: folder of all caches; `~` is the home folder.
        drawn: those that are drawn are kept all the same.

    Raises:
        ConfigError: that folder lies inside the dataset's.
    """

    def __init__(
        self,
        dataset: Dataset,
        fields: Collection[str],
        cache_root: str | Path,
        drawn: bool = False,
    ) -> None:
        self.dataset, self.fields, self.drawn = dataset, frozenset(fields), drawn
        self.folder = folder_apart(cache_root, getattr(dataset, "root", None))
        self.kept: Cached | None = None
        """Made with the first sample: a split that is drawn leaves no folder."""
        self.broken = False
        self.addresses: dict[int, Address | None] = {}
        """As samples were just before they were read."""

    def known(self, index: int) -> Finding | None:
        """The finding of a sample that is on disk as it was then."""
        self.addresses[index] = address = self._address(index)
        if address is None or self.kept is None:
            return None
        try:
            entry = self.kept.load(address)
        except DataError as error:
            self._warn(error)
            return None
        if entry is None:
            return None
        paths = (path_of(self.dataset, index, part) for part in self.fields)
        readable = all(path is None or os.access(path, os.R_OK) for path in paths)
        # A lost permission leaves the dates as they are.
        return _finding(index, entry) if readable else None

    def add(self, finding: Finding) -> None:
        """Keeps it, unless there is a problem, which may be mended without a trace on the file."""
        address = self.addresses.get(finding.index)
        if address is None or self.kept is None:
            return
        try:
            if finding.problem is not None:
                self.kept.store.remove(address)
            else:
                self.kept.save(address, _entry(finding))
        except DataError as error:
            self._warn(error)

    def _address(self, index: int) -> Address | None:
        try:
            identity = self.dataset.identity(index)
            if identity is None and self.drawn:
                identity = self.dataset.recipe(index)
            if identity is None or self.broken:
                return None
            if self.kept is None:
                self.kept = Cached(self.dataset, None, Disk(self.folder), own_labels=True)
        except OSError:  # what reads the sample says so
            return None
        except ConfigError as error:
            self._warn(error)
            return None
        # Notes are kept as bits: with other notes an entry would say something else.
        method = f"{sorted(self.fields)} {list(NOTES)}"
        return self.kept.address(index, identity, "pixels", method)

    def _warn(self, error: Exception) -> None:
        if not self.broken:
            log.warning("class statistics cannot be kept: %s", error)
        self.broken = True


def _entry(finding: Finding) -> np.ndarray:
    """(n, 2) int64: height and width, bits of the notes, then each id with its pixels."""
    notes = sum(1 << place for place, note in enumerate(NOTES) if note in finding.notes)
    size = finding.size or (0, 0)
    return np.array([size, (notes, 0), *finding.pixels.items()], np.int64)


def _finding(index: int, entry: np.ndarray) -> Finding:
    (height, width), (notes, _), *pixels = entry.tolist()
    held = sorted(note for place, note in enumerate(NOTES) if notes >> place & 1)
    return Finding(index, (height, width), {i: count for i, count in pixels}, tuple(held))


def examine_all(
    dataset: Dataset,
    indices: Sequence[int],
    fields: Collection[str],
    workers: int,
    records: Records,
) -> Iterator[Finding]:
    """Findings of samples that are all opened, kept in `records` as they come."""
    for index in indices:
        if index not in records.addresses:
            records.known(index)
    for finding in examinations(dataset, indices, fields, workers):
        records.add(finding)
        yield finding


@dataclass(frozen=True)
class ClassStatistics:
    """What rare-class sampling needs to know about a labelled split."""

    classes: tuple[str, ...]
    pixels: np.ndarray
    """(samples, classes) int64."""

    def frequencies(self) -> np.ndarray:
        """(classes,) f_c: its share of all pixels that count."""
        total = self.pixels.sum()
        return self.pixels.sum(0) / total if total else np.zeros(len(self.classes))

    def holders(self, least: int = 1) -> list[np.ndarray]:
        """Per class the indices of samples with at least so many pixels of it."""
        return [np.flatnonzero(column >= least) for column in self.pixels.T]

    def rare_class_probabilities(
        self, temperature: float, drawn: np.ndarray | None = None
    ) -> np.ndarray:
        """(classes,) P(c) ∝ exp((1 − f_c) / T) of rare-class sampling; 0 where nothing is held.

        Hoyer et al., DAFormer, CVPR 2022, arXiv:2111.14887.

        Args:
            temperature: T.
            drawn: (classes,) bool, those that can be drawn; None: all that are held.
        """
        frequencies = self.frequencies()
        held = (frequencies > 0) & (True if drawn is None else drawn)
        if not held.any():
            return np.zeros_like(frequencies)
        rarest = frequencies[held].min()  # takes the place of 1, which cancels out
        weights = held * np.exp(np.minimum(rarest - frequencies, 0) / temperature)
        return weights / weights.sum()


def class_pixels(
    dataset: Dataset,
    space: LabelSpace,
    cache_root: str | Path,
    workers: int = 0,
    told: Callable[[], Any] | None = None,
    unreadable: Callable[[int, DataError], Any] | None = None,
) -> ClassStatistics:
    """Counts every sample of a labelled split, or remembers it.

    Args:
        dataset: the split.
        space: the classes to count; raw ids of other classes are left out.
        cache_root: as for `Records`.
        workers: processes that read.
        told: called after every sample.
        unreadable: called with the index of a sample that cannot be read, which holds nothing, and
            why.

    Raises:
        DataError: the split has no labels.
    """
    if not dataset.has_labels:
        raise DataError(f"{type(dataset).__name__}: has no labels, so no classes can be counted")
    fields = {"image", "label"}
    places = {identifier: space.place(name) for identifier, name in dataset.classes.items()}
    pixels = np.zeros((len(dataset), len(space)), np.int64)
    records = Records(dataset, fields, cache_root, drawn=True)
    known = [f for index in range(len(dataset)) if (f := records.known(index)) is not None]
    unknown = sorted({*range(len(dataset))} - {finding.index for finding in known})
    for finding in chain(known, examine_all(dataset, unknown, fields, workers, records)):
        if finding.problem is not None and unreadable is not None:
            unreadable(finding.index, DataError(finding.problem))
        for identifier, count in finding.pixels.items():
            place = places.get(identifier, IGNORE)
            if place != IGNORE:
                pixels[finding.index, place] += count
        if told is not None:
            told()
    return ClassStatistics(space.classes, pixels)
