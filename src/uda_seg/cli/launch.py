"""Runs a checked command line under Hydra: one folder a run, one outcome a job."""

import argparse
import importlib
import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from uda_seg.cli.command_line import Checked
from uda_seg.cli.composed import CheckedHydra, with_values, without_hydra
from uda_seg.config import plain, with_home
from uda_seg.errors import ConfigError, UserError
from uda_seg.experiments import sweep_folder
from uda_seg.experiments.sweep_end import conclude
from uda_seg.runs import cluster, files, identity, lock, place, run_folder
from uda_seg.runs.memory import keep_freed_memory
from uda_seg.runs.quoting import setting
from uda_seg.runs.stopping import FOLDER_VARIABLE, PARENT, Stopped, command_to_go_on


@dataclass
class Job:
    """The task Hydra runs. Hydra would print a traceback for everything and stop a sweep.

    Attributes:
        verb: the module below `uda_seg.commands`.
        arguments: `sys.argv` as the user gave it: Lightning starts its ranks with it.
        multirun: whether others follow.
        codes: the exit codes of the jobs that failed in this process.
        folder: of the job that is run.
    """

    verb: str
    arguments: list[str]
    multirun: bool
    codes: list[int] = field(default_factory=list)
    folder: Path = Path()

    def __call__(self, config: DictConfig) -> float | None:
        sys.argv = self.arguments
        self.folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            try:
                return self._run(config)
            finally:
                if self.multirun:
                    lock.unlock(self.folder)
        except Stopped as stop:
            if stop.words is None and run_folder.begun(self.folder):
                stop.words = f"stopped; go on with: {command_to_go_on(self.folder)}"
            _to_log(self.folder, f"{stop.words or 'stopped'}\n")
            raise
        except Exception as error:
            self.codes.append(self._complain(error))
            return float("nan")  # a sweeper takes it for a failed trial

    def _complain(self, error: Exception) -> int:
        """Shows an error, a mistake of the user or a full disk in words; the exit code."""
        told = files.explained(error) if isinstance(error, OSError) else error
        _to_log(self.folder, traceback.format_exc())
        if isinstance(told, UserError):
            code, words = told.exit_code, str(told)
            if isinstance(told, files.WriteError) and run_folder.begun(self.folder):
                words += f"; go on with: {command_to_go_on(self.folder)}"
        else:
            code, words = 1, f"{type(error).__name__}: {error}"
        with suppress(OSError):  # of a full disk that stderr goes to
            known = isinstance(told, UserError)
            print(f"uda-seg: {words}" if known else traceback.format_exc(), file=sys.stderr)
        if sweep_folder.is_job(self.folder):  # of a sweep of another process, or machine, maybe
            with suppress(OSError):
                sweep_folder.failed(self.folder, code, words)
        return code

    def _run(self, config: DictConfig) -> float | None:
        config = OmegaConf.create(with_home(OmegaConf.to_container(config, resolve=True)))
        if "resume" in config and (self.multirun or (cluster.job() and config.resume is None)):
            before = _begun_before(config, self.folder, self.multirun)
            self.folder = before or self.folder
            if self.multirun and not cluster.rank():
                lock.lock(self.folder)
            if before and run_folder.finished(before):
                print(f"{before}: was finished before", flush=True)
                return _score(before)
            config.resume = "auto" if before and run_folder.begun(before) else None
        (self.folder / sweep_folder.FAILED).unlink(missing_ok=True)
        OmegaConf.set_readonly(config, True)
        if not cluster.rank():
            os.environ[FOLDER_VARIABLE] = str(self.folder)
            os.environ[PARENT] = str(os.getpid())
        command: Callable[[Any, Path], float | None]
        command = importlib.import_module(f"uda_seg.commands.{self.verb}").run
        _quieten_lightning()
        keep_freed_memory()
        returned = command(OmegaConf.to_container(config, resolve=True), self.folder)
        return _score(self.folder) if self.multirun and returned is not None else returned


def _begun_before(config: DictConfig, folder: Path, sweep: bool) -> Path | None:
    """The folder where this very run was begun: by a sweep that is resumed, or by a SLURM job that
    was put back into the queue.

    Raises:
        ConfigError: the job's folder holds something else.
    """
    stored = run_folder.stored_config(folder)
    if sweep:
        before = sweep_folder.earlier(folder, config)
    else:
        before = folder if identity.same_experiment(stored, plain(config)) else None
    if before is None and stored is not None:
        found = identity.differences(stored, plain(config))
        raise ConfigError(
            f"{folder}: holds a run of another config; name another hydra.sweep.dir"
            f"{identity.listed(found)}"
        )
    if before not in (None, folder):
        sweep_folder.discard(folder)
    return before


def _score(folder: Path) -> float:
    """What a search maximises."""
    return sweep_folder.score(folder, HydraConfig.get().sweeper.get("objective", "miou"))


