"""Runs a checked command line under Hydra: one folder a run, one outcome a job."""

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

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from uda_seg.cli.checked_config import without_hydra
from uda_seg.cli.command_line import Checked
from uda_seg.config import conf_folder, plain, with_home
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
            begun = _begun(config, self.folder, self.multirun)
            self.folder = begun or self.folder
            if self.multirun and not cluster.rank():
                lock.lock(self.folder)
            if begun and run_folder.finished(begun):
                print(f"{begun}: was finished before", flush=True)
                return _score(begun)
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


def _begun(config: DictConfig, folder: Path, sweep: bool) -> Path | None:
    """The folder that a job goes on in: a sweep's when it is resumed, SLURM's when it is requeued.

    `resume` is set to what is there.

    Raises:
        ConfigError: the job's folder holds something else.
    """
    stored = run_folder.stored_config(folder)
    if sweep:
        begun = sweep_folder.earlier(folder, config)
    else:
        begun = folder if identity.same_experiment(stored, plain(config)) else None
    if begun is None and stored is not None:
        found = identity.differences(stored, plain(config))
        raise ConfigError(
            f"{folder}: holds a run of another config; name another hydra.sweep.dir"
            f"{identity.listed(found)}"
        )
    config.resume = "auto" if begun is not None and run_folder.begun(begun) else None
    if begun not in (None, folder):
        sweep_folder.discard(folder)
    return begun


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


def launch(verb: str, checked: Checked, flags: list[str], multirun: bool, show: bool) -> int:
    """Runs the job or jobs.

    Args:
        verb: the command.
        checked: its overrides.
        flags: options for Hydra itself.
        multirun: whether there are several jobs.
        show: nothing is run, a flag asks for the config to be printed.

    Returns:
        The exit code: the greatest of the jobs'.
    """
    overrides, folder = list(checked.overrides), None
    if multirun and not show:
        added, folder = _sweep(verb, checked)
        overrides += added
    elif not show:
        added, folder = _folder(verb, checked)
        overrides += added
    job = Job(verb, sys.argv, multirun)
    sys.argv, sweep = [sys.argv[0], *flags, *overrides], folder if multirun else None
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=verb)(job)()
    except Stopped as stop:
        if sweep is not None:
            conclude(sweep, verb == "train")
            raise Stopped(stop.number, "") from stop
        raise
    finally:
        sys.argv = job.arguments
        if folder is not None:
            lock.unlock(folder)
    if sweep is not None:
        job.codes.append(conclude(sweep, verb == "train"))
    return max(job.codes, default=0)


def _folder(verb: str, checked: Checked) -> tuple[list[str], Path | None]:
    """Overrides that give this run a folder that no other run has, or the one it continues in.

    All that can be refused is refused before anything is written. The folder is locked, and
    returned, unless another process has done it or there is none but the current one.
    """
    rank, shared = cluster.rank(), os.environ.get(FOLDER_VARIABLE)
    config, key = checked.config, "hydra.run.dir"
    if rank and shared and not (cluster.job() or cluster.torchrun()):
        return [setting(key, shared), *_quiet(Path(shared), rank)], None
    given = any(override.lstrip("+").startswith(f"{key}=") for override in checked.overrides)
    folder = Path(with_home(str(OmegaConf.select(config, key))))
    settings = with_home(plain(without_hydra(config)))
    continued = place.folder_to_resume(settings) if "resume" in settings and not given else None
    fresh = not given and continued is None and "${now:" in _written(config, "run")
    if continued is not None:
        folder = continued
    elif fresh and (cluster.job() or cluster.torchrun()):
        folder, fresh = cluster.folder(folder, settings), False
    if rank:
        return [setting(key, folder), *_quiet(folder, rank)], None
    _refuse(verb, settings, None if fresh else folder, given)
    if fresh:
        folder = run_folder.reserve(folder)
    own = folder.resolve() != Path.cwd()
    if own:
        files.check_writable(folder)
        lock.lock(folder)
    return [setting(key, folder)], folder if own else None


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
    given = any(override.lstrip("+").startswith(f"{key}=") for override in checked.overrides)
    resume = config.get("resume")
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
