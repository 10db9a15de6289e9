"""A run that a later command works on: what its checkpoint was trained with."""

import logging
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from uda_seg import run_folder
from uda_seg.cli.yaml_errors import mistake_in
from uda_seg.config import plain
from uda_seg.errors import ConfigError

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
        complete[side] = domain if "_target_" in domain else _merged(run[side], domain)
    return OmegaConf.create(complete)


def config_of(checkpoint: Path) -> dict[str, Any]:
    """The config of the run that a .ckpt file comes from.

    Raises:
        ConfigError: neither its run folder nor the file itself tells.
    """
    folder = run_folder.folder_of(checkpoint)
    if stored := run_folder.stored_config(folder):
        return stored
    if mistake := mistake_in(folder / "config.yaml"):
        log.warning("%s; the config within %s is taken", mistake, checkpoint)
    return _config_within(checkpoint)


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
        merged[key] = _merged(old[key], value) if both else value
    return merged


def _config_within(checkpoint: Path) -> dict[str, Any]:
    """For a checkpoint that was moved away from its run's config.yaml."""
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return dict(stored["hyper_parameters"]["config"])
    except (KeyError, TypeError, RuntimeError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"checkpoint={checkpoint}: no config in it ({str(error).partition(chr(10))[0]}), and "
            "no config.yaml in its run folder; only checkpoints of uda_seg can be used"
        ) from error
