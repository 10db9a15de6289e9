"""A dataset: what lies on disk, read as it lies there, and what its raw ids are called."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from uda_seg.errors import DataError

FIELDS = frozenset({"image", "label", "depth"})


@dataclass
class Sample:
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    label: np.ndarray | None = None
    """(H, W) uint8 or uint16, the dataset's raw ids."""
    depth: np.ndarray | None = None
    """(H, W) float32, metres; 0 where it is not known."""
    name: str = ""


class Dataset(ABC):
    """Indexed samples with raw labels.

    A new dataset subclasses this (or `FileDataset`) in one small file and names its ids once, in
    `classes`; mapping to an experiment's classes happens on the fly.
    """

    classes: Mapping[int, str]
    """Name of every raw id that counts; Cityscapes' names where the class exists there."""
    has_depth: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, index: int, fields: Collection[str]) -> Sample:
        """Open what `fields` asks for, and nothing else; "image" is always given.

        Args:
            index: 0 .. len - 1.
            fields: out of "image", "label", "depth".
        """

    def name(self, index: int) -> str:
        """What messages and pictures call a sample."""
        return f"{type(self).__name__}[{index}]"


@dataclass
class Files:
    """Where the parts of one sample lie."""

    image: Path
    label: Path | None = None
    depth: Path | None = None


class FileDataset(Dataset):
    """Samples that lie in files; a subclass lists them and names its classes."""

    def __init__(self, root: str, files: list[Files]) -> None:
        self.root = Path(root)
        if not files:
            raise DataError(
                f"{type(self).__name__}: no images under {self.root.resolve()}; "
                "set source.root=, target.root=, data_root= or UDA_SEG_DATA to where it lies"
            )
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        return str(self.files[index].image.relative_to(self.root))

    def read(self, index: int, fields: Collection[str]) -> Sample:
        files = self.files[index]
        sample = Sample(image=self.read_image(files.image), name=self.name(index))
        if "label" in fields:
            sample.label = self.read_label(self._present(files.label, files, "label"))
            if sample.label.shape != sample.image.shape[:2]:
                raise DataError(
                    f"{files.label}: is {sample.label.shape[1]}x{sample.label.shape[0]} pixels, "
                    f"but its image {files.image.name} is "
                    f"{sample.image.shape[1]}x{sample.image.shape[0]}; take both from one release"
                )
        if "depth" in fields:
            sample.depth = self.read_depth(self._present(files.depth, files, "depth"))
        return sample

    def read_image(self, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)

    def read_label(self, path: Path) -> np.ndarray:
        """(H, W) raw ids; a palette PNG gives its indices."""
        label = read_indices(path)
        if label.ndim != 2:
            raise DataError(f"{path}: has {label.shape[2]} channels; an index PNG has one")
        return label

    def read_depth(self, path: Path) -> np.ndarray:
        """(H, W) float32 metres."""
        raise NotImplementedError(f"{type(self).__name__} has no depth")

    @staticmethod
    def _present(path: Path | None, files: Files, field: str) -> Path:
        if path is None or not path.is_file():
            raise DataError(f"{files.image}: has no {field}" + (f" at {path}" if path else ""))
        return path


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        code = np.fromfile(path, np.uint8)  # cv2.imread cannot open every non-ASCII path
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    picture = cv2.imdecode(code, flags) if code.size else None
    if picture is None:
        raise DataError(f"{path}: is not a whole image file; unpack it again")
    return picture


def read_indices(path: Path) -> np.ndarray:
    """(H, W) ids of an index PNG, palette or grey (OpenCV would turn a palette into colours)."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture)
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DataError(f"{path}: is not a whole image file ({error}); unpack it again") from error


def folder_of(root: str, *choices: str) -> Path:
    """The first of the folders under `root` that exists.

    Raises:
        DataError: when none does; says where it looked and which key to set.
    """
    for choice in choices:
        if (Path(root) / choice).is_dir():
            return Path(root) / choice
    raise DataError(
        f"{Path(root).resolve()}: none of the folders {', '.join(choices)} is there; "
        "set source.root=, target.root=, data_root= or UDA_SEG_DATA to where the dataset lies"
    )
