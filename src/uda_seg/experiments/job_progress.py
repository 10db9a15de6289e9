"""Jobs under way, as bars on the terminal: one a running job and one for the whole."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from rich.progress import TaskID
from rich.text import Text

from uda_seg.experiments.runner import Job, Process, Slot, run_all
from uda_seg.runs.bars import Bars
from uda_seg.runs.stopping import Stopped, command_to_go_on

FIRST = 20
"""Steps before a run's speed says something: the first ones draw images and warm caches."""


def watch(wanted: Sequence[Job], places: Sequence[Slot], failed: dict[Path, str]) -> None:
    """Runs what is not done of all that is wanted, but for what has failed already; fills `failed`
    as `run_all` does.

    Raises:
        Stopped: it was asked to end, and says how far it is.
    """
    pending = [job for job in wanted if not job.done and job.folder not in failed]
    if not pending:
        return
    states = run_all(pending, places, failed)
    with _saying_how_far(wanted), Bars("bar", "words") as bars, closing(states):
        overview = Overview(bars, wanted, pending, len(places), failed)
        for running in states:
            overview.show(running)
        overview.show([])


@contextmanager
def _saying_how_far(wanted: Sequence[Job]) -> Iterator[None]:
    try:
        yield
    except Stopped as stop:
        done = sum(job.done for job in wanted)
        words = f"stopped; {done} of {len(wanted)} runs are done, those under way were saved"
        raise Stopped(stop.number, f"{words}; go on with: {command_to_go_on()}") from stop


def complaints(wanted: Iterable[Job], failed: dict[Path, str]) -> str:
    """All failures in one text, each under the name of its job."""
    return "\n".join(f"{job.name}: {failed[job.folder]}" for job in wanted if job.folder in failed)


class Overview:
    """
    Args:
        bars: to draw with.
        wanted: all jobs.
        pending: those that are to be run.
        at_once: how many run side by side.
        failed: folder -> why; `run_all` fills it.
    """

    def __init__(
        self,
        bars: Bars,
        wanted: Sequence[Job],
        pending: Sequence[Job],
        at_once: int,
        failed: dict[Path, str],
    ) -> None:
        self.bars, self.wanted, self.pending = bars, wanted, pending
        self.at_once, self.failed = at_once, failed
        self.reports: dict[Path, dict[str, Any]] = {}
        """What each run last said of itself."""
        self.seconds_a_cost: dict[Path, float] = {}
        self.tasks: dict[Path, TaskID] = {}
        self.announced, self.begun = set(failed), set[Path]()
        total = sum(job.steps or 0 for job in wanted)
        self.before = total - sum(job.steps or 0 for job in pending)
        self.whole = bars.add_task("steps of all runs", total=total or None, words="")

    def show(self, running: Sequence[Process]) -> None:
        current = {one.job.folder for one in running}
        self.begun |= current
        for one in running:
            self._show(one)
        for folder in self.tasks.keys() - current:
            self.bars.remove_task(self.tasks.pop(folder))
        for job in self.pending:
            if job.folder in self.failed.keys() - self.announced:
                self._announce(job)
        over = self.begun - current
        steps = sum(
            (job.steps or 0)
            if job.folder in over
            else int(self.reports.get(job.folder, {}).get("step", 0))
            for job in self.pending
        )
        done = len(self.wanted) - len(self.pending) + len(over - self.failed.keys())
        parts = [f"{done} of {len(self.wanted)} runs done", self._time_left(over)]
        words = ", ".join(filter(None, parts))
        self.bars.update(self.whole, completed=self.before + steps, words=words)

    def _show(self, one: Process) -> None:
        """A running job's own bar."""
        folder, report = one.job.folder, one.progress()
        if folder not in self.tasks:
            task = self.bars.add_task(one.job.name, total=one.job.steps, words="starts")
            self.tasks[folder] = task
        if report:
            self.reports[folder] = report
            rate = report.get("images_per_second")
            words = f"step {report['step']}/{report['steps']}"
            words += f", {rate:.1f} images/s" if rate else ""
            self.bars.update(self.tasks[folder], completed=report["step"], words=words)

    def _announce(self, job: Job) -> None:
        """A failure at once, for whoever sits there; the last words are told at the end."""
        self.announced.add(job.folder)
        words = self.failed[job.folder].partition(";")[0]
        self.bars.console.print(Text(f"{job.name}: {words}; the rest goes on", "red"))

    def _share(self, job: Job) -> float:
        """Of a run's steps, those that are done."""
        report = self.reports.get(job.folder)
        return int(report["step"]) / int(report["steps"]) if report else 0.0

    def _time_left(self, over: set[Path]) -> str:
        """From how long runs take by their cost, those that are over among them."""
        for job in self.pending:
            report = self.reports.get(job.folder, {})
            rest = job.cost * (1 - self._share(job))
            if rest and report.get("seconds_left") and report["step"] >= FIRST:
                self.seconds_a_cost[job.folder] = report["seconds_left"] / rest
        if not self.seconds_a_cost:
            return ""
        left = [job for job in self.pending if job.folder not in over | self.failed.keys()]
        cost = sum(job.cost * (1 - self._share(job)) for job in left)
        seconds = cost * mean(self.seconds_a_cost.values()) / min(self.at_once, max(1, len(left)))
        return f"about {seconds / 60:.0f} min left"
