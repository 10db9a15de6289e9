"""Switches that make a device faster and change the last bits: TF32, fused steps, compiled parts.

All are off unless they are asked for, and a run may go on without them, or with others.
"""

import logging
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adam

from uda_seg.errors import ConfigError
from uda_seg.methods.base import Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.discriminators import FullyConvolutionalDiscriminator, PatchDiscriminator
from uda_seg.training.optimization import OptimizerFactory

log = logging.getLogger(__name__)

TF32 = {"none": (False, "highest"), "convolutions": (True, "highest"), "all": (True, "high")}
"""Whether convolutions take TF32, and what matrix products take."""

DISCRIMINATORS = (FullyConvolutionalDiscriminator, PatchDiscriminator)
BACKEND = "inductor"
"""Of torch.compile; tests take one that needs no compiler of C++."""
OPTIONS: dict[str, Any] = {}
"""Further ones of torch.compile, for benchmarks."""


def set_tf32(choice: str) -> None:
    """Where GPUs from Ampere on round factors to ten bits; `convolutions` is torch's default."""
    torch.backends.cudnn.allow_tf32, products = TF32[choice]
    torch.set_float32_matmul_precision(products)


def compile_parts(method: Method, parts: Collection[str]) -> None:
    """Compiles encoders, of teachers too, or discriminators, in place: no weight is renamed.

    They are compiled when they are first called, once for each size, mode and set of weights that
    learn. The rest of a method stays as it is: its graph breaks are many.

    Raises:
        ConfigError: there is no such part.
    """
    modules: dict[str, list[nn.Module]] = {
        "encoder": [
            encoder
            for module in method.modules()
            if isinstance(module, SegmentationNetwork)
            and isinstance(encoder := getattr(module, "encoder", None), nn.Module)
        ],
        "discriminators": [m for m in method.modules() if isinstance(m, DISCRIMINATORS)],
    }
    for part in parts:
        if not modules[part]:
            there = ", ".join(name for name, found in modules.items() if found) or "none of them"
            raise ConfigError(
                f"trainer.compile={part}: {type(method).__name__} with this backbone has none; "
                f"of what can be compiled it has {there}; leave it out"
            )
        for module in modules[part]:
            module.compile(backend=BACKEND, dynamic=False, **OPTIONS)
        log.info("%s: compiled when first called, which takes a while", part)


def fuse(factories: Mapping[str, OptimizerFactory]) -> dict[str, OptimizerFactory]:
    """Optimizers that step all weights in one kernel.

    Raises:
        ConfigError: torch has none such of an optimizer.
    """
    for player, factory in factories.items():
        kind: Any = getattr(factory, "func", factory)
        if not (isinstance(kind, type) and issubclass(kind, (SGD, Adam))):
            raise ConfigError(
                f"trainer.fused=true: torch has no fused {getattr(kind, '__name__', kind)} "
                f"(of the {player}); choose torch.optim.SGD, Adam or AdamW, or trainer.fused=false"
            )
    return {player: partial(factory, fused=True) for player, factory in factories.items()}  # type: ignore[call-arg]
