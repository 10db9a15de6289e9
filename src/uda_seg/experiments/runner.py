"""Jobs as processes: some at a time, one after what it starts from, and none left behind."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from uda_seg.errors import UserError
from uda_seg.experiments.rows import Job, read
from uda_seg.runs import files
from uda_seg.runs.stopping import PARENT, PATIENCE, Stopped, StopRequest

log = logging.getLogger(__name__)

STOPPING = "stops the runs and lets them save; once more ends them at once"


class RunError(UserError):
    """Some runs of a comparison failed; the rest was done all the same."""

    exit_code = 1


class Process:
    """A run's process, the leader of a group of its own: what it starts is stopped with it.

    Args:
        folder: of the run.
        command: that runs it.
        environment: what is added to this process's own.
        shown: what it prints goes where this process prints, instead of output.txt in the folder.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        environment: Mapping[str, str],
        shown: bool = False,
    ) -> None:
        self.folder, self.shown = folder, shown
        folder.mkdir(parents=True, exist_ok=True)
        with (
            (folder / "output.txt").open("w", encoding="utf-8")
            if not shown
            else nullcontext() as output
        ):
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=None if shown else subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | environment | {PARENT: str(os.getpid())},
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.process.poll() is not None

    def complaint(self) -> str | None:
        """Of an ended process: None when all is well, else its last words."""
        if self.process.returncode == 0:
            return None
        words = f"ended with exit code {self.process.returncode}; its folder is {self.folder}"
        if self.shown:
            return words
        output = self.folder / "output.txt"
        printed = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
        return f"{words}; it said at last:\n" + "\n".join(printed)

    def kill(self) -> None:
        """Whatever is left of the process and of those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Running(Process):
    """A comparison's job.

    Args:
        job: to run.
        threads: of torch, in that process.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self.job = job
        command = job.command()
        job.folder.mkdir(parents=True, exist_ok=True)
        files.write_json(job.folder / "job.json", {"overrides": list(job.overrides)})
        (job.folder / "progress.json").unlink(missing_ok=True)
        super().__init__(job.folder, command, {"OMP_NUM_THREADS": str(threads)})

    def progress(self) -> dict[str, Any]:
        """What the run last said of itself: step, seconds_left and so on."""
        return read(self.job.folder / "progress.json")


def run_all(
    pending: Sequence[Job], at_once: int, threads: int, failed: dict[Path, str]
) -> Generator[list[Running], None, None]:
    """Runs jobs, `at_once` at a time; yields the running ones a few times a second.

    A job that starts from another run's network waits for that run. Of those that are ready the
    costliest begins first, so that none is left over for one core at the end. One that fails is
    noted, and the rest goes on without it and those that would have started from it.

    Args:
        pending: the jobs.
        at_once: how many.
        threads: of each.
        failed: folder -> why, of jobs that cannot be started from; more are added here.

    Raises:
        Stopped: this process was asked to end; the runs have saved and are stopped.
    """
    waiting, running = list(pending), list[Running]()
    with StopRequest(patient=True, words=STOPPING) as stop:
        try:
            while waiting or running:
                if stop.number is not None:
                    raise Stopped(stop.number)
                running = list(_still(running, failed))
                waiting = list(_possible(waiting, failed))
                busy = {one.job.folder for one in running} | {job.folder for job in waiting}
                ready = [job for job in waiting if job.after not in busy]
                for job in sorted(ready, key=lambda job: -job.cost)[: at_once - len(running)]:
                    waiting.remove(job)
                    running.append(Running(job, threads))
                yield running
                time.sleep(0.3)
        finally:
            stop_all(running)


def stop_all(running: Sequence[Process]) -> None:
    """Asks all to end, waits, and ends those that do not; all at once at a second signal."""
    alive = [one for one in running if not one.ended()]
    try:
        for one in alive:
            one.process.terminate()
        deadline = time.monotonic() + PATIENCE
        for one in alive:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.process.wait(max(0.0, deadline - time.monotonic()))
    finally:
        for one in alive:
            one.kill()


def _still(running: Sequence[Running], failed: dict[Path, str]) -> Iterator[Running]:
    for one in running:
        if not one.ended():
            yield one
            continue
        complaint = one.complaint()
        if complaint is not None:
            one.kill()
            failed[one.job.folder] = complaint


def _possible(waiting: Sequence[Job], failed: dict[Path, str]) -> Iterator[Job]:
    for job in waiting:
        if job.after in failed:
            before = f"{job.after.parent.name}, {job.after.name}" if job.after else ""
            failed[job.folder] = f"not started: it starts from {before}, which is not there"
        else:
            yield job
