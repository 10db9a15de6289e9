"""The folder of a run: what is written when it starts, and how a later start finds it again."""

import hashlib
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

from uda_seg import __version__
from uda_seg.config import plain
from uda_seg.errors import ConfigError
from uda_seg.runs import files

PACKAGES = (
    "torch lightning timm hydra-core omegaconf torchmetrics albumentations numpy "
    "torchvision opencv-python-headless"
).split()

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast in C, where it was built; a report reads the configs of many runs."""

NOT_THE_EXPERIMENT = ("run_name", "outputs", "resume")
"""Top keys that say where a run's files go, not what is computed."""

HARDWARE = (
    "accelerator devices strategy num_nodes workers threads progress log_every panels".split()
)
"""Keys of `trainer` that a run may change when it is continued."""


def open_run(config: DictConfig, folder: Path) -> None:
    """Writes config.yaml, overrides.txt and environment.json; only the first process does."""
    if int(os.environ.get("LOCAL_RANK", 0)) or int(os.environ.get("SLURM_PROCID", 0)):
        return
    files.remove_unfinished(folder)
    text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
    files.write_text(folder / "config.yaml", text)
    files.write_text(folder / "overrides.txt", "\n".join([*_overrides(), ""]))
    files.write_json(folder / "environment.json", environment())


def _overrides() -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    return list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else sys.argv[1:]


def environment() -> dict[str, Any]:
    """What a run's numbers may depend on besides its config. The machine's name is left out."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions(),
        "git": git_state(),
        "command": shlex.join(["python", "-m", "uda_seg", *sys.argv[1:]]),
    }


def versions() -> dict[str, str | None]:
    """Installed versions of the packages that numbers depend on; null where one is absent."""
    found: dict[str, str | None] = {"uda_seg": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def git_state() -> dict[str, Any] | None:
    """Commit of this package's own checkout, and whether files differ from it.

    None when it was installed from a wheel, even into a folder of somebody's repository.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    commit = _git(checkout, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": _git(checkout, "status", "--porcelain") != ""}


def git_commit() -> str | None:
    """The commit, with `-dirty` behind it when files differ from it."""
    state = git_state()
    return None if state is None else state["commit"] + ("-dirty" if state["dirty"] else "")


def _git(checkout: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(checkout), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


def config_hash(config: DictConfig | Mapping[str, Any]) -> str:
    """SHA-256 of what is computed: two runs with the same one differ by chance at most."""
    wanted = {k: v for k, v in plain(config).items() if k not in NOT_THE_EXPERIMENT}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def checkpoint_to_resume(config: DictConfig | Mapping[str, Any]) -> Path | None:
    """The checkpoint that `resume=` asks for; None without one, or when `auto` finds nothing.

    Raises:
        ConfigError: a path was given and holds no checkpoint.
    """
    wanted = config["resume"]
    if wanted is None:
        return None
    if wanted == "auto":
        return _newest_unfinished(config)
    return checkpoint_at(wanted, "resume")


def checkpoint_at(path: str | Path, key: str) -> Path:
    """The .ckpt file that a path names itself, or checkpoints/last.ckpt of a run folder.

    Raises:
        ConfigError: it is not there; the message begins with the config's `key`.
    """
    path = Path(path)
    checkpoint = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not checkpoint.is_file():
        automatic = ", or resume=auto for the newest unfinished run" if key == "resume" else ""
        raise ConfigError(
            f"{key}={path}: {checkpoint} is not there; give a run folder with "
            f"checkpoints/last.ckpt, or a .ckpt file{automatic}"
        )
    return checkpoint


def folder_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint lies in; a folder is taken for one itself."""
    if checkpoint.is_dir():
        return checkpoint.resolve()
    parent = checkpoint.resolve().parent
    return parent.parent if parent.name == "checkpoints" else parent


def _newest_unfinished(config: DictConfig | Mapping[str, Any]) -> Path | None:
    """Anywhere below the run's name, so a job of a sweep is found too."""
    below = Path(config["outputs"]) / config["run_name"]
    found = sorted(
        below.glob("**/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for checkpoint in found:
        folder = checkpoint.parent.parent
        if not finished(folder) and same_experiment(stored_config(folder), config):
            return checkpoint
    return None


def finished(folder: Path) -> bool:
    """Whether a run went to its end."""
    try:
        return bool(json.loads((folder / "scores.json").read_text())["finished"])
    except (OSError, ValueError, KeyError):
        return False


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The config a run was started with, or None when the folder holds none that can be read."""
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        config = yaml.load(text, LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) else None


def same_experiment(stored: dict[str, Any] | None, config: DictConfig | Mapping[str, Any]) -> bool:
    """Whether a stored config and one that is to be run compute the same."""
    if stored is None:
        return False
    return experiment(stored) == experiment(plain(config))


def experiment(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what is no part of the experiment: places, loggers, hardware."""
    ignored = (*NOT_THE_EXPERIMENT, "logger")
    kept = {key: child for key, child in config.items() if key not in ignored}
    if isinstance(kept.get("trainer"), Mapping):
        kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in HARDWARE}
    return kept


def reserve(folder: Path) -> Path:
    """Creates the folder, or one with a number behind its name if another run was faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted, number = folder, 1
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        else:
            return folder
