"""A dataset: what lies on disk, read as it lies there, and what its raw ids are called."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uda_seg.data.files import folder_of, pictures_in, read_ids, read_rgb
from uda_seg.errors import DataError

__all__ = [
    "FIELDS", "Dataset", "FileDataset", "Files", "Sample", "Wrapped", "folder_of", "pictures_in",
]  # fmt: skip

FIELDS = frozenset({"image", "label", "depth", "superpixels"})


@dataclass
class Sample:
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    label: np.ndarray | None = None
    """(H, W) uint8 or uint16, the dataset's raw ids."""
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
        has_labels: False for pictures alone, which can be a target, but no source.
        has_depth: whether "depth" can be read.
        benchmark_ids: the ids its test server wants, "own_ids" or "train_ids" (Cityscapes').
        cure_of_strange_ids: what to do about an id without a name, as the message says it.
    """

    classes: Mapping[int, str]
    void: Mapping[int, str] = {}
    own_names: Mapping[int, str] = {}
    has_labels: bool = True
    has_depth: bool = False
    benchmark_ids: str = "own_ids"
    cure_of_strange_ids: str = (
        "is it another encoding (train ids, level-1 ids, colours) or another dataset's file?"
    )

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int, fields: Collection[str]) -> Sample:
        """Open what `fields` asks for, and nothing else; "image" is always given.

        Args:
            index: 0 .. len - 1.
            fields: out of "image", "label", "depth", and behind `data/superpixels.py` also
                "superpixels".
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

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        """What a listing alone tells to be missing, one message a file."""
        yield from ()


class Wrapped(Dataset):
    """A dataset read in another way: what it knows of itself stays."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.classes, self.void, self.own_names = dataset.classes, dataset.void, dataset.own_names
        self.has_labels, self.has_depth = dataset.has_labels, dataset.has_depth

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def identity(self, index: int) -> str | None:
        return self.dataset.identity(index)

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        return self.dataset.missing(fields)


@dataclass
class Files:
    """Where the parts of one sample lie."""

    image: Path
    label: Path | None = None
    depth: Path | None = None


class FileDataset(Dataset):
    """Samples that lie in files; a subclass lists them and names its classes.

    Args:
        root: all files lie below it.
        files: one entry a sample.
    """

    def __init__(self, root: str, files: list[Files]) -> None:
        self.root = Path(root)
        if not files:
            _check_rights(self.root)
            raise DataError(
                f"{type(self).__name__}: no images under {self.root.resolve()}; "
                "set source.root=, target.root=, data_root= or UDA_SEG_DATA to where it lies"
            )
        self.files = files

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
        """Of names, sizes and dates: files are not opened for it."""
        files, parts = self.files[index], []
        for path in (files.image, files.label, files.depth):
            if path is not None and path.is_file():
                stat = path.stat()
                parts.append(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}")
        return hashlib.sha256(os.fsencode("\n".join([type(self).__name__, *parts]))).hexdigest()

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        listed: dict[Path, set[str]] = {}  # one listing a folder: asking file by file is slow
        for files in self.files:
            for field in sorted({"label", "depth"} & set(fields)):
                path = getattr(files, field)
                if path is not None and path.parent not in listed:
                    listed[path.parent] = _names(path.parent)
                if path is None or path.name not in listed[path.parent]:
                    yield self._absent(files, field)

    def read(self, index: int, fields: Collection[str]) -> Sample:
        files = self.files[index]
        sample = Sample(image=self.read_image(files.image), name=self.name(index))
        if "label" in fields:
            path = self._present(files, "label")
            sample.label = self.read_label(path)
            self._same_size(path, sample.label, files, sample.image)
        if "depth" in fields:
            path = self._present(files, "depth")
            sample.depth = self.read_depth(path)
            self._same_size(path, sample.depth, files, sample.image)
        return sample

    def read_image(self, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return read_rgb(path)

    def read_label(self, path: Path) -> np.ndarray:
        """(H, W) raw ids; a palette PNG gives its indices."""
        return read_ids(path)

    def read_depth(self, path: Path) -> np.ndarray:
        """(H, W) float32 metres; 0 where it is not known."""
        raise NotImplementedError(f"{type(self).__name__} has no depth")

    def _present(self, files: Files, field: str) -> Path:
        path = getattr(files, field)
        if path is None or not path.is_file():
            raise DataError(self._absent(files, field))
        return path

    @staticmethod
    def _absent(files: Files, field: str) -> str:
        path = getattr(files, field)
        where = f" at {path}; unpack the {field}s beside the images" if path else ""
        return f"{files.image}: has no {field}{where}"

    @staticmethod
    def _same_size(path: Path, array: np.ndarray, files: Files, image: np.ndarray) -> None:
        if array.shape != image.shape[:2]:
            raise DataError(
                f"{path}: is {array.shape[1]}x{array.shape[0]} pixels, "
                f"but its image {files.image.name} is {image.shape[1]}x{image.shape[0]}; "
                "take both from one release"
            )


def _check_rights(root: Path) -> None:
    """A folder that may not be listed looks like an empty one."""

    def told(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise DataError(
                f"{error.filename}: may not be listed; give yourself the right: chmod -R +rX"
            ) from error

    for _ in os.walk(root, onerror=told):
        pass


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error
