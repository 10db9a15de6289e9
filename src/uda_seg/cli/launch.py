"""Runs a checked command line under Hydra: one folder a run, one outcome a job."""

import argparse
import gc
import logging
import os
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
from uda_seg.cli.composed import CheckedHydra, with_values
from uda_seg.cli.later import command_of
from uda_seg.cli.output_folder import of_run, of_sweep
from uda_seg.config import plain, with_home
from uda_seg.errors import ConfigError, UserError
from uda_seg.experiments import sweep_folder
from uda_seg.experiments.sweep_end import conclude
from uda_seg.runs import cluster, files, identity, lock, run_folder
from uda_seg.runs.memory import keep_freed_memory, leave_out_what_is_imported
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

    def _run(self, composed: DictConfig) -> float | None:
        config: dict[str, Any] = with_home(OmegaConf.to_container(composed, resolve=True))
        if "resume" in config and (self.multirun or (cluster.job() and config["resume"] is None)):
            before = _folder_to_go_on_in(config, self.folder, self.multirun)
            self.folder = before or self.folder
            if self.multirun and not cluster.rank():
                lock.lock(self.folder)
            if before and run_folder.finished(before):
                print(f"{before}: was finished before", flush=True)
                return _score(before)
            config["resume"] = "auto" if before and run_folder.begun(before) else None
        (self.folder / sweep_folder.FAILED).unlink(missing_ok=True)
        if not cluster.rank():
            os.environ[FOLDER_VARIABLE] = str(self.folder)
            os.environ[PARENT] = str(os.getpid())
        command: Callable[[dict[str, Any], Path], float | None]
        command = command_of(self.verb).run
        _quieten_lightning()
        keep_freed_memory()
        leave_out_what_is_imported()
        gc.enable()
        returned = command(config, self.folder)
        return _score(self.folder) if self.multirun and returned is not None else returned


def _folder_to_go_on_in(config: dict[str, Any], folder: Path, sweep: bool) -> Path | None:
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
    added, folder = of_sweep(checked) if multirun else of_run(verb, checked)
    try:
        if multirun:
            hydra = CheckedHydra(checked.config, checked.own_folder)
            hydra.multirun(verb, job, [*checked.overrides, *added, "hydra.mode=MULTIRUN"])
        else:
            config = with_values(checked.config, OverridesParser.create().parse_overrides(added))
            CheckedHydra(config, checked.own_folder).run(verb, job, checked.overrides)
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
