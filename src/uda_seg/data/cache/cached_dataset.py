"""Samples kept as they are after decoding and resizing: reading one again costs milliseconds.

An entry's address follows from everything it depends on: the dataset's class, the sample's files
(names, sizes, dates), what of it is kept, at which size, resized how. So an entry is never stale,
and never changes. What is kept are raw ids; they become an experiment's classes after.
"""

import copy
import hashlib
import inspect
import logging
import struct
import sys
import zlib
from collections.abc import Callable, Collection

import numpy as np

from uda_seg.data.cache.stores import (
    SPARE,
    Address,
    Disk,
    Memory,
    Store,
    folder_apart,
    free_memory,
)
from uda_seg.data.datasets import base
from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.wrapper import DatasetWrapper
from uda_seg.data.files.decoding import FORMAT
from uda_seg.errors import ConfigError
from uda_seg.images import scaling

log = logging.getLogger(__name__)

KINDS = ("image", "label", "depth", "superpixels", "features", "pixels")
"""What can be kept of a sample; the first three are read from files, the others worked out."""
OF_THE_IMAGE = ("image", "superpixels", "features")
"""Kinds that do not depend on how a dataset's labels and depth are read."""


def cached(
    dataset: Dataset, size: list[int] | None, cache: str, root: str, own_labels: bool = False
) -> Dataset:
    """The dataset behind a cache, or itself when there is none or nothing of it may be kept.

    Args:
        dataset: what is read.
        size: (height, width) of the images; None keeps theirs.
        cache: "none"; "disk"; "ram", which refuses what does not fit; or "auto": as many samples
            as memory has room for, as they come; the others are read every time.
        root: folder for "disk"; `~` is the home folder.
        own_labels: labels keep their own resolution, as scoring wants them.
    """
    if isinstance(dataset, MergedDataset):  # its members: they may be kept already
        several = copy.copy(dataset)
        several.datasets = {
            name: cached(member, size, cache, root, own_labels)
            for name, member in dataset.datasets.items()
        }
        return several
    if cache == "none" or not len(dataset) or _origin(dataset, 0) is None:
        return dataset
    if cache in ("ram", "auto"):
        try:
            memory = _memory(dataset, size, all_of_it=cache == "ram")
        except ConfigError:
            if cache == "ram":
                raise
            return dataset  # the system promises no memory that is not needed yet
        return Cached(dataset, size, memory, own_labels)
    folder = folder_apart(root, getattr(dataset, "root", None))
    return Cached(dataset, size, Disk(folder), own_labels)


