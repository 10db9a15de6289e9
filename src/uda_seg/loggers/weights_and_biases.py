"""Weights & Biases that never asks a question and never ends a run."""

import logging
import netrc
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

log = logging.getLogger(__name__)

LONGEST_TAG = 64
"""Letters; W&B refuses a run with a longer one."""

INIT_SECONDS = 60
"""Patience with a server that does not answer; the run goes on offline then."""


class PatientLogger(WandbLogger):
    """A `WandbLogger` that gives up logging, with one warning, where the original would raise."""

    broken = False

    def show(self, name: str, images: list[Any], step: int, keywords: dict[str, list[Any]]) -> None:
        """Pictures with one keyword argument each of `wandb.Image`."""
        self.attempt(lambda: self.log_image(name, images, step, **keywords))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        shown = {name: value for name, value in metrics.items() if name != "epoch"}
        self.attempt(lambda: super(PatientLogger, self).log_metrics(shown, step))

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """The config went along when the run was made."""

    def attempt(self, action: Callable[[], Any]) -> None:
        if self.broken:
            return
        try:
            action()
        except Exception as error:
            self.broken = True
            log.warning("W&B: %s; the run goes on without it", error)


def start(
    folder: Path,
    run_name: str,
    config: Mapping[str, Any],
    project: str,
    entity: str | None,
    group: str | None,
    tags: Sequence[str],
) -> PatientLogger | None:
    """A run of its own for this process, online if somebody is logged in; None if all fails."""
    if getattr(rank_zero_only, "rank", 0) != 0:
        return PatientLogger(project=project)  # its experiment is a dummy on this rank
    mode = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    if mode == "disabled":
        return None
    finish()
    wanted = {
        "project": project,
        "entity": entity,
        "group": group or sweep_of(folder),
        "tags": [*tags, *told_apart_by(folder)],
        "name": " ".join([run_name, *told_apart_by(folder)]),
        "config": dict(config),
        "id": run_id(folder),
        "dir": str(folder),
    }
    for attempt in dict.fromkeys((mode, "offline")):
        try:
            return _open(wanted, attempt)
        except Exception as error:
            log.warning("W&B (%s): %s", attempt, error)
    log.warning("W&B: the run goes on without it; metrics.csv comes from logger=csv")
    return None


def _open(wanted: dict[str, Any], mode: str) -> PatientLogger:
    folder = Path(wanted["dir"])
    folder.mkdir(parents=True, exist_ok=True)
    settings = wandb.Settings(
        silent=True,
        console="off",  # train.log has it
        init_timeout=INIT_SECONDS,
        login_timeout=1,  # should it ask for a key after all, nobody has to answer
    )
    resume = "allow" if mode == "online" else None  # W&B cannot look up a run when offline
    run = wandb.init(**wanted, mode=mode, resume=resume, settings=settings)  # type: ignore[arg-type]
    if mode == "offline":
        log.info("W&B: offline; to send this run later: wandb sync %s", run.settings.sync_dir)
    elif run.url:
        log.info("W&B: %s", run.url)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return PatientLogger(project=wanted["project"], save_dir=str(folder), experiment=run)


def finish(exit_code: int = 0) -> None:
    """Ends this process's run, so that the next job of a sweep gets its own."""
    if wandb.run is None:
        return
    try:
        wandb.finish(exit_code=exit_code)
    except Exception as error:
        log.warning("W&B: %s", error)


def logged_in() -> bool:
    """Whether W&B would find a key where it looks for one, without asking anybody."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    try:
        settings = wandb.setup().settings
        if settings.api_key:
            return True
        hosts = {urlsplit(settings.base_url).netloc, "api.wandb.ai"}
        found = netrc.netrc(os.environ.get("NETRC"))
    except Exception:  # no netrc, or none that can be read, is no login
        return False
    return any(found.authenticators(host) for host in hosts)


def run_id(folder: Path) -> str:
    """The id of a run folder's W&B run: a resumed run continues it."""
    path = folder / "wandb_id.txt"
    if path.is_file() and path.read_text().strip():
        return path.read_text().strip()
    path.parent.mkdir(parents=True, exist_ok=True)
    identity = secrets.token_hex(4)
    path.write_text(identity + "\n")
    return identity


def sweep_of(folder: Path) -> str | None:
    """The group of a sweep's jobs: the sweep's folder. None for a run on its own."""
    sweep = folder.resolve().parent
    named = sweep.name.startswith("sweep_") or (sweep / "sweep.json").is_file()
    return f"{sweep.parent.name}/{sweep.name}" if named else None


def told_apart_by(folder: Path) -> list[str]:
    """What a sweep's job has different from the others, such as lambda_adv=0.001."""
    if sweep_of(folder) is None:
        return []
    words = folder.resolve().name.partition("_")[2].split(",")
    short = [
        f"{key.rpartition('.')[2]}={value}" for key, _, value in (w.partition("=") for w in words)
    ]
    return [word for word in short if len(word) <= LONGEST_TAG and not word.endswith("=")]
