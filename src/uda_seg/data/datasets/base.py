"""A dataset: what lies on disk, read as it lies there, and what its raw ids are called."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.data.files.fit import check_size
from uda_seg.data.files.label_ids import whole
from uda_seg.data.files.listing import Listing, walk
from uda_seg.data.files.reading import read_ids, read_rgb
from uda_seg.data.files.spelling import (
    Spelling,
    absent,
    broken_link,
    broken_part,
    real_paths,
)
from uda_seg.errors import ConfigError, DataError

FIELDS = frozenset({"image", "label", "depth", "superpixels"})


@dataclass
class Sample:
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    label: np.ndarray | None = None
    """(H, W) the dataset's raw ids: uint8 where a byte holds them, int32 or int64 otherwise."""
    depth: np.ndarray | None = None
    """(H, W) float32, metres; 0 where it is not known."""
    superpixels: np.ndarray | None = None
    """(H, W) int32, ids 0 .. n - 1 of connected pieces of the image, at the size it is used at."""
    name: str = ""


class Dataset(ABC):
    """Indexed samples with raw labels.

    A new dataset subclasses this (or `FileDataset`) in one small file and names its ids once;
    mapping to an experiment's classes happens on the fly.

    Attributes:
        classes: name of every raw id that counts; Cityscapes' names where the class exists there.
        void: name of every raw id that does not count. An id in neither is a mistake in the data.
        own_names: the dataset's own word for an id, where `classes` has another.
        terms: of its licence, and how they are known; see `export/terms.py`.
        has_labels: False for pictures alone, which can be a target, but no source.
        has_depth: whether "depth" can be read.
        benchmark_ids: the ids its test server wants, "own_ids" or "train_ids" (Cityscapes').
        ids_in_files: False where the files hold colors, so that the ids are ours.
        cure_of_strange_ids: what to do about an id without a name, as the message says it.
        cure_of_instance_ids: the same where ids look like class times {} + number.
    """

    classes: Mapping[int, str]
    void: Mapping[int, str] = {}
    own_names: Mapping[int, str] = {}
    terms: str = "unknown; ask whoever you had it from"
    has_labels: bool = True
    has_depth: bool = False
    benchmark_ids: str = "own_ids"
    ids_in_files: bool = True
    cure_of_strange_ids: str = (
        "is it another encoding (train ids, level-1 ids, colors) or another dataset's file?"
    )
    cure_of_instance_ids: str = "take the files of classes, not those of instances"

    @classmethod
    def release(cls, domain: Mapping[str, Any]) -> type["Dataset"]:
        """The class with the names of the release that a `source:` or `target:` config says."""
        return cls

    def option_for(self, classes: Mapping[int, str], void: Collection[int] = ()) -> str | None:
        """The setting that makes it read such ids, `version=0.9.13` say; None where none does."""
        return None

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int, fields: Collection[str]) -> Sample:
        """Open what `fields` asks for, and nothing else; "image" is always given.

        Args:
            index: 0 .. len - 1.
            fields: out of `FIELDS`; "superpixels" only behind `data/cache/slic.py`.
        """

    def name(self, index: int) -> str:
        """What messages and pictures call a sample."""
        return f"{type(self).__name__}[{index}]"

    def prediction_name(self, index: int) -> str:
        """Where the PNG of a prediction lies, as the dataset's test server wants it."""
        return f"{index:06d}.png"

    def identity(self, index: int) -> str | None:
        """Changes whenever the sample on disk does; None: nothing made from it may be kept."""
        return None

    def recipe(self, index: int) -> str | None:
        """All that a sample follows from which is drawn rather than read; None: it is read."""
        return None

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        """What a listing alone tells to be missing, one message a file."""
        yield from ()

    def incomplete(self, fields: Collection[str]) -> Iterator[str]:
        """Names of the samples of which `missing` speaks."""
        yield from ()

    def remarks(self) -> Iterator[str]:
        """What was passed over when files were listed, one line each."""
        yield from ()

    def take(self, indices: Sequence[int]) -> None:
        """Makes it shorter: to the samples at these indices, in this order."""
        raise ConfigError(f"leave_out: {type(self).__name__} is drawn, its samples have no files")

    def real_paths(self) -> list[str]:
        """Where each image lies, links followed; empty when they do not lie in files."""
        return []


@dataclass
class Files:
    """Where the parts of one sample lie."""

    image: Path
    label: Path | None = None
    depth: Path | None = None


