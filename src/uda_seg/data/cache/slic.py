"""Superpixels: connected pieces of an image that are alike in color, kept like the image itself.

Achanta et al., SLIC Superpixels Compared to State-of-the-Art Superpixel Methods, TPAMI 2012.
"""

import copy
from collections.abc import Callable, Collection

import cv2
import numpy as np

from uda_seg.data.cache.cached_dataset import Cached, cached, pack, unpack
from uda_seg.data.cache.stores import Address, Disk, Memory
from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.wrapper import DatasetWrapper
from uda_seg.images import scaling

KIND = "superpixels"
SMALLEST = 0.25
"""Ours: pieces of less than this share of the mean size join a neighbor. The library's 0.5 costs
poles and signs: with 0.25 a superpixel's commonest class is the right one for 1 to 2 % more of
CamVid's pixels."""


class SLIC:
    """
    Args:
        segments: about how many an image is divided into.
        compactness: weight of a pixel's place against its color in CIELAB (lightness 0 to 100);
            the paper's m.
        smoothing: standard deviation, in pixels, of a Gaussian blur before; 0 for none.
        iterations: of the clustering.
    """

    def __init__(
        self, segments: int, compactness: float, smoothing: float, iterations: int
    ) -> None:
        self.segments, self.iterations = int(segments), int(iterations)
        self.compactness, self.smoothing = float(compactness), float(smoothing)

    @property
    def words(self) -> str:
        """All that a result depends on, apart from the image."""
        return (
            f"SLIC, {self.segments} segments, compactness {self.compactness}, smoothing "
            f"{self.smoothing}, {self.iterations} iterations, smallest {SMALLEST}"
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB to (H, W) int32: ids 0 .. n - 1 of connected pieces."""
        from skimage.segmentation import slic  # takes a second, which most runs need not spend

        colors = lab(image)
        if self.smoothing:
            colors = cv2.GaussianBlur(colors, (0, 0), self.smoothing)
        # scikit-image stretches whatever it is given to [0, 1] (since its pull request 5518), and
        # compactness would mean something else in every image: undone here.
        extent = float(colors.max() - colors.min()) or 1.0
        found = slic(
            colors,
            n_segments=self.segments,
            compactness=self.compactness / extent,
            max_num_iter=self.iterations,
            convert2lab=False,  # its own conversion is slow, and gives 64-bit floats
            min_size_factor=SMALLEST,
            start_label=0,
        )
        return found.astype(np.int32)


def lab(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB to CIELAB, float32: lightness 0 to 100."""
    pixels = np.ascontiguousarray(image, np.float32)
    return cv2.cvtColor(pixels / np.float32(255), cv2.COLOR_RGB2LAB)


class WithSuperpixels(DatasetWrapper):
    """A dataset that offers "superpixels" besides: of the image at the size it is used at.

    Args:
        dataset: what is read, cached or not.
        kept: where superpixels are looked for, and kept.
        size: (height, width) of the image; None keeps its own.
        divide: makes them.
    """

    def __init__(
        self,
        dataset: Dataset,
        kept: "Cached | Remembered",
        size: list[int] | None,
        divide: SLIC,
    ) -> None:
        super().__init__(dataset)
        self.kept, self.size, self.divide = kept, size, divide

    def read(self, index: int, fields: Collection[str]) -> Sample:
        """As the dataset; superpixels that are not kept yet are made."""
        sample = self.dataset.read(index, set(fields) - {KIND})
        if KIND in fields:
            image = sample.image
            found = self.kept.keep(index, KIND, self.divide.words, lambda: self._of(image))
            sample.superpixels = found.astype(np.int32)
        return sample

    def prepare(self, index: int) -> None:
        """Makes and keeps them."""
        self.read(index, {KIND})

    def lacking(self) -> list[int]:
        """The samples that are to be prepared: of what lies in files, and is kept on disk."""
        if isinstance(self.kept, Remembered) or not isinstance(self.kept.store, Disk):
            return []
        return [i for i in range(len(self)) if not self.kept.has(i, KIND, self.divide.words)]

    def weigh(self, index: int) -> int:
        """Bytes that a sample's superpixels take; keeps nothing."""
        found = self._of(self.dataset.read(index, set()).image)
        return sum(len(part) for part in pack(found, compress=True))

    def _of(self, image: np.ndarray) -> np.ndarray:
        found = self.divide(scaling.resize_image(image, self.size) if self.size else image)
        return found.astype(np.uint16) if found.max() < 2**16 else found


class Remembered:
    """Results for samples that are drawn, the same each time, and so have no identity on disk.

    Args:
        samples: of the dataset.
        pixels: of an image.
    """

    def __init__(self, samples: int, pixels: int) -> None:
        self.store = Memory(samples, (KIND,), need=0, most=2 * samples * pixels)

    def keep(
        self, index: int, kind: str, method: str, make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """As `Cached.keep`, in memory that the reading processes share."""
        address = Address(index, kind, shelf="", digest=bytes(32))
        entry = self.store.load(address)
        found = None if entry is None else unpack(entry)
        if found is None:
            found = make()
            self.store.save(address, pack(found, compress=True))
        return found


def with_superpixels(
    dataset: Dataset, size: list[int] | None, cache_root: str, divide: SLIC
) -> Dataset:
    """
    Args:
        dataset: as it is read, behind a cache or not.
        size: (height, width) of the images; None keeps theirs.
        cache_root: folder where superpixels of files are kept, unless the dataset's cache is in
            memory that takes all: then they are there too.
        divide: makes them.
    """
    if isinstance(dataset, MergedDataset):
        several = copy.copy(dataset)
        several.datasets = {
            name: with_superpixels(member, size, cache_root, divide)
            for name, member in dataset.datasets.items()
        }
        return several
    kept: Dataset | Remembered = dataset
    if not len(dataset) or dataset.identity(0) is None:
        height, width = size or dataset.read(0, set()).image.shape[:2]
        kept = Remembered(len(dataset), height * width)
    elif not isinstance(dataset, Cached):
        kept = cached(dataset, size, "disk", cache_root)
    elif isinstance(dataset.store, Memory) and not dataset.store.need:
        kept = cached(dataset.dataset, size, "disk", cache_root)
    assert isinstance(kept, Cached | Remembered)
    return WithSuperpixels(dataset, kept, size, divide)


def members(dataset: Dataset) -> list[WithSuperpixels]:
    """Of `with_superpixels`: itself, or each of several."""
    each = dataset.datasets.values() if isinstance(dataset, MergedDataset) else [dataset]
    return [one for one in each if isinstance(one, WithSuperpixels)]
