"""A sweep's jobs as processes of their own: the command of each, and where it goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, open_dict

from uda_seg.config import own_folder
from uda_seg.experiments import sweep_folder
from uda_seg.experiments.runner import command_line
from uda_seg.runs import run_folder
from uda_seg.runs.quoting import setting

NOT_A_JOBS = (
    "hydra.sweep.", "hydra.sweeper.", "hydra.launcher.", "hydra.mode=", "hydra.run.dir=",
    "hydra/sweeper", "hydra/launcher", "hydra.job.config.override_dirname",
    "hydra.job.num", "hydra.job.id", "sweep=", "resume=",
)  # fmt: skip
"""Overrides of a sweep that say nothing to one of its jobs."""


@dataclass(frozen=True)
class SweepJob:
    """A job as `uda_seg.experiments.runner` runs it."""

    folder: Path
    command: tuple[str, ...]
    steps: int | None = None
    after: tuple[Path, ...] = ()

    @property
    def cost(self) -> float:
        return float(self.steps or 1)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def done(self) -> bool:
        return run_folder.finished(self.folder)

    def begin(self) -> tuple[str, ...]:
        return self.command


def job_of(verb: str, overrides: Sequence[str], config: Any) -> SweepJob:
    """
    Args:
        verb: of the command.
        overrides: of the job and of Hydra, as they were given.
        config: they compose to, with the `hydra` node.
    """
    HydraConfig.instance().set_config(config)
    folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)).absolute()
    task = config.copy()
    with open_dict(task):
        task.pop("hydra")
    OmegaConf.resolve(task)
    if "resume" in task:
        folder = sweep_folder.earlier(folder, task) or folder
    steps = task.trainer.steps if "trainer" in task else None
    return SweepJob(folder, job_command(verb, overrides, folder, own_folder()), steps)


def job_command(
    verb: str, overrides: Sequence[str], folder: Path, own: Path | None
) -> tuple[str, ...]:
    """Goes on if a checkpoint is in the folder."""
    kept = [line for line in overrides if not line.lstrip("+").startswith(NOT_A_JOBS)]
    words = [*command_line(verb, own), *kept, setting("hydra.run.dir", folder)]
    return (*words, "resume=auto") if run_folder.begun(folder) else tuple(words)