def _quieten_lightning() -> None:
    """Importing lightning gave its loggers handlers of their own: every line came twice."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).setLevel(logging.WARNING)


def _to_log(folder: Path, text: str) -> None:
    """The console has the message; the log keeps the traceback for whoever looks for it."""
    if folder.is_dir() and folder.resolve() != Path.cwd():  # some commands have no folder
        with suppress(OSError), open(folder / "train.log", "a", encoding="utf-8") as file:
            file.write(text)


def launch(
    verb: str, checked: Checked, multirun: bool, shown: argparse.Namespace | None = None
) -> int:
    """Runs the job or jobs.

    Args:
        verb: the command.
        checked: its overrides, and the config they make.
        multirun: whether there are several jobs.
        shown: options that ask for the config to be printed; then nothing is run.

    Returns:
        The exit code: the greatest of the jobs'.
    """
    if shown is not None:
        hydra = CheckedHydra(checked.config, checked.own_folder)
        hydra.show_cfg(verb, checked.overrides, shown.cfg, shown.package, shown.resolve)
        return 0
    job = Job(verb, sys.argv, multirun)
    added, folder = _sweep(verb, checked) if multirun else _run(verb, checked)
    config = with_values(checked.config, OverridesParser.create().parse_overrides(added))
    hydra = CheckedHydra(config, checked.own_folder)
    try:
        if multirun:
            hydra.multirun(verb, job, [*checked.overrides, *added, "hydra.mode=MULTIRUN"])
        else:
            hydra.run(verb, job, checked.overrides)
    except Stopped as stop:
        if multirun:
            conclude(folder, verb == "train")
            raise Stopped(stop.number, "") from stop
        raise
    finally:
        sys.argv = job.arguments
        lock.unlock(folder)
    if multirun:
        job.codes.append(conclude(folder, verb == "train"))
    return max(job.codes, default=0)


def _run(verb: str, checked: Checked) -> tuple[list[str], Path]:
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

    told      the process was started by Lightning: the one that the first process has
    named     hydra.run.dir= on the command line
    resumed   resume= leads to a run: its own
    fixed     the verb's YAML names one that is always the same
    cluster   a task of SLURM or torchrun: one that all tasks find
    new       any other: with the date, and reserved before it is used
    """
    together = cluster.job() or cluster.torchrun()
    told = os.environ.get(FOLDER_VARIABLE)
    if cluster.rank() and told and not together:
        return "told", Path(told)
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
    command = importlib.import_module(f"uda_seg.commands.{verb}")
    if hasattr(command, "refuse"):
        command.refuse(settings, folder)


def _quiet(folder: Path, rank: int) -> list[str]:
    """Overrides of a process that is not the first: it has a log of its own."""
    log_file = setting("hydra.job_logging.handlers.file.filename", f"{folder}/train_rank{rank}.log")
    return ["hydra.output_subdir=null", log_file]


def _sweep(verb: str, checked: Checked) -> tuple[list[str], Path]:
    """Overrides that give a sweep a folder of its own, or the one it goes on in; that folder."""
    config, key = checked.config, "hydra.sweep.dir"
    folder = Path(with_home(str(OmegaConf.select(config, key))))
    sweeper = str(config.hydra.runtime.choices.get("hydra/sweeper"))
    written: Any = OmegaConf.to_container(without_hydra(config), resolve=False)
    of_sweep = sweep_folder.identity(written, list(checked.swept), sweeper)
    given, resume = _is_named(checked, key), config.get("resume")
    if not given and resume is not None:
        folder = (
            Path(resume) if resume != "auto" else sweep_folder.newest(folder, of_sweep) or folder
        )
        given = bool(sweep_folder.read(folder))
    if not given and "${now:" in _written(config, "sweep"):
        folder = run_folder.reserve(folder)
    _check_sweep(folder, of_sweep, resume)
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
            "identity": of_sweep,
        },
    )
    excluded = "hydra.job.config.override_dirname.exclude_keys"
    names = [*OmegaConf.select(config, excluded), *checked.constant]
    # Folders of jobs are named by what differs between them.
    return [setting(key, folder), f"{excluded}=[{','.join(names)}]"], folder


def _check_sweep(folder: Path, of_sweep: str, resume: str | None) -> None:
    """
    Raises:
        ConfigError: the folder is a run's, or another sweep's (one that is resumed compares itself
            job by job).
    """
    before = sweep_folder.read(folder)
    other = before and resume is None and before.get("identity") != of_sweep
    if run_folder.read(folder) or (other and sweep_folder.jobs(folder)):
        held = f"another sweep ({before['command']})" if before else "a run"
        raise ConfigError(f"hydra.sweep.dir={folder}: holds {held}; name another folder")


def _written(config: DictConfig, mode: str) -> str:
    """The folder of `run` or `sweep` as its YAML has it."""
    return str(OmegaConf.to_container(config.hydra[mode], resolve=False)["dir"])  # type: ignore
