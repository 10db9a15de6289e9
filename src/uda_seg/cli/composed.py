"""Configs put together by Hydra, each once a process."""

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from uda_seg.config import conf_folder


@lru_cache(maxsize=256)
def composed(verb: str, overrides: tuple[str, ...], own_files: tuple[Any, ...]) -> bytes:
    """A composed config, pickled: reading it takes a hundredth of composing it again.

    Args:
        verb: the command.
        overrides: of groups and of Hydra.
        own_files: the state of the user's YAML files, which may change meanwhile.
    """
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return pickle.dumps(compose(verb, overrides=list(overrides), return_hydra_config=True), -1)


def state_of(folder: Path) -> tuple[Any, ...]:
    """Of the YAML files in a folder: changes when one of them does."""
    paths = [path for levels in ("*", "*/*", "hydra/*/*") for path in folder.glob(f"{levels}.yaml")]
    files = [(str(path), path.stat()) for path in sorted(paths) if path.is_file()]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in files)
