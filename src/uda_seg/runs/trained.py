"""A trained network, opened from its run folder or checkpoint: what later commands work on."""

import hashlib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from uda_seg.config import build, has_own_keys, plain, unread
from uda_seg.errors import ConfigError, WeightsError
from uda_seg.runs import older_names, run_folder
from uda_seg.runs.weights import network_state, read_checkpoint
from uda_seg.runs.yaml_errors import mistake_in

log = logging.getLogger(__name__)


@dataclass
class Trained:
    """
    Attributes:
        path: of the .ckpt file.
        run: the config it was trained with.
        network: in evaluation mode.
        classes: their names, in the order of the network's outputs.
        step: it was trained to.
        others: further ones, whose networks `network` asks too.
    """

    path: Path
    run: dict[str, Any]
    network: nn.Module
    classes: list[str]
    step: int
    others: tuple["Trained", ...] = ()

    @property
    def caption(self) -> str:
        return " + ".join(f"{one.run['run_name']}, step {one.step}" for one in (self, *self.others))

    def identity(self) -> dict[str, Any]:
        with open(self.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        own = {"path": str(self.path.resolve()), "sha256": digest.hexdigest()}
        return own | ({"also": [one.identity() for one in self.others]} if self.others else {})


def open_trained(path: str | Path, key: str = "checkpoint", device: str = "cpu") -> Trained:
    """
    Args:
        path: a .ckpt file, or a run folder with checkpoints/last.ckpt.
        key: of the config, for messages.
        device: as `choose_device` takes it.

    Raises:
        ConfigError: there is none, or the device is not there.
        WeightsError: it is no checkpoint of this package, or does not fit its run's config.
    """
    checkpoint = run_folder.checkpoint_at(path, key)
    run = config_of(checkpoint)
    stored = read_checkpoint(checkpoint, key)
    classes, step = list(stored["hyper_parameters"]["classes"]), int(stored["global_step"])
    backbone = dict(run["backbone"])
    if "pretrained" in backbone:
        backbone["pretrained"] = "none"  # all weights come from the checkpoint
    try:
        network: nn.Module = build(backbone, classes=len(classes))
    except ConfigError as error:  # keys came or went since the run was made
        made = run_folder.folder_of(checkpoint) / "environment.json"
        raise WeightsError(
            f"{checkpoint}: its run's backbone is not this version's ({error}); train it again, or "
            f"take the version that made it: {made}"
        ) from error
    if odd := unread(backbone, "backbone"):  # an older version's, or a help for others beside it
        log.warning("%s: its run's backbone.%s is not read", checkpoint, ", backbone.".join(odd))
    try:
        network.load_state_dict(network_state(stored))
    except RuntimeError as error:
        raise WeightsError(f"{checkpoint}: does not fit the run's backbone: {error}") from error
    return Trained(checkpoint, run, network.eval().to(choose_device(device)), classes, step)


def choose_device(name: str) -> torch.device:
    """
    Args:
        name: cpu, cuda, mps, gpu (one of the latter two), or auto (the best there is).

    Raises:
        ConfigError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.mps.is_available(), "cpu": True}
    choices = [kind for kind, here in there.items() if here]
    kinds = {"auto": choices, "gpu": [kind for kind in choices if kind != "cpu"]}
    wanted = kinds.get(name, [name] if name in choices else [])
    if not wanted:
        raise ConfigError(
            f"device={name}: is not there; choose auto, or one of {', '.join(choices)}"
        )
    return torch.device(wanted[0])


def evaluation_config(
    config: Mapping[str, Any], sides: Collection[str] = ("target",)
) -> dict[str, Any]:
    """The config of a command with `checkpoint=`, with what it takes from the checkpoint's run.

    Args:
        config: of the command.
        sides: which of source and target it needs.

    Returns:
        The config with `checkpoint` as the path of the .ckpt file, `run` as the config of the run
        it comes from, and a complete `target`: the chosen one, or else the run's own with the
        given `target.…=` values in it. The same for `source`. `inference`, where the command has
        it, is complete too.

    Raises:
        ConfigError: the checkpoint is not there, or tells nothing about its run.
    """
    checkpoint = run_folder.checkpoint_at(config["checkpoint"], "checkpoint")
    run = config_of(checkpoint)
    complete = plain(config) | {"checkpoint": str(checkpoint), "run": run}
    for side in sides:
        domain = complete.get(side) or {}
        complete[side] = domain if "_target_" in domain else _merged(run[side], domain, side)
    if "inference" in complete:
        complete["inference"] = inference_of(run, complete["inference"])
    return complete


def inference_of(run: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """How a run scored, with what is given, and is not None, in its place.

    Raises:
        ConfigError: windows are given for whole images.
    """
    settings = run["inference"] | {key: value for key, value in given.items() if value is not None}
    windows = [f"inference.{key}" for key in ("window", "stride") if given.get(key) is not None]
    if windows and settings["mode"] == "whole":
        raise ConfigError(
            f"{' and '.join(windows)}: would do nothing, whole images are predicted; add "
            "inference.mode=slide"
        )
    return settings


def check_checkpoints(config: Mapping[str, Any]) -> None:
    """
    Args:
        config: of a command with `checkpoint=`, and perhaps `also=` or `compare=`.

    Raises:
        UserError: one is not there, or no checkpoint of a run.
    """
    for key in ("checkpoint", "also", "compare"):
        named = config.get(key) or []
        for path in named if isinstance(named, list) else [named]:
            read_checkpoint(run_folder.checkpoint_at(path, key), key)


def config_of(checkpoint: Path) -> dict[str, Any]:
    """The config of the run that a .ckpt file comes from.

    Raises:
        WeightsError: neither its run folder nor the file itself tells.
        ConfigError: it is of an earlier version.
    """
    folder = run_folder.folder_of(checkpoint)
    cure = f"train it again, or write what they are called now into {folder / 'config.yaml'}"
    if stored := run_folder.read(folder):
        older_names.refuse(stored, folder / "config.yaml", cure)
        return stored
    if mistake := mistake_in(folder / "config.yaml"):
        log.warning("%s; the config within %s is taken", mistake, checkpoint)
    # A checkpoint that was moved away from its run's config.yaml holds it too.
    config = dict(read_checkpoint(checkpoint)["hyper_parameters"]["config"])
    older_names.refuse(config, checkpoint, cure)
    return config


def _merged(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = dict(old)
    for key, value in new.items():
        below = f"{path}.{key}"
        both = isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
        merge = both and not has_own_keys(below)
        merged[key] = _merged(old[key], value, below) if merge else value
    return merged
