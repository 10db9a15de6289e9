"""Which folder a run or a sweep writes to, and whether it may, before anything is written."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from uda_seg.cli.command_line import Checked
from uda_seg.cli.later import command_of
from uda_seg.cli.tree import run_of
from uda_seg.config import with_home
from uda_seg.errors import ConfigError
from uda_seg.experiments import sweep_folder
from uda_seg.runs import cluster, files, lock, place, run_folder
from uda_seg.runs.quoting import setting
from uda_seg.runs.stopping import FOLDER_VARIABLE


def of_run(verb: str, checked: Checked) -> tuple[list[str], Path]:
    """Overrides that give a run its folder; that folder.

    All that can be refused is refused before anything is written. The first process of a run locks
    the folder, unless it is the current one; the others are told where they log.
    """
    settings, rank = checked.plain[0], cluster.rank()
    situation, folder = _situation(checked, settings)
    if rank:
        return [setting("hydra.run.dir", folder), *_quiet(folder, rank)], folder
    _refuse(verb, settings, None if situation == "new" else folder, situation == "named")
    if situation == "new":
        folder = run_folder.reserve(folder)
    if folder.resolve() != Path.cwd():
        files.check_writable(folder)
        lock.lock(folder)
    return [setting("hydra.run.dir", folder)], folder


def _situation(checked: Checked, settings: dict[str, Any]) -> tuple[str, Path]:
    """Which folder a run has, and why.

    rank      the process was started by Lightning: the one that the first process has
    named     hydra.run.dir= on the command line
    resumed   resume= leads to a run: its own
    fixed     the verb's YAML names one that is always the same
    cluster   a task of SLURM or torchrun: one that all tasks find
    new       any other: with the date, and reserved before it is used
    """
    together = cluster.job() or cluster.torchrun()
    of_the_first = os.environ.get(FOLDER_VARIABLE)
    if cluster.rank() and of_the_first and not together:
        return "rank", Path(of_the_first)
    folder = Path(with_home(str(OmegaConf.select(checked.config, "hydra.run.dir"))))
    if _is_named(checked, "hydra.run.dir"):
        return "named", folder
    if "resume" in settings and (continued := place.folder_to_resume(settings)):
        return "resumed", continued
    if "${now:" not in _written(checked.config, "run"):
        return "fixed", folder
    return ("cluster", cluster.folder(folder, settings)) if together else ("new", folder)


def _is_named(checked: Checked, key: str) -> bool:
    return any(override.lstrip("+").startswith(f"{key}=") for override in checked.overrides)


def _refuse(verb: str, settings: dict[str, Any], folder: Path | None, given: bool) -> None:
    """
    Raises:
        UserError: the command's own look at its settings, or at what lies in its folder.
    """
    if given and folder is not None and folder.resolve() != Path.cwd():
        place.check_free(folder, verb, settings)
    command = command_of(verb)
    if hasattr(command, "refuse"):
        command.refuse(settings, folder)


def _quiet(folder: Path, rank: int) -> list[str]:
    """Overrides of a process that is not the first: it has a log of its own."""
    log_file = setting("hydra.job_logging.handlers.file.filename", f"{folder}/train_rank{rank}.log")
    return ["hydra.output_subdir=null", log_file]


def of_sweep(checked: Checked) -> tuple[list[str], Path]:
    """Overrides that give a sweep a folder of its own, or the one it goes on in; that folder."""
    config, key = checked.config, "hydra.sweep.dir"
    folder = Path(with_home(str(OmegaConf.select(config, key))))
    sweeper = str(config.hydra.runtime.choices.get("hydra/sweeper"))
    identity = sweep_folder.identity(run_of(config), list(checked.swept), sweeper)
    given, resume = _is_named(checked, key), config.get("resume")
    if not given and resume is not None:
        begun = sweep_folder.newest(folder, identity) if resume == "auto" else Path(resume)
        given = begun is not None and bool(sweep_folder.read(begun))
        folder = begun or folder
    if not given and "${now:" in _written(config, "sweep"):
        folder = run_folder.reserve(folder)
    _check_sweep(folder, identity, resume)
    files.check_writable(folder)
    lock.lock(folder)
    sweep_folder.begin(
        folder,
        {
            "command": shlex.join(["python", "-m", "uda_seg", *sys.argv[1:]]),
            "swept": checked.swept,
            "sweeper": sweeper,
            "objective": config.hydra.sweeper.get("objective", "miou"),
            "published": OmegaConf.to_container(config.hydra.sweeper).get("published"),
            "identity": identity,
        },
    )
    excluded = "hydra.job.config.override_dirname.exclude_keys"
    names = [*OmegaConf.select(config, excluded), *checked.constant]
    # Folders of jobs are named by what differs between them.
    return [setting(key, folder), f"{excluded}=[{','.join(names)}]"], folder


def _check_sweep(folder: Path, identity: str, resume: str | None) -> None:
    """
    Raises:
        ConfigError: the folder is a run's, or another sweep's (one that is resumed compares itself
            job by job).
    """
    before = sweep_folder.read(folder)
    other = before and resume is None and before.get("identity") != identity
    if run_folder.read(folder) or (other and sweep_folder.jobs(folder)):
        held = f"another sweep ({before['command']})" if before else "a run"
        raise ConfigError(f"hydra.sweep.dir={folder}: holds {held}; name another folder")


def _written(config: DictConfig, mode: str) -> str:
    """The folder of `run` or `sweep` as its YAML has it."""
    return str(OmegaConf.to_container(config.hydra[mode], resolve=False)["dir"])  # type: ignore
