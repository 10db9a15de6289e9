"""Runs a checked command line under Hydra: one folder a run, one outcome a job."""

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Quote, QuotedString
from omegaconf import DictConfig, OmegaConf

from uda_seg import run_folder
from uda_seg.composition import without_hydra
from uda_seg.config import conf_folder
from uda_seg.errors import UserError
from uda_seg.overrides import Checked

FOLDER_VARIABLE = "UDA_SEG_RUN_FOLDER"
"""Tells the ranks that Lightning starts where the first one writes."""


@dataclass
class Job:
    """The task Hydra runs. Hydra would print a traceback for everything and stop a sweep.

    Attributes:
        verb: the module below `uda_seg.commands`.
        arguments: `sys.argv` as the user gave it: Lightning starts its ranks with it.
        multirun: whether others follow.
        codes: the exit codes of the jobs so far.
    """

    verb: str
    arguments: list[str]
    multirun: bool
    codes: list[int] = field(default_factory=list)
    process: int = field(default_factory=os.getpid)

    def __call__(self, config: DictConfig) -> float | None:
        sys.argv = self.arguments
        folder = Path(HydraConfig.get().runtime.output_dir)
        try:
            return self._run(config, folder)
        except UserError as error:
            _to_log(folder)
            print(f"uda-seg: {error}", file=sys.stderr, flush=True)
            code = error.exit_code
        except Exception:
            _to_log(folder)
            traceback.print_exc()
            code = 1
        if os.getpid() != self.process:  # a launcher's own process: only an exception travels back
            raise RuntimeError(f"a job failed; see {folder / 'train.log'}")
        self.codes.append(code)
        return float("nan")  # a sweeper takes it for a failed trial

    def _run(self, config: DictConfig, folder: Path) -> float | None:
        config = config.copy()
        OmegaConf.resolve(config)
        OmegaConf.set_readonly(config, True)
        if self.multirun and config.get("resume") is not None:
            checkpoint = run_folder.checkpoint_to_resume(config)
            folder = run_folder.folder_of(checkpoint) if checkpoint else folder
        if not int(os.environ.get("LOCAL_RANK", 0)):
            os.environ[FOLDER_VARIABLE] = str(folder)
        command: Callable[..., float | None]
        command = importlib.import_module(f"uda_seg.commands.{self.verb}").run
        _quieten_lightning()
        return command(config, folder)


def _quieten_lightning() -> None:
    """Importing lightning gave its loggers handlers of their own: every line came twice."""
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).setLevel(logging.WARNING)


def _to_log(folder: Path) -> None:
    """The console has the message; the log keeps the traceback for whoever looks for it."""
    if folder.is_dir() and folder.resolve() != Path.cwd():  # some commands have no folder
        with open(folder / "train.log", "a", encoding="utf-8") as file:
            file.write(traceback.format_exc())


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
    overrides = checked.overrides if show else [*checked.overrides, *_folder(checked, multirun)]
    job = Job(verb, sys.argv, multirun)
    sys.argv = [sys.argv[0], *flags, *overrides]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=verb)(job)()
    finally:
        sys.argv = job.arguments
    if multirun and job.codes:
        print(f"uda-seg: {len(job.codes)} of the jobs failed", file=sys.stderr)
    return max(job.codes, default=0)


def _folder(checked: Checked, multirun: bool) -> list[str]:
    """Overrides that give this run a folder that no other run has, or the one it continues in."""
    rank, shared = int(os.environ.get("LOCAL_RANK", 0)), os.environ.get(FOLDER_VARIABLE)
    if rank and shared:
        log_file = _quoted(f"{shared}/train_rank{rank}.log")
        return [
            f"hydra.run.dir={_quoted(shared)}",
            "hydra.output_subdir=null",
            f"hydra.job_logging.handlers.file.filename={log_file}",
        ]
    key = "hydra.sweep.dir" if multirun else "hydra.run.dir"
    if any(override.lstrip("+").startswith(f"{key}=") for override in checked.overrides):
        return []
    config = checked.config
    if not multirun and config.get("resume") is not None:
        checkpoint = run_folder.checkpoint_to_resume(without_hydra(config))
        if checkpoint is not None:
            return [f"{key}={_quoted(str(run_folder.folder_of(checkpoint)))}"]
    node = OmegaConf.to_container(config.hydra.sweep if multirun else config.hydra.run)
    folder = Path(str(OmegaConf.select(config, key)))
    if "${now:" in node["dir"]:  # type: ignore[index,call-overload]
        folder = run_folder.reserve(folder)
    return [f"{key}={_quoted(str(folder))}", *(_job_names(checked) if multirun else [])]


def _job_names(checked: Checked) -> list[str]:
    """Folders of jobs are named by what differs between them."""
    key = "hydra.job.config.override_dirname.exclude_keys"
    excluded = [*OmegaConf.select(checked.config, key), *checked.constant]
    return [f"{key}=[{','.join(excluded)}]"]


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()
