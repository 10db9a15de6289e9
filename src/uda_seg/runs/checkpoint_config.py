"""A run that a later command works on: what its checkpoint was trained with."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from uda_seg.config import has_own_keys, plain
from uda_seg.runs import run_folder
from uda_seg.runs.weights import read_checkpoint
from uda_seg.runs.yaml_errors import mistake_in

log = logging.getLogger(__name__)


def evaluation_config(config: DictConfig, sides: Collection[str] = ("target",)) -> DictConfig:
    """What a command with `checkpoint=` and `target=` works on.

    Args:
        config: of the command.
        sides: which of source and target it needs.

    Returns:
        The config with `checkpoint` as the path of the .ckpt file, `run` as the config of the run
        it comes from, and a complete `target`: the chosen one, or else the run's own with the
        given `target.…=` values in it. The same for `source`.

    Raises:
        ConfigError: the checkpoint is not there, or tells nothing about its run.
    """
    checkpoint = run_folder.checkpoint_at(config.checkpoint, "checkpoint")
    run = config_of(checkpoint)
    complete = plain(config) | {"checkpoint": str(checkpoint), "run": run}
    for side in sides:
        domain = complete.get(side) or {}
        complete[side] = domain if "_target_" in domain else _merged(run[side], domain, side)
    return OmegaConf.create(complete)


def check_checkpoints(config: Mapping[str, Any]) -> None:
    """Of a command with `checkpoint=`, and perhaps `compare=`: that they can be read.

    Raises:
        UserError: one is not there, or no checkpoint of a run.
    """
    for key in ("checkpoint", "compare"):
        named = config.get(key) or []
        for path in named if isinstance(named, list) else [named]:
            read_checkpoint(run_folder.checkpoint_at(path, key), key)


def config_of(checkpoint: Path) -> dict[str, Any]:
    """The config of the run that a .ckpt file comes from.

    Raises:
        WeightsError: neither its run folder nor the file itself tells.
    """
    folder = run_folder.folder_of(checkpoint)
    if stored := run_folder.read(folder):
        return stored
    if mistake := mistake_in(folder / "config.yaml"):
        log.warning("%s; the config within %s is taken", mistake, checkpoint)
    return _config_within(checkpoint)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        below = f"{path}.{key}"
        both = isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
        merge = both and not has_own_keys(below)
        merged[key] = _merged(old[key], value, below) if merge else value
    return merged


def _config_within(checkpoint: Path) -> dict[str, Any]:
    """For a checkpoint that was moved away from its run's config.yaml."""
    return dict(read_checkpoint(checkpoint)["hyper_parameters"]["config"])
