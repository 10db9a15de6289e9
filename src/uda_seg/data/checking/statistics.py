"""How many pixels of which class every sample holds: counted once, kept outside the dataset.

One compressed file a dataset, split and set of fields lies in the cache folder. Every sample in it
stands beside the `Dataset.identity` it had, so what changed on disk is counted again, alone; and
it is written as counting goes on, so what a killed process has counted is not lost.
"""

import hashlib
import logging
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg import __version__
from uda_seg.batch import IGNORE
from uda_seg.data.cache.stores import folder_apart
from uda_seg.data.checking.examination import Finding, examinations, path_of
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.files.decoding import FORMAT
from uda_seg.errors import DataError
from uda_seg.runs import files

log = logging.getLogger(__name__)

SAVE_SECONDS = 30.0
"""Of counting that a kill may cost."""


class Records:
    """Findings of one split, kept between runs.

    Args:
        dataset: the split. Samples whose identity is None are not kept.
        fields: that were read for them.
        cache_root: folder of all caches; `~` is the home folder.

    Raises:
        ConfigError: that folder lies inside the dataset's.
    """

    def __init__(self, dataset: Dataset, fields: Collection[str], cache_root: str | Path) -> None:
        key = hashlib.sha256(fingerprint(dataset, fields).encode("utf-8", "surrogatepass"))
        name = f"{type(dataset).__name__.lower()}-{key.hexdigest()[:32]}.npz"
        self.dataset, self.fields = dataset, frozenset(fields)
        self.path = folder_apart(cache_root, getattr(dataset, "root", None)) / "statistics" / name
        self.findings = _load(self.path)
        self.identities: dict[int, bytes | None] = {}
        """As they were just before a sample was read."""
        self.changed, self.broken, self.saved = False, False, time.monotonic()

    def known(self, index: int) -> Finding | None:
        """The finding of a sample that is on disk as it was then."""
        self.identities[index] = identity = self._identity(index)
        stored = self.findings.get(index)
        if stored is None or stored[0] != identity:
            return None
        paths = (path_of(self.dataset, index, part) for part in self.fields)
        readable = all(path is None or os.access(path, os.R_OK) for path in paths)
        return stored[1] if readable else None  # a lost permission leaves the dates as they are

    def add(self, finding: Finding) -> None:
        """Keeps it, unless there is a problem, which may be mended without a trace on the file."""
        identity = self.identities.get(finding.index)
        if finding.problem is not None:
            self.findings.pop(finding.index, None)
        elif identity is not None:
            self.findings[finding.index] = identity, finding
            self.changed = True
        if time.monotonic() - self.saved > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Writes all at once, together with what another process has added meanwhile."""
        self.saved = time.monotonic()
        if not self.changed or self.broken:
            return
        try:
            _save(self.path, {**_load(self.path), **self.findings})
            self.changed = False
        except OSError as error:
            self.broken = True
            log.warning(
                "%s: class statistics cannot be kept (%s); set cache_root= or UDA_SEG_CACHE to a "
                "folder that can be written", self.path.parent, error.strerror,
            )  # fmt: skip

    def _identity(self, index: int) -> bytes | None:
        try:
            identity = self.dataset.identity(index)
        except OSError:
            return None
        return (
            None
            if identity is None
            else hashlib.sha256(identity.encode()).hexdigest()[:32].encode()
        )


def opened(
    dataset: Dataset,
    indices: Sequence[int],
    fields: Collection[str],
    workers: int,
    records: Records,
) -> Iterator[Finding]:
    """Findings of samples that are all opened, kept in `records` as they come."""
    for index in indices:
        if index not in records.identities:
            records.known(index)
    try:
        for finding in examinations(dataset, indices, fields, workers):
            records.add(finding)
            yield finding
    finally:
        records.save()


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

    def rare_class_probabilities(self, temperature: float) -> np.ndarray:
        """(classes,) P(c) ∝ exp((1 − f_c) / T) of rare-class sampling; 0 where nothing is held.

        Hoyer et al., DAFormer, CVPR 2022, arXiv:2111.14887.
        """
        frequencies = self.frequencies()
        held = frequencies > 0
        if not held.any():
            return frequencies
        rarest = frequencies[held].min()  # takes the place of 1, which cancels out
        weights = held * np.exp(np.minimum(rarest - frequencies, 0) / temperature)
        return weights / weights.sum()


def class_pixels(
    dataset: Dataset,
    space: LabelSpace,
    cache_root: str | Path,
    workers: int = 0,
    told: Callable[[], Any] | None = None,
) -> ClassStatistics:
    """Counts every sample of a labelled split, or remembers it.

    A sample that cannot be read holds nothing: it is for training to name it, or to skip it.

    Args:
        dataset: the split.
        space: the classes to count; raw ids of other classes are left out.
        cache_root: as for `Records`.
        workers: processes that read.
        told: called after every sample.

    Raises:
        DataError: the split has no labels.
    """
    if not dataset.has_labels:
        raise DataError(f"{type(dataset).__name__}: has no labels, so no classes can be counted")
    fields = {"image", "label"}
    places = {identifier: space.place(name) for identifier, name in dataset.classes.items()}
    pixels = np.zeros((len(dataset), len(space)), np.int64)
    records = Records(dataset, fields, cache_root)
    known = [f for index in range(len(dataset)) if (f := records.known(index)) is not None]
    unknown = sorted({*range(len(dataset))} - {finding.index for finding in known})
    for finding in chain(known, opened(dataset, unknown, fields, workers, records)):
        for identifier, count in finding.pixels.items():
            place = places.get(identifier, IGNORE)
            if place != IGNORE:
                pixels[finding.index, place] += count
        if told is not None:
            told()
    return ClassStatistics(space.classes, pixels)


def fingerprint(dataset: Dataset, fields: Collection[str]) -> str:
    """Text that differs between datasets whose samples are read in different ways.

    It holds the dataset's public attributes: listed files, class names, color tables and so on.
    """
    facts = [
        __version__,
        FORMAT,
        sorted(fields),
        dict(dataset.classes),
        dict(dataset.void),
        dataset,
    ]
    return _described(facts, 0)


def _described(value: Any, depth: int) -> str:
    """As `repr`, but without addresses, and with absolute paths; deep things by their type."""
    if value is None or isinstance(value, str | bytes | int | float):
        return repr(value)
    if isinstance(value, Path):
        return os.path.abspath(value)
    if isinstance(value, np.ndarray):
        return f"{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if depth > 6:
        return kind
    if isinstance(value, Mapping):
        pairs = [f"{key!r}:{_described(child, depth + 1)}" for key, child in value.items()]
        return f"{kind}{{{','.join(sorted(pairs))}}}"
    if isinstance(value, list | tuple):
        return f"{kind}[{','.join(_described(child, depth + 1) for child in value)}]"
    if isinstance(value, set | frozenset):
        return f"{kind}[{','.join(sorted(_described(child, depth + 1) for child in value))}]"
    public = {k: v for k, v in getattr(value, "__dict__", {}).items() if not k.startswith("_")}
    return f"{kind}({_described(public, depth + 1)})"


def _load(path: Path) -> dict[int, tuple[bytes, Finding]]:
    """Index -> identity and finding; nothing when there is no such file, or a broken one."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        ids, pixels = arrays["ids"].tolist(), arrays["pixels"].tolist()
        ends, found, start = arrays["ends"].tolist(), {}, 0
        for row, index in enumerate(arrays["index"].tolist()):
            part = slice(start, ends[row])
            height, width = arrays["size"][row].tolist()
            notes = tuple(str(arrays["notes"][row]).split())
            finding = Finding(index, (height, width), dict(zip(ids[part], pixels[part])), notes)
            found[index] = bytes(arrays["identity"][row]), finding
            start = ends[row]
        return found
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile, zlib.error):
        return {}


def _save(path: Path, found: Mapping[int, tuple[bytes, Finding]]) -> None:
    findings = [found[index] for index in sorted(found)]
    lengths = [len(finding.pixels) for _, finding in findings]
    with files.replacing(path) as file:
        np.savez_compressed(
            file,
            index=np.array([finding.index for _, finding in findings], np.int64),
            identity=np.array([identity for identity, _ in findings]),
            size=np.array([finding.size for _, finding in findings], np.int32),
            notes=np.array([" ".join(finding.notes) for _, finding in findings]),
            ends=np.cumsum(lengths, dtype=np.int64),
            ids=np.array([i for _, f in findings for i in f.pixels], np.int64),
            pixels=np.array([n for _, f in findings for n in f.pixels.values()], np.int64),
        )
