"""Jobs under way, as bars on the terminal: one a running job and one for the whole."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from uda_seg.experiments.rows import Job
from uda_seg.experiments.runner import Running, run_all
from uda_seg.runs.bars import Bars
from uda_seg.runs.stopping import Stopped, command_to_go_on

FIRST = 20
"""Steps before a run's speed says something: the first ones draw images and warm caches."""


@contextmanager
def _saying_how_far(wanted: Sequence[Job]) -> Iterator[None]:
    try:
        yield
    except Stopped as stop:
        done = sum(job.done for job in wanted)
        words = f"stopped; {done} of {len(wanted)} runs are done, those under way were saved"
        raise Stopped(stop.number, f"{words}; go on with: {command_to_go_on()}") from stop


def watch(
    wanted: Sequence[Job],
    pending: Sequence[Job],
    at_once: int,
    threads: int | None,
    failed: dict[Path, str],
) -> None:
    """Runs what is pending of all that is wanted; fills `failed` as `run_all` does.

    `threads` of None shares the machine's cores out among the runs.

    Raises:
        Stopped: it was asked to end, and says how far it is.
    """
    threads = threads or max(1, (os.cpu_count() or 1) // at_once)
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TextColumn("{task.fields[said]}"))
    told = set(failed)
    states = run_all(pending, at_once, threads, failed)
    with _saying_how_far(wanted), Bars(*columns) as bars, closing(states):
        total = sum(job.steps for job in wanted)
        done = total - sum(job.steps for job in pending)
        whole = bars.add_task("steps of all runs", total=total, completed=done, said="")
        shown: dict[Path, TaskID] = {}
        state: dict[Path, dict[str, Any]] = {}
        started: set[Path] = set()
        for running in states:
            for one in running:
                _show(bars, shown, state, one)
            _forget(bars, shown, running)
            _tell(bars, [job for job in pending if job.folder in failed.keys() - told], failed)
            told |= failed.keys()
            current = {one.job.folder for one in running}
            seen = sum(
                state.get(job.folder, {}).get("step", 0) if job.folder in current else job.steps
                for job in pending
                if job.folder in state
            )
            started |= current
            ended = len(wanted) - len(pending) + len(started - current - failed.keys())
            words = [f"{ended} of {len(wanted)} runs done", _left(pending, state, current, at_once)]
            bars.update(whole, completed=done + seen, said=", ".join(filter(None, words)))
        _tell(bars, [job for job in pending if job.folder in failed.keys() - told], failed)


def complaints(wanted: Iterable[Job], failed: dict[Path, str]) -> str:
    """All failures in one text, each under the name of its job."""
    return "\n".join(f"{job.name}: {failed[job.folder]}" for job in wanted if job.folder in failed)


def _tell(bars: Progress, jobs: Iterable[Job], failed: dict[Path, str]) -> None:
    """At once, for whoever sits there; the last words are told at the end."""
    for job in jobs:
        words = failed[job.folder].partition(";")[0]
        bars.console.print(Text(f"{job.name}: {words}; the rest goes on", "red"))


def _show(
    bars: Progress, shown: dict[Path, TaskID], state: dict[Path, dict[str, Any]], one: Running
) -> None:
    job, said = one.job, one.progress()
    if job.folder not in shown:
        shown[job.folder] = bars.add_task(job.name, total=job.steps, said="starts")
    if said:
        state[job.folder] = said
        bars.update(shown[job.folder], completed=said["step"], said=_words(said))


def _forget(bars: Progress, shown: dict[Path, TaskID], running: Sequence[Running]) -> None:
    for folder in shown.keys() - {one.job.folder for one in running}:
        bars.remove_task(shown.pop(folder))


def _words(said: dict[str, Any]) -> str:
    rate = said.get("images_per_second")
    return f"step {said['step']}/{said['steps']}" + (f", {rate:.1f} images/s" if rate else "")


def _left(
    pending: Sequence[Job], state: dict[Path, dict[str, Any]], current: set[Path], at_once: int
) -> str:
    """Time left, from the mean time of a step so far; runs that have not begun count the same."""
    speeds = [
        said["seconds_left"] / (said["steps"] - said["step"])
        for said in state.values()
        if said.get("seconds_left") and FIRST <= said["step"] < said["steps"]
    ]
    if not speeds:
        return ""
    steps = sum(
        job.steps - (state[job.folder]["step"] if job.folder in state else 0)
        for job in pending
        if job.folder in current or job.folder not in state
    )
    minutes = steps * sum(speeds) / len(speeds) / min(at_once, max(1, len(pending))) / 60
    return f"about {minutes:.0f} min left"
