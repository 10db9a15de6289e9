"""Jobs of a sweep as processes of their own, some at a time, GPUs shared out among them.

A job is then just what a user would start by hand, so it may have several devices: the ranks that
Lightning starts repeat the job's command line, not the sweep's. What kills a job kills no other.
"""

import logging
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uda_seg.errors import ConfigError
from uda_seg.experiments import runner, sweep_folder
from uda_seg.runs import run_folder
from uda_seg.runs.bars import Pace
from uda_seg.runs.quoting import setting
from uda_seg.runs.stopping import Stopped, StopRequest

log = logging.getLogger(__name__)

NOT_A_JOBS = (
    "hydra.sweep.", "hydra.sweeper.", "hydra.launcher.", "hydra.mode=", "hydra.run.dir=",
    "hydra/sweeper", "hydra/launcher", "hydra.job.config.override_dirname",
    "hydra.job.num", "hydra.job.id", "sweep=", "resume=",
)  # fmt: skip
"""Overrides of a sweep that say nothing to one of its jobs."""


@dataclass(frozen=True)
class Command:
    """A job's command line.

    Attributes:
        folder: of the run.
        words: of the command.
        said: the overrides that tell it from others, for a line on the terminal.
    """

    folder: Path
    words: tuple[str, ...]
    said: str = ""


def job_command(
    program: Sequence[str], options: Sequence[str], overrides: Sequence[str], folder: Path
) -> tuple[str, ...]:
    """
    Args:
        program: `python -m uda_seg` and the verb.
        options: of Hydra, such as --config-dir.
        overrides: of the job and of Hydra.
        folder: of the run; it goes on there if a checkpoint is there.
    """
    kept = [line for line in overrides if not line.lstrip("+").startswith(NOT_A_JOBS)]
    words = [*program, *options, *kept, setting("hydra.run.dir", folder)]
    if run_folder.begun(folder):
        words.append("resume=auto")
    return tuple(words)


def slots(at_once: int, gpus: Sequence[int] | None, devices: int) -> list[tuple[int, ...] | None]:
    """What each of the jobs that run side by side may see; None: everything.

    Args:
        at_once: jobs side by side, where GPUs are not named.
        gpus: numbers of those to share out.
        devices: of one job.

    Raises:
        ConfigError: there are fewer GPUs than a job needs.
    """
    if gpus is None:
        return [None] * at_once
    if len(gpus) < devices:
        raise ConfigError(
            f"hydra.launcher.gpus={list(gpus)}: a job has trainer.devices={devices}; name as many"
        )
    return [tuple(gpus[i : i + devices]) for i in range(0, len(gpus) - devices + 1, devices)]


def run(jobs: Sequence[Command], places: Sequence[tuple[int, ...] | None]) -> dict[Path, int]:
    """Runs all jobs; folder to exit code.

    What a job prints is shown where one runs at a time, and stands in its output.txt otherwise.

    Raises:
        Stopped: this process was asked to end; the jobs have saved and are stopped.
    """
    waiting, codes = list(jobs), dict[Path, int]()
    running: dict[int, runner.Process] = {}
    shown, pace = len(places) == 1, Pace()
    with StopRequest(patient=True, words=runner.STOPPING) as stop:
        try:
            while waiting or running:
                if stop.number is not None:
                    raise Stopped(stop.number)
                for number, process in list(running.items()):
                    if process.ended():
                        codes[process.folder] = _end(running.pop(number))
                for number, gpus in enumerate(places):
                    if number not in running and waiting:
                        running[number] = _start(waiting.pop(0), gpus, shown)
                if not shown and pace.due():
                    words = [_progress(process.folder) for process in running.values()]
                    log.info("%d of %d jobs ended; %s", len(codes), len(jobs), ", ".join(words))
                time.sleep(0.2)
        finally:
            runner.stop_all(list(running.values()))
    return codes


def _progress(folder: Path) -> str:
    """How far a job says it is."""
    said = sweep_folder.read_json(folder / "progress.json")
    return f"{folder.name}: " + (f"step {said['step']}/{said['steps']}" if said else "starts")


def _start(job: Command, gpus: tuple[int, ...] | None, shown: bool) -> runner.Process:
    log.info("%s: %s", job.folder.name, shlex.join(job.words))
    return runner.Process(job.folder, job.words, environment(gpus), shown)


def environment(gpus: tuple[int, ...] | None) -> dict[str, str]:
    """What a job's process is told."""
    told = {} if gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))}
    if "SLURM_JOB_ID" in os.environ:
        told["SLURM_JOB_NAME"] = "interactive"  # so Lightning starts the ranks, as without SLURM
    return told


def _end(process: runner.Process) -> int:
    code = process.process.returncode
    if code:
        process.kill()
        if not sweep_folder.failure(process.folder):  # it had no time to say why
            words = f"ended with exit code {code}"
            sweep_folder.failed(process.folder, code if code > 0 else 1, words)
    log.info("%s: %s", process.folder.name, f"failed ({code})" if code else "done")
    return code
