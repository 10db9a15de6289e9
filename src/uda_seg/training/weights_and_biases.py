"""Weights & Biases that never asks a question and never ends a run."""

import logging
import netrc
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from uda_seg.runs import files

log = logging.getLogger(__name__)

LONGEST_TAG = 64
"""Letters; W&B refuses a run with a longer one."""

INIT_SECONDS = 15
"""Patience with a server that does not answer; the run goes on offline then."""

FINISH_SECONDS = 20
"""Patience with what is not sent yet when a run ends; it stays on disk."""

ALIASES = {"dryrun": "offline", "run": "online"}
"""Other names of W&B's modes."""


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
    """A run of its own for this process, online if somebody is logged in; None if all fails.

    A server that was not reached once is not asked again by the later jobs of a sweep.
    """
    if getattr(rank_zero_only, "rank", 0) != 0:
        return PatientLogger(project=project)  # its experiment is a dummy on this rank
    try:
        chosen = mode()
        if chosen == "disabled":
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
    except Exception as error:
        log.warning("W&B: %s; the run goes on without it", _first_line(error))
        return None
    for attempt in ("offline",) if chosen == "offline" or UNREACHED else (chosen, "offline"):
        before = set(parts(folder / "wandb"))
        try:
            return _open(wanted, attempt)
        except Exception as error:
            log.warning("W&B (%s): %s", attempt, _first_line(error))
            if attempt != "offline":
                UNREACHED.append(_first_line(error))
            _give_up(set(parts(folder / "wandb")) - before)
    log.warning("W&B: the run goes on without it; metrics.csv comes from logger=csv")
    return None


UNREACHED: list[str] = []
"""What the server said, or did not say, when this process could not start a run online."""


def _open(wanted: dict[str, Any], mode: str) -> PatientLogger:
    folder = Path(wanted["dir"])
    folder.mkdir(parents=True, exist_ok=True)
    patience = {"finish_timeout": FINISH_SECONDS, "finish_timeout_raises": True}
    settings = wandb.Settings(
        silent=True,
        console="off",  # train.log has it
        init_timeout=INIT_SECONDS,
        login_timeout=1,  # should it ask for a key after all, nobody has to answer
        **{k: v for k, v in patience.items() if k in wandb.Settings.model_fields},  # type: ignore[arg-type]
    )
    # Offline too: `wandb sync` then sends a part behind those that were sent before.
    run = wandb.init(**wanted, mode=mode, resume="allow", settings=settings)  # type: ignore[arg-type]
    if mode == "online" and run.url:
        log.info("W&B: %s", run.url)
    elif mode == "offline":
        command = sync_command(offline_parts(Path(str(run.settings.sync_dir)).parent))
        log.info("W&B: offline; to send this run later: %s", command)
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return PatientLogger(project=wanted["project"], save_dir=str(folder), experiment=run)


def _give_up(unfinished: Set[Path]) -> None:
    """Ends W&B's process, for which a run that could not start is in use, and what it left."""
    try:
        wandb.teardown()
        for path in unfinished:
            shutil.rmtree(path, ignore_errors=True)
    except Exception as error:
        log.warning("W&B: %s", _first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def finish(exit_code: int = 0) -> None:
    """Ends this process's run, so that the next job of a sweep gets its own."""
    run = wandb.run
    if run is None:
        return
    own = Path(str(run.settings.sync_dir))
    unsent = [own] if run.offline else []
    try:
        wandb.finish(exit_code=exit_code)
    except Exception as error:
        log.warning("W&B: %s", _first_line(error))
        unsent = [own]
    earlier = [path for path in offline_parts(own.parent) if path.resolve() != own.resolve()]
    if earlier or unsent:
        log.info("W&B: not sent yet; to send it: %s", sync_command([*earlier, *unsent]))


def parts(folder: Path) -> list[Path]:
    """The folders that W&B keeps in one: a start has one, so that a resumed run has several."""
    return sorted(folder.glob("*run-*-*"), key=lambda path: path.name.partition("run-")[2])


def offline_parts(folder: Path) -> list[Path]:
    """Those that were logged offline, and that nobody has sent since."""
    kept = [path for path in parts(folder) if path.name.startswith("offline-")]
    return [path for path in kept if not any(path.glob("*.synced"))]


def sync_command(unsent: Sequence[Path]) -> str:
    """Sends parts of a run; in one command, W&B joins them in the order they began."""
    return shlex.join(["wandb", "sync", *(str(path.resolve()) for path in unsent)])


def mode() -> str:
    """What WANDB_MODE, or `wandb offline`, say; else online if somebody is logged in."""
    given = os.environ.get("WANDB_MODE")
    stored = str(wandb.setup().settings.mode)
    if not given and stored == "online":
        return "online" if logged_in() else "offline"
    return ALIASES.get(given or stored, given or stored)


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
    if path.is_file() and path.read_text(encoding="utf-8").strip():
        return path.read_text(encoding="utf-8").strip()
    identity = secrets.token_hex(4)
    files.write_text(path, identity + "\n")
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
