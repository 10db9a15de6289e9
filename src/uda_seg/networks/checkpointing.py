"""Activation checkpointing: what a block computed is forgotten, and computed again on the way back
(Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, arXiv:1604.06174).

`checkpoint` turns the blocks of a finished network into ones that do so. They stay the same objects
with the same names, so weights and optimizers are not touched; losses, gradients and batch norm's
statistics stay the same to the last bit. benchmarks/memory.py measures it.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from timm.models._features import FeatureListNet
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as computed_again

from uda_seg.networks.batch_norm import Repeated


def checkpoint(network: nn.Module) -> int:
    """Turns the blocks in `network` into ones that keep only their inputs; returns how many."""
    found = list(blocks(network))
    for block in found:
        block.__class__ = _forgetful(type(block))  # type: ignore[arg-type]
    for body in network.modules():
        if type(body) is FeatureListNet:
            body.__class__ = _InGroups
    return len(found)


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The largest modules that a list or sequence of modules is made of, and sequences of layers.

    Residual blocks and transformers' blocks; branches of an ASPP; convolution, norm and activation
    in sequence. None that changes its input in place, since that is what it is computed from again.
    """
    in_sequence = isinstance(module, nn.Sequential | nn.ModuleList)
    for child in module.children():
        if not _is_compound(child):
            continue
        opened = isinstance(child, nn.ModuleList) or _holds_compounds(child)
        if isinstance(module, nn.ModuleList) or (in_sequence and not _is_list(child)):
            yield child
        elif isinstance(child, nn.Sequential) and not opened:
            if not _first_changes_its_input(child):
                yield child
        else:
            yield from blocks(child)


def _is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential | nn.ModuleList)


def _is_compound(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _holds_compounds(module: nn.Module) -> bool:
    return any(_is_compound(child) for child in module.children())


def _first_changes_its_input(layers: nn.Module) -> bool:
    return bool(getattr(next(layers.children()), "inplace", False))


@cache
def _forgetful(kind: type[nn.Module]) -> type[nn.Module]:
    """The same kind of module, which keeps nothing but its inputs for the way back."""

    def forward(self: Any, *inputs: Any, **named: Any) -> Any:
        return _forgetting(self, lambda *i, **n: kind.forward(self, *i, **n), *inputs, **named)

    return type(f"Checkpointed{kind.__name__}", (kind,), {"forward": forward})


def _forgetting(block: nn.Module, compute: Callable[..., Any], *inputs: Any, **named: Any) -> Any:
    if not torch.is_grad_enabled():
        return compute(*inputs, **named)

    def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
        return nullcontext(), Repeated(block)

    return computed_again(compute, *inputs, use_reentrant=False, context_fn=contexts, **named)


class _InGroups(FeatureListNet):
    """timm's list of stages, whose loose layers form blocks too, each up to a stage's end: those of
    a VGG, the stem of a ResNet.
    """

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to the stages' maps."""
        maps, stages, group = image, [], list[nn.Module]()
        for name, layer in self.items():
            if _is_compound(layer):
                maps, group = layer(self._through(group, maps)), []
            else:
                group.append(layer)
            if name in self.return_layers:
                maps, group = self._through(group, maps), []
                stages.append(maps)
        return stages

    def _through(self, group: list[nn.Module], maps: Tensor) -> Tensor:
        layers = nn.Sequential(*group)
        if len(group) < 2 or _first_changes_its_input(layers):
            return layers(maps)
        return _forgetting(layers, layers, maps)
