"""The folder of a run: what is written when it starts, and how a later start finds it again."""

import functools
import hashlib
import importlib.metadata
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from uda_seg import __version__
from uda_seg.config import plain, read_yaml
from uda_seg.errors import ConfigError
from uda_seg.runs import cluster, files, identity

PACKAGES = (
    "torch", "lightning", "timm", "hydra-core", "omegaconf", "torchmetrics", "albumentations",
    "numpy", "torchvision", "opencv-python-headless",
)  # fmt: skip


def open_run(config: Mapping[str, Any], folder: Path, step: int | None = None) -> None:
    """Writes config.yaml, overrides.txt and environment.json; only the first process does.

    Args:
        config: of the run.
        folder: of the run.
        step: the run goes on from; what the earlier start ran with is kept in environment.json.
    """
    if cluster.rank():
        return
    files.remove_unfinished(folder)
    text = yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
    now = environment()
    if step is not None:
        now["earlier"] = _earlier(folder, plain(config), step)
    files.write_text(folder / "config.yaml", text)
    files.write_text(folder / "overrides.txt", "\n".join([*given_overrides(), ""]))
    files.write_json(folder / "environment.json", now)


def _earlier(folder: Path, config: Mapping[str, Any], step: int) -> list[dict[str, Any]]:
    """The starts before this one: what each ran with, to which step, and what was changed then."""
    last = files.stored_json(folder / "environment.json")
    if not last:
        return []
    changed = identity.told(stored_config(folder) or {}, config)
    last["until_step"] = step
    last["changed_then"] = {one.key: [one.was, one.now] for one in changed}
    return [*last.pop("earlier", []), last]


def given_overrides() -> list[str]:
    """The overrides that this command was given."""
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


@functools.cache
def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str | None]:
    """Installed versions; null where one is absent.

    Args:
        packages: besides this one; those that numbers depend on.
    """
    found: dict[str, str | None] = {"uda_seg": __version__}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


@functools.cache
def git_state() -> dict[str, Any] | None:
    """Commit of this package's own checkout, and whether files differ from it: asked once, since
    a process goes on with the code that it has read.

    None when it was installed from a wheel, even into a folder of somebody's repository.
    """
    checkout = Path(__file__).resolve().parents[3]
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


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of what is computed: two runs with the same one differ by chance at most."""
    wanted = {k: v for k, v in plain(config).items() if k not in identity.NOT_THE_EXPERIMENT}
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def checkpoint_at(path: str | Path, key: str) -> Path:
    """The .ckpt file that a path names itself, or checkpoints/last.ckpt of a run folder, or of the
    only one in it.

    Raises:
        ConfigError: it is not there; the message begins with the config's `key`.
    """
    path = Path(path).expanduser()
    if path.is_dir() and not begun(path):
        runs = [file.parents[1] for file in sorted(path.glob("*/checkpoints/last.ckpt"))]
        if len(runs) > 1:
            names = ", ".join(run.name for run in runs[-5:])
            raise ConfigError(f"{key}={path}: holds {len(runs)} runs; name one of them: {names}")
        path = runs[0] if runs else path
    checkpoint = path / "checkpoints" / "last.ckpt" if path.is_dir() else path
    if not checkpoint.is_file() and key == "resume" and begun(path):
        return next(path.glob("checkpoints/*.ckpt"))  # which one is decided when it is read
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


def begun(folder: Path) -> bool:
    """Whether there is a checkpoint to go on from, or what looks like one."""
    return any(folder.glob("checkpoints/*.ckpt"))


def finished(folder: Path) -> bool:
    """Whether a run went to its end."""
    return bool(files.stored_json(folder / "scores.json").get("finished"))


def stored_config(folder: Path) -> dict[str, Any] | None:
    """The config a run was started with, or None when the folder holds none that can be read."""
    try:
        config = read_yaml(folder / "config.yaml")
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) else None


def read(folder: Path) -> dict[str, Any]:
    """The stored config of a training run; empty where there is none, or somebody else's."""
    config = stored_config(folder) or {}
    groups = ("method", "backbone")
    return config if all(isinstance(config.get(group), dict) for group in groups) else {}


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
