"""How many processes that read images the machine has room for, asked before they are started.

Batches come from them through shared memory, /dev/shm, which a container has 64 MB of unless it is
told otherwise, and each tensor under way is an open file. What lacks room is killed by a bus error,
or waits for ever. The numbers of a run do not depend on how many there are.
"""

import logging
import os
from pathlib import Path

from torch import Tensor

from uda_seg.batch import Batch
from uda_seg.errors import UserError

log = logging.getLogger(__name__)


class WorkerError(UserError):
    """A process that reads images was killed."""

    exit_code = 1


SHARED = Path("/dev/shm")
SPARE_FILES = 200
"""Open files of a process besides its batches: datasets, logs, libraries, pipes."""
ROOM = 0.9
"""Share of the free shared memory that batches may take."""


def workers_with_room(wanted: int, batch: Batch, batches: int, beside: int = 1) -> int:
    """
    Args:
        wanted: processes.
        batch: one of the training's.
        batches: each process keeps ready.
        beside: runs of the same size on this machine, the ranks of one.

    Returns:
        As many as there is room for, `wanted` at most; a warning says why they are fewer.
    """
    values = [*vars(batch.source).values(), *vars(batch.target).values()]
    sizes = [value.nbytes for value in values if isinstance(value, Tensor)]
    if not wanted or not sizes:
        return wanted
    # One more batch is with the training itself.
    memory, free = sum(sizes) * beside, free_memory()
    by_memory = wanted if free is None else int((ROOM * free / max(1, memory) - 1) / batches)
    files, most = len(sizes), open_files(SPARE_FILES + len(sizes) * (batches * wanted + 1))
    by_files = wanted if most is None else int(((most - SPARE_FILES) / files - 1) / batches)
    found = max(0, min(wanted, by_memory, by_files))
    if found < wanted and by_memory <= by_files:
        need = memory * (batches * wanted + 1)
        log.warning(
            "trainer.workers=%d: their batches need %s of shared memory, %s has %s free; %d are "
            "started (docker run --shm-size=%s, or --ipc=host)",
            wanted, _megabytes(need), SHARED, _megabytes(free or 0), found, _gigabytes(need),
        )  # fmt: skip
    elif found < wanted:
        log.warning(
            "trainer.workers=%d: their batches need %d open files, this process may have %s; %d "
            "are started (ulimit -n raises it)",
            wanted, SPARE_FILES + files * (batches * wanted + 1), most, found,
        )  # fmt: skip
    return found


def worker_words(error: str, folder: Path) -> str:
    """What torch says of a killed worker, and what to do."""
    words = error.partition(". It is possible")[0].partition("\n")[0].rstrip(". ")
    told = f"{words}: memory ran out, as a rule, or shared memory ({SHARED}); fewer trainer.workers"
    saved = any(folder.glob("checkpoints/*.ckpt"))
    return f"{told} need less" + (f"; go on with resume={folder}" if saved else "")


def free_memory() -> int | None:
    """Bytes of shared memory; None where a system has no such folder."""
    try:
        disk = os.statvfs(SHARED)
    except (OSError, AttributeError):
        return None
    return disk.f_bavail * disk.f_frsize


def open_files(needed: int) -> int | None:
    """How many files this process may open, which is raised as far as it needs and may be; None
    where there is no limit, or none that can be asked for.
    """
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < needed:
        most = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):
            return soft
        return max(soft, most)
    return soft


def _megabytes(size: float) -> str:
    return f"{size / 2**20:,.0f} MB"


def _gigabytes(size: float) -> str:
    return f"{-(-int(1.2 * size) // 2**30)}g"
