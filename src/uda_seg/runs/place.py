"""Which folder a run goes on in, and whether it may write into one that was named."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError
from uda_seg.runs import identity, run_folder


def folder_to_resume(config: Mapping[str, Any]) -> Path | None:
    """The run folder that `resume=` goes on in.

    None without one; when `auto` finds nothing; or when a checkpoint lies in no run folder, so that
    the run goes on in a new one.

    Raises:
        ConfigError: a path was given and holds no checkpoint.
    """
    if config["resume"] is None:
        return None
    if config["resume"] == "auto":
        for found in unfinished(config):
            if not identity.differences(run_folder.read(found), config):
                return found
        return None
    folder = run_folder.folder_of(run_folder.checkpoint_at(config["resume"], "resume"))
    return folder if run_folder.read(folder) else None


def unfinished(config: Mapping[str, Any]) -> list[Path]:
    """Runs with a checkpoint, the newest first, anywhere below the run's name: a job of a sweep is
    found too.
    """
    below = Path(config["outputs"]).expanduser() / config["run_name"]
    found = {path.parent.parent: path.stat().st_mtime for path in below.glob("**/checkpoints/*")}
    newest = sorted(found, key=lambda folder: found[folder], reverse=True)
    begun = [folder for folder in newest if run_folder.begun(folder) and run_folder.read(folder)]
    return [folder for folder in begun if not run_folder.finished(folder)]


def check_free(folder: Path, verb: str, config: Mapping[str, Any]) -> None:
    """Checks that a run may write into a folder that was named.

    Raises:
        ConfigError: it holds another run, or something else.
    """
    given = f"hydra.run.dir={folder}"
    blocked = next((p for p in [folder, *folder.parents] if p.exists() and not p.is_dir()), None)
    if blocked:
        raise ConfigError(f"{given}: {blocked} is a file; name a folder")
    stored, done = run_folder.read(folder), run_folder.finished(folder)
    if verb != "train":
        if stored or run_folder.begun(folder):
            raise ConfigError(
                f"{given}: holds a training run, whose files would be replaced; name another folder"
            )
        return
    if not stored:
        if (folder / "config.yaml").exists() or run_folder.begun(folder):
            raise ConfigError(
                f"{given}: holds files of something else (config.yaml, checkpoints), which would "
                "be replaced; name another folder"
            )
        return
    if not done and not run_folder.begun(folder):
        return  # it ended before it had done anything
    found = identity.differences(stored, config)
    if found:
        raise ConfigError(
            f"{given}: holds {'a finished' if done else 'an unfinished'} run of another "
            f"experiment; name another folder, or leave hydra.run.dir= out:{identity.listed(found)}"
        )
    if config["resume"] is None:
        raise ConfigError(
            f"{given}: holds this very run, {'finished' if done else 'unfinished'}; "
            f"{'' if done else f'go on with resume={folder}, or '}name another folder"
        )
