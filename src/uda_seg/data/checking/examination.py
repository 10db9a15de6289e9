"""One sample looked at: is it there and whole, how large is it, which ids does its label hold.

Nothing is printed or written here: `data check` tells what was found, `statistics` keeps it.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from uda_seg.data.datasets.base import Dataset, FileDataset
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.wrapper import DatasetWrapper
from uda_seg.data.files.headers import orientation_of
from uda_seg.data.files.label_ids import whole
from uda_seg.errors import DataError
from uda_seg.runs.stopping import in_worker

NOTES = {
    "grey": "grey images, read as three equal channels",
    "alpha": "images with an alpha channel, which is dropped",
    "palette": "palette images, read in their palette's colors",
    "cmyk": "CMYK images, whose colors are converted",
    "turned": (
        "images that EXIF says to turn, which are read as stored: they may lie on their side, and "
        "unlike their labels. See them in the contact sheet; to turn them: upright: true in the "
        "YAML of a `folder`, or mogrify -auto-orient"
    ),
}
"""What is worth knowing, but breaks nothing."""


@dataclass
class Finding:
    """What there is to say about one sample."""

    index: int
    size: tuple[int, int] | None = None
    """(height, width); None when the image could not be read."""
    pixels: dict[int, int] = field(default_factory=dict)
    """Raw id -> pixels of the label; empty when it was not asked for."""
    notes: tuple[str, ...] = ()
    """Keys of NOTES."""
    problem: str | None = None
    """Why it cannot be used: names the file and the cure."""
    seconds: float = 0.0
    """That reading took, from the file to arrays."""


def examine(dataset: Dataset, index: int, fields: Collection[str]) -> Finding:
    """Opens what `fields` asks for; whatever goes wrong is told, not raised."""
    began = time.perf_counter()
    try:
        sample = dataset.read(index, fields)
        seconds = time.perf_counter() - began
        height, width = sample.image.shape[:2]
        pixels = {} if sample.label is None else pixels_of(whole(sample.name, sample.label))
        notes = tuple(sorted(_notes(dataset, index)))
    except DataError as error:
        return Finding(index, problem=str(error))
    except Exception as error:  # one file in ten thousand must not end the look at the others
        return Finding(index, problem=f"{dataset.name(index)}: {type(error).__name__}: {error}")
    return Finding(index, (height, width), pixels, notes, seconds=seconds)


def pixels_of(label: np.ndarray) -> dict[int, int]:
    """Raw id -> number of pixels, of a label (H, W)."""
    if label.dtype == np.uint8:
        counts = np.bincount(label.ravel())
        ids = counts.nonzero()[0]
        counts = counts[ids]
    else:
        ids, counts = np.unique(label, return_counts=True)
    return dict(zip(ids.tolist(), counts.tolist(), strict=True))


def unnamed_ids(dataset: Dataset, finding: Finding) -> str | None:
    """The message that training would stop with, if the label holds ids nobody named."""
    label = path_of(dataset, finding.index, "label")
    name = dataset.name(finding.index) if label is None else str(label)
    try:
        LabelMapper(LabelSpace(()), dataset)(np.array([list(finding.pixels)], np.int64), name)
    except DataError as error:
        return str(error)
    return None


def path_of(dataset: Dataset, index: int, part: str) -> Path | None:
    """Where the "image", "label" or "depth" of a sample lies, if it lies in a file of its own."""
    dataset, index = _member(dataset, index)
    if not isinstance(dataset, FileDataset):
        return None
    return getattr(dataset.files[index], part, None)


def turned_in_vain(dataset: Dataset, index: int) -> bool:
    """Whether EXIF says to turn the image of a sample, but it is read as stored."""
    path, member = path_of(dataset, index, "image"), _member(dataset, index)[0]
    if path is None or getattr(member, "upright", False):
        return False
    try:
        return orientation_of(np.fromfile(path, np.uint8)) != 1
    except OSError:  # what reads the image says so
        return False


def _member(dataset: Dataset, index: int) -> tuple[Dataset, int]:
    """The dataset that opens the files, behind caches and out of several, and its index."""
    while isinstance(dataset, DatasetWrapper | MergedDataset):
        if isinstance(dataset, MergedDataset):
            name, index = dataset.place(index)
            dataset = dataset.datasets[name]
        else:
            dataset = dataset.dataset
    return dataset, index


class Examination(TorchDataset):
    """Findings of chosen samples, for a `DataLoader`: parallel as training is, wherever it runs."""

    def __init__(self, dataset: Dataset, indices: Sequence[int], fields: Collection[str]) -> None:
        self.dataset, self.indices, self.fields = dataset, indices, frozenset(fields)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> Finding:
        return examine(self.dataset, self.indices[place], self.fields)


def examinations(
    dataset: Dataset, indices: Sequence[int], fields: Collection[str], workers: int
) -> Iterator[Finding]:
    """Findings in the order of `indices`, by `workers` processes; 0 works in this one."""
    if indices:
        workers = min(workers, len(indices))
        yield from DataLoader(
            Examination(dataset, indices, fields),
            batch_size=None,
            num_workers=workers,
            worker_init_fn=in_worker,
        )


def _notes(dataset: Dataset, index: int) -> Iterator[str]:
    """Only the header is read."""
    from PIL import Image

    path = path_of(dataset, index, "image")
    if path is None:
        return
    if turned_in_vain(dataset, index):
        yield "turned"
    try:
        with Image.open(path) as picture:
            yield from _MODES.get(picture.mode, [])
    except Exception:  # it could be decoded, so there is nothing to complain of
        return


_MODES = {
    "1": ["grey"],
    "L": ["grey"],
    "LA": ["alpha", "grey"],
    "RGBA": ["alpha"],
    "P": ["palette"],
    "CMYK": ["cmyk"],
}
"""Pillow's word -> notes."""
