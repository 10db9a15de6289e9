"""Layers that cost less on a CPU: the same weights, results and gradients up to rounding.

`speed_up` makes them of a finished network's plain layers, `undo` plain ones again. They stay the
same objects, so weights, names and optimizers are not touched. benchmarks/step.py times them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from uda_seg.networks.depthwise import DepthwiseConv2d, is_depthwise


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1 as a product of matrices, which moves no pixel where the
    channels of one lie side by side.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        side_by_side = image.is_contiguous(memory_format=torch.channels_last)
        if image.device.type != "cpu" or not side_by_side:
            return super().forward(image)
        pixels = F.linear(image.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return pixels.permute(0, 3, 1, 2)


class FrugalReLU6(nn.ReLU6):
    """In place; torch's own keeps a copy of the input, though the result says as much."""

    def forward(self, image: Tensor) -> Tensor:
        if image.device.type != "cpu" or not image.requires_grad:
            return super().forward(image)
        result: Tensor = _ReLU6.apply(image)
        return result


class _ReLU6(Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor) -> Tensor:
        ctx.mark_dirty(image)
        image.clamp_(0, 6)
        ctx.save_for_backward(image)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, result, 0, 6)


def speed_up(network: nn.Module) -> int:
    """Turns the layers in `network` that have one into their cheaper kind; returns how many."""
    kinds = [(layer, _cheaper(layer)) for layer in network.modules()]
    for layer, kind in kinds:
        layer.__class__ = kind
    return sum(kind in PLAIN for _, kind in kinds)


def undo(network: nn.Module) -> None:
    """Makes plain layers of them again."""
    for layer in network.modules():
        layer.__class__ = PLAIN.get(type(layer), type(layer))  # type: ignore[assignment]


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    DepthwiseConv2d: nn.Conv2d,
    PointwiseConv2d: nn.Conv2d,
    FrugalReLU6: nn.ReLU6,
}


def _cheaper(layer: nn.Module) -> Any:
    if type(layer) is nn.ReLU6 and layer.inplace:
        return FrugalReLU6
    if type(layer) is not nn.Conv2d:
        return type(layer)
    if is_depthwise(layer):
        return DepthwiseConv2d
    return PointwiseConv2d if _is_pointwise(layer) else nn.Conv2d


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == layer.stride == (1, 1)
        and layer.padding == (0, 0)
        and layer.groups == 1
    )
