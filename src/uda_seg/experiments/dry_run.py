"""What a table would take: its jobs, their expected time, and what is missing for them."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uda_seg.errors import ConfigError, show
from uda_seg.experiments.requirements import Need
from uda_seg.experiments.rows import Job

ORIGINS = ("measured", "estimate", "unknown")


def plan_lines(
    table: Mapping[str, Any],
    wanted: Sequence[Job],
    missing: Mapping[str, Sequence[Need]],
    at_once: int,
) -> Iterator[str]:
    """
    Args:
        table: with `cost`: seconds of a plain run's step, their origin, and the basis of that.
        wanted: the jobs.
        missing: by row, what its runs need and is not here.
        at_once: how many would run at the same time.
    """
    seconds, origin, basis = cost_of(table)
    pending = [job for job in wanted if not job.done]
    for job in wanted:
        lacks = [need.words for need in missing[job.row]]
        state = "done" if job.done else "lacks" if _blocked(missing[job.row]) else "pending"
        work = f"{job.steps:,} steps, {duration(job, seconds, origin)}" if job.steps else "scored"
        yield f"{state:<8} {job.name}: {work}"
        if not job.done:
            yield from (f"         needs {words}" for words in lacks)
            yield f"         {shlex.join(['python', *job.command()[1:]])}"
    yield ""
    yield f"{len(wanted)} runs, {len(wanted) - len(pending)} done"
    if seconds is None:
        yield f"time: unknown{f' ({basis})' if basis else ''}"
    elif pending:
        whole = sum(job.cost for job in pending) * seconds
        yield (
            f"time: about {spoken(whole)} of runs, {at_once} at a time: {spoken(whole / at_once)} "
            f"({origin}: {basis})"
        )
    absent: dict[str, list[str]] = {}
    for row, found in missing.items():
        for need in found:
            absent.setdefault(need.words, []).append(row)
    yield "missing: nothing" if not absent else "missing:"
    for words, rows in absent.items():
        yield f"  {words} (for {'all rows' if len(rows) == len(missing) else ', '.join(rows)})"


def cost_of(table: Mapping[str, Any]) -> tuple[float | None, str, str]:
    """Seconds of a plain run's step (None: unknown), where they come from, and on what basis.

    Raises:
        ConfigError: seconds without an origin.
    """
    cost = table.get("cost") or {}
    seconds, origin = cost.get("seconds"), cost.get("origin", "unknown")
    if origin not in ORIGINS or (seconds is None) != (origin == "unknown"):
        raise ConfigError(
            f"table.cost.origin: {show(origin)} with seconds {show(seconds)}; choose from "
            f"{', '.join(ORIGINS)}, and leave seconds out where they are unknown"
        )
    return seconds, origin, str(cost.get("basis") or "")


def duration(job: Job, seconds: float | None, origin: str) -> str:
    return "cost unknown" if seconds is None else f"{spoken(job.cost * seconds)} ({origin})"


def spoken(seconds: float) -> str:
    """In the unit a reader plans in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


def _blocked(needs: Sequence[Need]) -> bool:
    return any(need.blocks for need in needs)