class Cached(DatasetWrapper):
    """A dataset whose images, labels and depth are resized once and then kept.

    Labels and depth take the nearest pixel, images `scaling.resize_image`: a `Transform` of this
    size without a random scale gives the same bits with and without. (With one, the image is
    resized a second time.) An id the dataset has no name for is only met when it survives the
    resizing.

    Args:
        dataset: what is read.
        size: (height, width), or None to keep the decoded images at their own size.
        store: where results are kept.
        own_labels: labels keep their own resolution, as scoring wants them.
    """

    def __init__(
        self, dataset: Dataset, size: list[int] | None, store: Store, own_labels: bool
    ) -> None:
        super().__init__(dataset)
        self.store, self.own_labels = store, own_labels
        self.size = (int(size[0]), int(size[1])) if size else None
        self.code, self.settings = _code(dataset), _settings(dataset)

    def read(self, index: int, fields: Collection[str]) -> Sample:
        """As `Dataset.read`, but at `size`; files are opened only for what is not kept yet.

        Raises:
            DataError: a file is broken, or the store cannot keep anything.
        """
        identity = _origin(self.dataset, index)
        if identity is None:
            return self.dataset.read(index, fields)
        addresses = {kind: self.address(index, identity, kind) for kind in _wanted(fields)}
        found = {kind: self.load(address) for kind, address in addresses.items()}
        lacking = {kind for kind, array in found.items() if array is None}
        if lacking:
            sample = self.dataset.read(index, lacking)
            for kind in lacking:
                found[kind] = array = self._fitted(kind, getattr(sample, kind))
                self.store.save(addresses[kind], pack(array, kind == "label"))
        image = found.pop("image")
        assert image is not None
        return Sample(image.transpose(1, 2, 0), name=self.name(index), **found)

    def lacks(self, index: int, fields: Collection[str]) -> set[str]:
        """Which of a sample's fields are not kept yet; their entries are not read."""
        identity = _origin(self.dataset, index)
        assert identity is not None
        wanted = {kind: self.address(index, identity, kind) for kind in _wanted(fields)}
        return {kind for kind, address in wanted.items() if not self.store.has(address)}

    def weigh(self, index: int, fields: Collection[str]) -> int:
        """Bytes that a sample's entries have, or would have; keeps nothing."""
        sample = self.dataset.read(index, fields)
        entries = (
            pack(self._fitted(kind, getattr(sample, kind)), kind == "label")
            for kind in _wanted(fields)
        )
        return sum(len(part) for entry in entries for part in entry)

    def keep(
        self, index: int, kind: str, method: str, make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """Any other result of a sample: worked out once, then read.

        Args:
            index: of the sample.
            kind: one of KINDS.
            method: everything but the sample that the result depends on, in words.
            make: works it out: at most four dimensions; whole numbers are compressed.
        """
        identity = self.dataset.identity(index)
        if identity is None:
            return make()
        address = self.address(index, identity, kind, method)
        found = self.load(address)
        if found is None:
            found = make()
            self.save(address, found)
        return found

    def save(self, address: Address, array: np.ndarray) -> None:
        self.store.save(address, pack(array, array.dtype.kind in "iub"))

    def has(self, index: int, kind: str, method: str) -> bool:
        """Whether `keep` would find it; its entry is not read."""
        identity = self.dataset.identity(index)
        return identity is not None and self.store.has(self.address(index, identity, kind, method))

    def address(self, index: int, identity: str, kind: str, method: str = "") -> Address:
        cls = type(self.dataset)
        size = None if kind == "label" and self.own_labels else self.size
        at = f"{size[1]}x{size[0]}" if size else "own_size"
        parts = [f"{FORMAT}", f"{cls.__module__}.{cls.__qualname__}", identity, kind, at, method]
        parts += [scaling.RESAMPLING if size else ""]
        drawn = self.dataset.recipe(index) is not None
        parts += [self.code if drawn or kind not in OF_THE_IMAGE else ""]
        parts += [self.settings if not drawn and kind not in OF_THE_IMAGE else ""]
        digest = hashlib.sha256("\n".join(parts).encode()).digest()
        return Address(index, kind, f"{cls.__name__}/{kind}_{at}", digest)

    def load(self, address: Address) -> np.ndarray | None:
        """What is kept there; None when there is nothing, or nothing whole."""
        entry = self.store.load(address)
        if entry is None:
            return None
        array = unpack(entry)
        if array is None:
            log.warning("cache: the entry of %s is damaged: made anew", self.name(address.index))
        return array

    def _fitted(self, kind: str, array: np.ndarray) -> np.ndarray:
        """At its size; an image as (3, H, W), which spares a turn every time it is read."""
        if kind == "image":
            image = scaling.resize_image(array, self.size) if self.size else array
            return np.ascontiguousarray(image.transpose(2, 0, 1))
        if self.size is None or (kind == "label" and self.own_labels):
            return array
        return scaling.resize_mask(array, self.size)


def _origin(dataset: Dataset, index: int) -> str | None:
    """What a sample follows from: its files, or how it is drawn; None: it may not be kept."""
    identity = dataset.identity(index)
    return identity if identity is not None else dataset.recipe(index)


def _wanted(fields: Collection[str]) -> list[str]:
    return ["image", *(field for field in ("label", "depth") if field in fields)]


_HEADER = struct.Struct("<8s4s4s4IQQ16x")
"""Magic, dtype, packing, shape, bytes that follow, their checksum: 64 bytes."""
_MAGIC = b"UDA_SEG\x01"


def pack(array: np.ndarray, compress: bool) -> list[np.ndarray]:
    """Header and body, (n,) uint8 each, of an array of up to four dimensions."""
    plain = np.ascontiguousarray(array)
    body = plain.reshape(-1).view(np.uint8)
    if compress:
        body = np.frombuffer(zlib.compress(body.data, 1), np.uint8)
    shape = (*array.shape, *[0] * (4 - array.ndim))
    packing = b"zlib" if compress else b"none"
    kind = array.dtype.str.encode()
    header = _HEADER.pack(_MAGIC, kind, packing, *shape, len(body), _checksum(body))
    return [np.frombuffer(header, np.uint8), body]


def unpack(entry: np.ndarray) -> np.ndarray | None:
    """The array of an entry (n,) uint8, the caller's own; None when it is not whole."""
    if len(entry) < _HEADER.size:
        return None
    magic, kind, packing, *shape, length, checksum = _HEADER.unpack_from(entry.data)
    body = entry[_HEADER.size :]
    if magic != _MAGIC or len(body) != length or _checksum(body) != checksum:
        return None
    try:
        if packing == b"zlib":
            body = np.frombuffer(bytearray(zlib.decompress(body.data)), np.uint8)
        return body.view(kind.rstrip(b"\0").decode()).reshape([n for n in shape if n])
    except (zlib.error, ValueError, TypeError):
        return None


def _checksum(body: np.ndarray) -> int:
    """Sum of 8-byte words: in a tenth of a CRC's time, finds what is missing or became zeros."""
    whole = len(body) // 8 * 8
    words = int(body[:whole].view(np.uint64).sum(dtype=np.uint64))
    return (words + int.from_bytes(body[whole:].tobytes(), "little") + len(body)) % (1 << 64)


def _code(dataset: Dataset) -> str:
    """Of the modules that say how a dataset's labels and depth are read, such as color tables."""
    members = dataset.datasets.values() if isinstance(dataset, MergedDataset) else ()
    classes = {cls for one in (dataset, *members) for cls in type(one).__mro__}
    modules = {cls.__module__ for cls in classes} - {base.__name__, "abc", "builtins"}
    try:
        texts = [inspect.getsource(sys.modules[module]) for module in sorted(modules)]
    except OSError:  # a class typed into a console
        texts = []
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _settings(dataset: Dataset) -> str:
    """Plain values that a dataset was made with: its class may read labels by them."""
    members = dataset.datasets.values() if isinstance(dataset, MergedDataset) else (dataset,)
    return repr(
        [
            sorted(
                (key, value)
                for key, value in vars(one).items()
                if isinstance(value, bool | int | float | str) and not key.startswith("_")
            )
            for one in members
        ]
    )


def _memory(dataset: Dataset, size: list[int] | None, all_of_it: bool) -> Memory:
    """Room for all images for sure, or for none; for labels and depth too when there is as much.

    Where not all need fit, a fifth of what is free is left to training, which has not begun.
    """
    height, width = size or dataset.read(0, set()).image.shape[:2]
    pixels = len(dataset) * height * width
    need, spare = (3 * pixels, SPARE) if all_of_it else (0, max(SPARE, (free_memory() or 0) // 5))
    return Memory(len(dataset), KINDS, need, most=12 * pixels, spare=spare)
