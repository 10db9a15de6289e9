"""Which of an encoder's weights learn alike: its groups for an optimizer."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from torch import nn

from uda_seg.errors import ConfigError

BLOCKS = (
    re.compile(r"(^|\.)blocks?\d*(\.\d+)+\."),
    re.compile(r"(^|\.)(layer|stage)s?([._]?\d+)+\."),
)
"""Names of what lies in a block, as transformers, ConvNeXts and EfficientNets have them
(`blocks.3.`, `stages_1.blocks.0.`, `block2.0.`); where there are none, as ResNets (`layer1.0.`).
"""


def encoder_groups(
    weights: Mapping[str, nn.Parameter], undecayed: Collection[nn.Parameter], layer_decay: float
) -> list[dict[str, Any]]:
    """One group where all weights learn alike, or one for each depth, with and without decay.

    Args:
        weights: by name, in the order in which the network holds them.
        undecayed: those without weight decay.
        layer_decay: the rate of a block by that of the block after it; the last has a factor of 1.

    Raises:
        ConfigError: there are no blocks by which it could fall.
    """
    depths = dict(zip(weights, block_depths(weights))) if layer_decay != 1 else {}
    deepest, without = max(depths.values(), default=0), set(undecayed)
    if layer_decay != 1 and not deepest:
        raise ConfigError(
            f"backbone.optimizer.layer_decay={layer_decay}: this encoder has no numbered blocks or "
            "layers that it could fall by; leave it at 1.0"
        )
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, weight in weights.items():
        depth, bare = depths.get(name, 0), weight in without
        words = f"encoder{f' {depth} of {deepest}' if deepest else ''}{', norms' if bare else ''}"
        group = {"name": words, "params": [], "factor": layer_decay ** (deepest - depth)}
        group |= {"weight_decay": 0.0} if bare else {}
        groups.setdefault((depth, bare), group)["params"].append(weight)
    return list(groups.values())


def block_depths(names: Collection[str]) -> Iterator[int]:
    """How many blocks begin before each weight, its own included, through all stages.

    Embeddings and stem have 0. What lies behind a block, such as the next stage's downsampling or
    the last norm, counts with it.
    """
    pattern = next((p for p in BLOCKS if any(map(p.search, names))), BLOCKS[0])
    depth, latest = 0, ""
    for name in names:
        found = pattern.search(name)
        if found and name[: found.end()] != latest:
            depth, latest = depth + 1, name[: found.end()]
        yield depth


def norm_weights(network: nn.Module) -> set[nn.Parameter]:
    """Weights and biases of all layers that normalise."""
    norms = (layer for layer in network.modules() if "norm" in type(layer).__name__.lower())
    return {weight for layer in norms for weight in layer.parameters(recurse=False)}