class FileDataset(Dataset):
    """Samples that lie in files; a subclass lists them and names its classes.

    Labels and depth whose names differ from the given ones in capital letters alone are found.

    Args:
        root: all files lie below it.
        files: one entry a sample; of images, as `pictures_in` lists them.

    Attributes:
        upright: whether files are turned as their EXIF says; otherwise they are read as stored.
        cure_of_turned: what to do when a label lies upright and its image does not.
    """

    upright: bool = False
    cure_of_turned: str = "turn the images for good, say with ImageMagick: mogrify -auto-orient"
    _listings: tuple[Listing, ...] = ()
    _left_out = 0

    def __init__(self, root: str, files: list[Files]) -> None:
        self.root = Path(root)
        if not files:
            lies = "; ".join(listing.instead() for listing in self._listings)
            raise DataError(
                f"{type(self).__name__}: no images under {self.root.resolve()}"
                + (f" ({lies}); " if lies else "; ")
                + "set source.root=, target.root=, data_root= or UDA_SEG_DATA to where it lies"
            )
        spelling = Spelling(self.root)
        labels = spelling.of([file.label for file in files])
        depths = spelling.of([file.depth for file in files])
        self.files = [Files(f.image, *parts) for f, *parts in zip(files, labels, depths)]

    def pictures_in(self, folder: Path, pattern: str = "*") -> list[Path]:
        """Picture files below a folder that match, in order; as `walk` in `data/files/listing.py`.

        Links are followed, the case of letters is not told apart, hidden files are left out; what
        is passed over is kept for `remarks`.
        """
        listing = walk(folder, pattern)
        self._listings += (listing,)
        return listing.files

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        """Lays a drawn sample on disk just as this dataset would have it: for `data draw`.

        Args:
            root: what the dataset's `root` will be; folders are made as needed.
            split: one of the dataset's.
            number: tells samples of a split apart.
            sample: its label holds Cityscapes' 19 train ids and 255; depth is in metres.
        """
        raise NotImplementedError(f"{cls.__name__} cannot be drawn")

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return str(self.files[index].image.relative_to(self.root))

    def prediction_name(self, index: int) -> str:
        return str(self.files[index].image.relative_to(self.root).with_suffix(".png"))

    def identity(self, index: int) -> str:
        """Made of names, sizes and dates: files are not opened for it."""
        files, parts = self.files[index], []
        for path in (files.image, files.label, files.depth):
            if path is not None and path.is_file():
                stat = path.stat()
                parts.append(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
        return hashlib.sha256(os.fsencode("\n".join([type(self).__name__, *parts]))).hexdigest()

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        return (message for _, message in self._lacking(fields))

    def incomplete(self, fields: Collection[str]) -> Iterator[str]:
        return (self.name(index) for index, _ in self._lacking(fields))

    def remarks(self) -> Iterator[str]:
        for listing in self._listings:
            yield from listing.remarks()
        labels = [file.label for file in self.files if file.label is not None]
        twin = next((path for path, count in Counter(labels).items() if count > 1), None)
        if twin is not None:
            yield f"images share a label ({len(labels) - len(set(labels))} times): {twin}"
        if self._left_out:
            yield f"{self._left_out} of {self._left_out + len(self)} samples are left out by name"

    def take(self, indices: Sequence[int]) -> None:
        self._left_out += len(self.files) - len(indices)
        self.files = [self.files[index] for index in indices]

    def real_paths(self) -> list[str]:
        links = {path for listing in self._listings for path in listing.links}
        return real_paths([files.image for files in self.files], links)

    def _lacking(self, fields: Collection[str]) -> Iterator[tuple[int, str]]:
        """Samples of which a file is not there, by index, and what is to be said."""
        broken = {path for listing in self._listings for path in listing.broken}
        wanted = sorted({"label", "depth"} & set(fields))
        paths = (getattr(files, field) for files in self.files for field in wanted)
        lacking = absent(path for path in paths if path is not None)
        for index, files in enumerate(self.files):
            if files.image in broken:
                yield index, f"{files.image}: {broken_link(files.image)}"
            for field in wanted:
                if getattr(files, field) is None or getattr(files, field) in lacking:
                    yield index, self._lack(files, field)

    def read(self, index: int, fields: Collection[str]) -> Sample:
        files = self.files[index]
        sample = Sample(image=self.read_image(files.image), name=self.name(index))
        if "label" in fields:
            path, sample.label = self._read_ids(files)
            self._same_size(path, sample.label, files, sample.image)
        if "depth" in fields:
            path = self._present(files, "depth")
            sample.depth = self.read_depth(path)
            self._same_size(path, sample.depth, files, sample.image)
        return sample

    def read_image(self, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return read_rgb(path, self.upright)

    def read_label(self, path: Path) -> np.ndarray:
        """(H, W) raw ids; a palette PNG gives its indices."""
        return read_ids(path, self.upright)

    def read_depth(self, path: Path) -> np.ndarray:
        """(H, W) float32 metres; 0 where it is not known."""
        raise NotImplementedError(f"{type(self).__name__} has no depth")

    def _read_ids(self, files: Files) -> tuple[Path, np.ndarray]:
        path = self._present(files, "label")
        return path, whole(path, self.read_label(path))

    def _present(self, files: Files, field: str) -> Path:
        path = getattr(files, field)
        if path is None or not path.is_file():
            raise DataError(self._lack(files, field))
        return path

    def _lack(self, files: Files, field: str) -> str:
        path = getattr(files, field)
        broken = path and broken_part(path)
        if broken:
            return f"{files.image}: has no {field}: {broken} {broken_link(broken)}"
        return self._absent(files, field)

    @staticmethod
    def _absent(files: Files, field: str) -> str:
        path = getattr(files, field)
        where = f" at {path}; unpack the {field}s beside the images" if path else ""
        return f"{files.image}: has no {field}{where}"

    def _same_size(self, path: Path, array: np.ndarray, files: Files, image: np.ndarray) -> None:
        check_size(path, array, files.image, image, self.cure_of_turned)
