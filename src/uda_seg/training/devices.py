"""Whether the devices that a run asks for are there, said before anything is built."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import torch

from uda_seg.errors import ConfigError
from uda_seg.runs.identity import device_count


def check_devices(settings: Mapping[str, Any]) -> None:
    """
    Args:
        settings: the `trainer:` config.

    Raises:
        ConfigError: they are not there; how to choose others.
    """
    kind, devices = settings["accelerator"], settings["devices"]
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if kind == "gpu" and not gpus and not mps:
        raise ConfigError(f"trainer.accelerator=gpu: {_why_none()}; choose trainer=cpu")
    if kind == "mps" and not mps:
        raise ConfigError(
            "trainer.accelerator=mps: torch finds no Apple GPU here; choose trainer=cpu, or "
            "trainer.accelerator=auto"
        )
    on_cpu = kind == "cpu" or (kind == "auto" and not gpus and not mps)
    if on_cpu and settings["precision"] == "16-mixed":
        raise ConfigError(
            "trainer.precision=16-mixed: needs a GPU; on a CPU bfloat16 would be computed instead, "
            "which is trainer.precision=bf16-mixed"
        )
    if on_cpu and settings.get("compile") and not _compiler():
        raise ConfigError(
            "trainer.compile: torch needs a compiler of C++ on a CPU, and finds none; install g++, "
            "or name one in CXX; or leave trainer.compile out"
        )
    given = f"trainer.devices={str(devices).replace(' ', '')}"
    if kind != "cpu" and kind != "mps" and gpus:
        _check_gpus(given, devices, gpus)
    elif mps and kind != "cpu" and device_count(devices) > 1:
        raise ConfigError(f"{given}: there is one Apple GPU; trainer.devices=1")
    elif isinstance(devices, list | tuple) and not (mps and kind != "cpu"):
        why = "trainer.accelerator=cpu" if kind == "cpu" else _why_none()
        raise ConfigError(
            f"{given}: a list says which GPUs, but {why}; give a number of processes, "
            f"trainer.devices={len(devices)}"
        )


def _compiler() -> str | None:
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return next((name for name in names if name and shutil.which(name)), None)


def _check_gpus(given: str, devices: Any, there: int) -> None:
    count = f"there {'is one GPU' if there == 1 else f'are {there} GPUs'}"
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    hidden = "" if seen is None else f" (CUDA_VISIBLE_DEVICES={seen} hides others, and counts anew)"
    if isinstance(devices, list | tuple):
        if max(devices) >= there:
            last = f", 0 to {there - 1}" if there > 1 else ", number 0"
            raise ConfigError(f"{given}: {count}{last}{hidden}")
    elif devices > there:
        raise ConfigError(
            f"{given}: {count}{hidden}; a list says which: trainer.devices=[{there - 1}]"
        )


def _why_none() -> str:
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return "this torch was installed without CUDA"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1", "NoDevFiles"):
        return f"CUDA_VISIBLE_DEVICES={os.environ['CUDA_VISIBLE_DEVICES']} hides all GPUs"
    return "torch finds no GPU here (does nvidia-smi list one?)"
