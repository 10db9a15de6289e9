"""Where kept results lie: files that outlive a run, or memory that the reading processes share.

A store keeps bytes under an address and knows nothing about pictures (`cached_dataset.py` does).
"""

import logging
import mmap
import multiprocessing
import time
import weakref
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.errors import ConfigError, DataError
from uda_seg.runs import files

log = logging.getLogger(__name__)

STALE_SECONDS = 3600.0
"""Half-written files this old belong to a process that was killed."""
SPARE = 2**30
"""Bytes of memory that are left to everything else, at least."""


def folder_apart(cache_root: str | Path, dataset_root: str | Path | None) -> Path:
    """The folder of all caches; `~` is the home folder.

    Args:
        cache_root: as it is set.
        dataset_root: where the dataset lies, if it lies somewhere.

    Raises:
        ConfigError: the one lies inside the other.
    """
    folder = Path(cache_root).expanduser().absolute()
    if dataset_root is not None and folder.resolve().is_relative_to(Path(dataset_root).resolve()):
        raise ConfigError(
            f"cache_root={cache_root}: lies inside the dataset's folder {dataset_root}, where its "
            "files could be taken for the dataset's; choose another"
        )
    return folder


@dataclass(frozen=True)
class Address:
    """Of one result of one sample."""

    index: int
    """The sample's place in its dataset."""
    kind: str
    """What of the sample it is, such as "image"."""
    shelf: str
    """Dataset, kind and size, in words that a person who looks into the folder understands."""
    digest: bytes
    """32 bytes that follow from everything that the result depends on."""


class Store(ABC):
    @abstractmethod
    def load(self, address: Address) -> np.ndarray | None:
        """(n,) uint8, the caller's own; None when there is nothing."""

    @abstractmethod
    def save(self, address: Address, parts: list[np.ndarray]) -> None:
        """Keeps arrays (n,) uint8, one after the other, as one entry."""

    @abstractmethod
    def has(self, address: Address) -> bool:
        """Without reading it."""

    @abstractmethod
    def remove(self, address: Address) -> None:
        """Forgets an entry, if there is one.

        Raises:
            StoreError: it cannot be removed.
        """


class StoreError(DataError):
    """Nothing can be kept, which no other sample will change."""


class Disk(Store):
    """One file an entry: `ROOT/SHELF/ab/abcdef….bin`, named by its digest.

    A file appears under its name when it is whole, so any number of processes may write at once,
    and may be killed at any time.

    Args:
        root: made when it is not there. A prepared one may be read-only.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"cache_root={root}: cannot be made ({error.strerror}); {_CURE}"
            ) from error

    def path(self, address: Address) -> Path:
        name = address.digest.hex()
        return self.root / address.shelf / name[:2] / f"{name}.bin"

    def load(self, address: Address) -> np.ndarray | None:
        try:
            return np.fromfile(self.path(address), np.uint8)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"cache_root={self.root}: cannot be read ({error.strerror}); {_CURE}"
            ) from error

    def save(self, address: Address, parts: list[np.ndarray]) -> None:
        try:
            with files.replacing(self.path(address)) as file:
                for array in parts:
                    file.write(array.data)
        except OSError as error:
            raise StoreError(
                f"cache_root={self.root}: cannot be written ({error.strerror}); {_CURE}"
            ) from error

    def has(self, address: Address) -> bool:
        return self.path(address).is_file()

    def remove(self, address: Address) -> None:
        try:
            self.path(address).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cache_root={self.root}: cannot be written ({error.strerror}); {_CURE}"
            ) from error

    def clear(self, dataset: str, kind: str = "*") -> int:
        """Removes all entries of a dataset's class, of any size; returns their bytes."""
        freed = 0
        for entry in self.root.glob(f"{dataset}/{kind}_*/??/{'?' * 64}.bin"):
            freed += entry.stat().st_size
            entry.unlink()
        return freed

    def sweep(self) -> None:
        """Removes what killed processes left half-written."""
        for part in self.root.glob(f"*/*/*/*{files.UNFINISHED}"):
            try:
                if time.time() - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink()
            except OSError:  # another process was faster
                continue


_CURE = "set cache_root= to a folder with room that you may write to, or cache=none"


