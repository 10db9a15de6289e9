"""Filling the disk cache: what is to be made of a dataset's samples, whether it fits, making it."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from uda_seg.data.cache.cached_dataset import Cached
from uda_seg.data.cache.stores import Disk, StoreError
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.errors import CheckError, ConfigError, DataError
from uda_seg.runs.bars import Bars
from uda_seg.runs.stopping import in_worker

log = logging.getLogger(__name__)

WEIGHED = 4
"""Samples of a split that are read to tell how much disk all will take."""
SPARE = 2**28
"""Bytes of the disk that are left free."""


@dataclass
class Part:
    """What is to be kept of one dataset."""

    title: str
    dataset: Cached
    """It is kept in this one's store."""
    lacking: list[int]
    """Samples of which something is not kept yet."""
    make: Callable[[int], object]
    """Keeps it; called in several processes."""
    weigh: Callable[[int], int]
    """Bytes that it will take."""
    bytes_each: float = 0.0
    problems: list[str] = field(default_factory=list)


def clear(parts: Sequence[Part], kind: str) -> None:
    """Removes all entries of a kind, or of every kind: "*"."""
    for name, part in {type(p.dataset.dataset).__name__: p for p in parts}.items():
        assert isinstance(part.dataset.store, Disk)
        log.info("%s: %s freed", name, size(part.dataset.store.clear(name, kind)))


def check_room(parts: Sequence[Part], root: Path) -> None:
    """Says what will be needed.

    Raises:
        ConfigError: it is more than is free.
    """
    for part in parts:
        places = [part.lacking[i] for i in evenly_spaced(len(part.lacking), WEIGHED)]
        part.bytes_each = weigh(part, places)
        here = len(part.dataset) - len(part.lacking)
        rest = f"{len(part.lacking)} to make"
        if part.lacking:
            rest += f", about {size(part.bytes_each * len(part.lacking))}"
        log.info("%s: %d samples, %d kept already, %s", part.title, len(part.dataset), here, rest)
    need, free = sum(p.bytes_each * len(p.lacking) for p in parts), shutil.disk_usage(root).free
    log.info("%s: %s needed, %s free", root, size(need), size(free))
    if need + SPARE > free and need:
        raise ConfigError(
            f"cache_root={root}: about {size(need)} are needed, and {size(free)} are free; set "
            "cache_root= to another disk, take a smaller source.size= or target.size=, or remove "
            "what other datasets keep: data prepare source=… clear=true"
        )


def weigh(part: Part, places: Sequence[int]) -> float:
    """Mean bytes of some samples; of broken ones, nothing is known."""
    weights = []
    for index in places:
        try:
            weights.append(part.weigh(index))
        except DataError as error:
            log.debug("%s", error)
    return sum(weights) / len(weights) if weights else 0.0


class CacheFill(TorchDataset):
    """Making a sample's results keeps them; what comes back is only what went wrong."""

    def __init__(self, part: Part) -> None:
        self.make, self.indices = part.make, part.lacking

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> DataError | None:
        try:
            self.make(self.indices[place])
        except DataError as error:
            return error
        return None


def fill(parts: Sequence[Part], workers: int) -> None:
    """
    Raises:
        DataError: the cache cannot be written.
    """
    with Bars("bar", "count", "words", "left") as bars:
        for part in parts:
            if not part.lacking:
                continue
            start = time.monotonic()
            loader = DataLoader(
                CacheFill(part), batch_size=None, num_workers=workers, worker_init_fn=in_worker
            )
            for error in bars.follow(loader, part.title, len(part.lacking), "images/s"):
                if isinstance(error, StoreError):
                    raise error
                if error is not None:
                    part.problems.append(str(error))
            seconds = time.monotonic() - start
            made = len(part.lacking) - len(part.problems)
            if made:
                log.info(
                    "%s: %d samples, %s in %.0f s, %.1f images/s",
                    part.title, made, size(made * part.bytes_each), seconds, made / seconds,
                )  # fmt: skip
            assert isinstance(part.dataset.store, Disk)
            part.dataset.store.sweep()


def tell(parts: Sequence[Part], done: str) -> None:
    """
    Raises:
        CheckError: some samples cannot be read.
    """
    problems = list(dict.fromkeys(problem for part in parts for problem in part.problems))
    for problem in problems:
        log.error("%s", problem)
    if problems:
        words = "1 sample" if len(problems) == 1 else f"{len(problems)} samples"
        raise CheckError(
            f"{words} cannot be read, listed above; all others are kept. Mend the files and call "
            "this again, or train with on_bad_image=skip"
        )
    log.info("all is kept: %s", done)


def size(count: float) -> str:
    """In words of a thousand: 12.3 GB."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
