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
class CacheJob:
    """What is to be kept of one dataset."""

    title: str
    dataset: Cached
    """It is kept in this one's store."""
    lacking: list[int]
    """Samples of which something is not kept yet."""
    fill: Callable[[int], object]
    """Keeps a sample; called in several processes."""
    estimate_bytes: Callable[[int], int]
    """How much a sample will take."""
    bytes_each: float = 0.0
    problems: list[str] = field(default_factory=list)


def clear(jobs: Sequence[CacheJob], kind: str) -> None:
    """Removes all entries of a kind, or of every kind: "*"."""
    for name, job in {type(p.dataset.dataset).__name__: p for p in jobs}.items():
        assert isinstance(job.dataset.store, Disk)
        log.info("%s: %s freed", name, size(job.dataset.store.clear(name, kind)))


def check_room(jobs: Sequence[CacheJob], root: Path) -> None:
    """Says what will be needed.

    Raises:
        ConfigError: it is more than is free.
    """
    for job in jobs:
        places = [job.lacking[i] for i in evenly_spaced(len(job.lacking), WEIGHED)]
        job.bytes_each = mean_bytes(job, places)
        here = len(job.dataset) - len(job.lacking)
        rest = f"{len(job.lacking)} to make"
        if job.lacking:
            rest += f", about {size(job.bytes_each * len(job.lacking))}"
        log.info("%s: %d samples, %d kept already, %s", job.title, len(job.dataset), here, rest)
    need, free = sum(p.bytes_each * len(p.lacking) for p in jobs), shutil.disk_usage(root).free
    log.info("%s: %s needed, %s free", root, size(need), size(free))
    if need + SPARE > free and need:
        raise ConfigError(
            f"cache_root={root}: about {size(need)} are needed, and {size(free)} are free; set "
            "cache_root= to another disk, take a smaller source.size= or target.size=, or remove "
            "what other datasets keep: data prepare source=… clear=true"
        )


def mean_bytes(job: CacheJob, places: Sequence[int]) -> float:
    """Mean bytes of some samples; of broken ones, nothing is known."""
    weights = []
    for index in places:
        try:
            weights.append(job.estimate_bytes(index))
        except DataError as error:
            log.debug("%s", error)
    return sum(weights) / len(weights) if weights else 0.0


class CacheFill(TorchDataset):
    """Making a sample's results keeps them; what comes back is only what went wrong."""

    def __init__(self, job: CacheJob) -> None:
        self.fill, self.indices = job.fill, job.lacking

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, place: int) -> DataError | None:
        try:
            self.fill(self.indices[place])
        except DataError as error:
            return error
        return None


def fill(jobs: Sequence[CacheJob], workers: int) -> None:
    """
    Raises:
        DataError: the cache cannot be written.
    """
    with Bars("bar", "count", "words", "left") as bars:
        for job in jobs:
            if not job.lacking:
                continue
            start = time.monotonic()
            loader = DataLoader(
                CacheFill(job), batch_size=None, num_workers=workers, worker_init_fn=in_worker
            )
            for error in bars.follow(loader, job.title, len(job.lacking), "images/s"):
                if isinstance(error, StoreError):
                    raise error
                if error is not None:
                    job.problems.append(str(error))
            seconds = time.monotonic() - start
            made = len(job.lacking) - len(job.problems)
            if made:
                log.info(
                    "%s: %d samples, %s in %.0f s, %.1f images/s",
                    job.title, made, size(made * job.bytes_each), seconds, made / seconds,
                )  # fmt: skip
            assert isinstance(job.dataset.store, Disk)
            job.dataset.store.sweep()


def tell(jobs: Sequence[CacheJob], done: str) -> None:
    """
    Raises:
        CheckError: some samples cannot be read.
    """
    problems = list(dict.fromkeys(problem for job in jobs for problem in job.problems))
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
