"""Runs as processes: so many at a time, one after what it starts from, and none left behind.

Tables, sweeps and the launcher of processes all run their jobs here. A job is just what a user
would start by hand, so it may have several devices, and what kills one kills no other.
"""

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

from uda_seg.errors import ConfigError, UserError
from uda_seg.experiments import sweep_folder
from uda_seg.runs import files
from uda_seg.runs.stopping import PARENT, PATIENCE, Stopped, StopRequest

log = logging.getLogger(__name__)

STOPPING = "stops the runs and lets them save; once more ends them at once"
LOOK_SECONDS = 0.2

Slot = Mapping[str, str]
"""One of the places that runs are made in side by side: what is added to their environment."""


class RunError(UserError):
    """Some runs failed; the rest was done all the same."""

    exit_code = 1


class Job(Protocol):
    """A run to be made."""

    @property
    def name(self) -> str:
        """On the terminal."""

    @property
    def folder(self) -> Path:
        """The run's folder."""

    @property
    def steps(self) -> int | None:
        """It trains; None where that is not known."""

    @property
    def after(self) -> tuple[Path, ...]:
        """Folders of the jobs whose networks it needs: to start from, or to label its images."""

    @property
    def cost(self) -> float:
        """How long it takes, compared with the others."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""

    def begin(self) -> Sequence[str]:
        """The command that makes the run, or goes on with it; called when it is started."""


def slots(
    at_once: int, gpus: Sequence[int] | None = None, devices: int = 1, threads: int | None = 0
) -> list[Slot]:
    """
    Args:
        at_once: runs side by side, where GPUs are not named.
        gpus: numbers of those to share out.
        devices: of one run.
        threads: of torch in each run; None: the machine's cores are shared out; 0: torch decides.

    Raises:
        ConfigError: there are fewer GPUs than a run needs.
    """
    if gpus is not None and len(gpus) < devices:
        raise ConfigError(f"gpus={list(gpus)}: a job has trainer.devices={devices}; name as many")
    count = at_once if gpus is None else len(gpus) // devices
    if threads is None:
        threads = max(1, (os.cpu_count() or 1) // count)
    given = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    if "SLURM_JOB_ID" in os.environ:
        given["SLURM_JOB_NAME"] = "interactive"  # so Lightning starts the ranks, as without SLURM
    if gpus is None:
        return [given] * count
    shares = [gpus[place * devices : (place + 1) * devices] for place in range(count)]
    return [given | {"CUDA_VISIBLE_DEVICES": ",".join(map(str, share))} for share in shares]


def command_line(verb: str, own_folder: Path | None) -> list[str]:
    """The words of a command before its overrides.

    Args:
        verb: as its module is called.
        own_folder: YAML files of the user's own.
    """
    options = [] if own_folder is None else ["--config-dir", str(own_folder)]
    return [sys.executable, "-m", "uda_seg", *verb.split("_"), *options]


class Process:
    """A job's process, the leader of a group of its own: what it starts is stopped with it.

    Args:
        job: to run.
        slot: it runs in.
        shown: what it prints goes where this process prints, instead of output.txt in the folder.
    """

    def __init__(self, job: Job, slot: Slot, shown: bool = False) -> None:
        self.job, self.slot, self.shown = job, slot, shown
        self.output = job.folder / "output.txt"
        job.folder.mkdir(parents=True, exist_ok=True)
        command = job.begin()
        (job.folder / "progress.json").unlink(missing_ok=True)
        if shown:
            log.info("%s: %s", job.name, shlex.join(command))
        with nullcontext() if shown else self.output.open("w", encoding="utf-8") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=None if shown else subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | slot | {PARENT: str(os.getpid())},
                start_new_session=True,
            )

    def progress(self) -> dict[str, Any]:
        """What the run last said of itself: step, seconds_left and so on."""
        return files.stored_json(self.job.folder / "progress.json")

    def ended(self) -> bool:
        return self.process.poll() is not None

    def complaint(self) -> str | None:
        """The last words of a process that failed; None where all is well."""
        code = self.process.returncode
        if self.shown:
            log.info("%s: %s", self.job.name, f"failed ({code})" if code else "done")
        if code == 0:
            return None
        words = f"ended with exit code {code}"
        if sweep_folder.is_job(self.job.folder) and not sweep_folder.failure(self.job.folder):
            # It had no time to say why.
            sweep_folder.failed(self.job.folder, code if code > 0 else 1, words)
        words += f"; its folder is {self.job.folder}"
        if self.shown:
            return words
        printed = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{words}; it said at last:\n" + "\n".join(printed[-15:])

    def kill(self) -> None:
        """Whatever is left of the process and of those that it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run_all(
    pending: Sequence[Job], places: Sequence[Slot], failed: dict[Path, str], shown: bool = False
) -> Generator[list[Process], None, None]:
    """Runs jobs, one in each place at a time; yields the running ones a few times a second.

    A job that needs another run's network waits for that run. Of those that are ready the
    costliest begins first, so that none is left over for one core at the end. One that fails is
    noted, and the rest goes on without it and those that need it.

    Args:
        pending: the jobs.
        places: see `slots`.
        failed: folder -> why, of jobs that cannot be started from; more are added here.
        shown: what the runs print is shown, not written to their output.txt.

    Raises:
        Stopped: this process was asked to end; the runs have saved and are stopped.
    """
    waiting, running, free = list(pending), list[Process](), list(places)
    with StopRequest(patient=True, words=STOPPING) as stop:
        try:
            while waiting or running:
                if stop.number is not None:
                    raise Stopped(stop.number)
                for one in [one for one in running if one.ended()]:
                    running.remove(one)
                    free.insert(0, one.slot)
                    if (complaint := one.complaint()) is not None:
                        one.kill()
                        failed[one.job.folder] = complaint
                for job in list(waiting):
                    if absent := [path for path in job.after if path in failed]:
                        waiting.remove(job)
                        failed[job.folder] = _without(absent[0])
                busy = {one.job.folder for one in running} | {job.folder for job in waiting}
                ready = [job for job in waiting if busy.isdisjoint(job.after)]
                for job in sorted(ready, key=lambda job: -job.cost)[: len(free)]:
                    waiting.remove(job)
                    running.append(Process(job, free.pop(0), shown))
                yield running
                time.sleep(LOOK_SECONDS)
        finally:
            stop_all(running)


def _without(start: Path) -> str:
    return f"not started: it needs {start.parent.name}, {start.name}, which is not there"


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