class Memory(Store):
    """Memory that the processes forked from this one share; a spawned one gets its own, empty.

    Args:
        samples: of the dataset.
        kinds: results of a sample that can be kept.
        need: bytes that will be filled for sure; more than is free is refused.
        most: bytes that can be filled, as long as there is memory.
        spare: bytes that this store leaves free, whoever takes them.

    Raises:
        ConfigError: it does not fit.
    """

    _all: "weakref.WeakSet[Memory]" = weakref.WeakSet()

    def __init__(
        self, samples: int, kinds: tuple[str, ...], need: int, most: int, spare: int = SPARE
    ) -> None:
        self.samples, self.kinds, self.need, self.spare = samples, kinds, need, spare
        self.most = max(need, most)
        free = free_memory()
        if free is not None:
            promised = SPARE + sum(max(other.need - other.held(), 0) for other in self._all)
            self._check(max(free - promised, 0))
        self.lock = multiprocessing.Lock()
        self.table = np.frombuffer(_memory(_ENTRY.itemsize * samples * len(kinds)), _ENTRY)
        self.used = np.frombuffer(_memory(8), np.int64)
        self.arena = np.frombuffer(_memory(self.most), np.uint8)
        self.told = False
        self._all.add(self)

    def _check(self, free: int) -> None:
        if self.need > free:
            raise ConfigError(
                f"cache=ram: {self.samples} images need {self.need / 1e9:.1f} GB of memory, and "
                f"{free / 1e9:.1f} GB are to be had; take cache=disk, a smaller size, or cache=none"
            )

    def held(self) -> int:
        return int(self.used[0])

    def _entry(self, address: Address) -> np.void:
        return self.table[address.index * len(self.kinds) + self.kinds.index(address.kind)]

    def load(self, address: Address) -> np.ndarray | None:
        with self.lock:  # what another process has published is seen whole
            entry = self._entry(address)
            start, length = int(entry["start"]), int(entry["length"])
            same = entry["digest"].tobytes() == address.digest
        if not length or not same:
            return None
        return self.arena[start : start + length].copy()

    def save(self, address: Address, parts: list[np.ndarray]) -> None:
        length = sum(len(part) for part in parts)
        with self.lock:
            start = self.held()
            if self.most - start < length or _lacking(self.spare):
                self._tell()
                return
            self.used[0] = start + length
        end = start
        for part in parts:
            self.arena[end : end + len(part)] = part
            end += len(part)
        with self.lock:
            entry = self._entry(address)
            entry["start"], entry["length"] = start, length
            entry["digest"] = np.frombuffer(address.digest, np.uint8)

    def has(self, address: Address) -> bool:
        return self.load(address) is not None

    def remove(self, address: Address) -> None:
        with self.lock:
            self._entry(address)["length"] = 0

    def _tell(self) -> None:
        if not self.told:
            log.warning(
                "cache: memory is full with %.1f GB of samples; what does not fit is read anew "
                "every time",
                self.held() / 1e9,
            )
        self.told = True

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("samples", "kinds", "most", "spare")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Memory.__init__(self, **state, need=0)


_ENTRY = np.dtype([("start", np.int64), ("length", np.int64), ("digest", np.uint8, 32)])


def _memory(length: int) -> mmap.mmap:
    """Zeros that take no room before they are written."""
    if not hasattr(mmap, "MAP_SHARED"):  # Windows
        return mmap.mmap(-1, max(length, 1))
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    try:
        return mmap.mmap(-1, max(length, 1), flags=flags)
    except OSError as error:
        raise ConfigError(
            f"cache=ram: the system refuses {length / 1e9:.1f} GB of memory ({error.strerror}); "
            "take cache=disk or cache=none"
        ) from error


def _lacking(spare: int) -> bool:
    free = free_memory()
    return free is not None and free < spare


def free_memory() -> int | None:
    """Bytes, by what Linux and a container's limit say; None where neither is known."""
    found = []
    system = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" in system:
        found.append(system["MemAvailable:"] * 1024)
    limit, used, statistics = (
        _numbers(Path("/sys/fs/cgroup", f"memory.{name}")) for name in ("max", "current", "stat")
    )
    if "" in limit and "" in used:
        found.append(limit[""] - used[""] + statistics.get("inactive_file", 0))
    return min(found, default=None)


def _numbers(path: Path) -> dict[str, int]:
    """A file of lines `NAME NUMBER …`, or one number under the name ""."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    named = [["", *words] if len(words) == 1 else words for words in lines]
    return {words[0]: int(words[1]) for words in named if words[1:] and words[1].isdigit()}
