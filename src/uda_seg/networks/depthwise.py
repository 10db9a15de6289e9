"""Depthwise convolutions that oneDNN differentiates slowly, at the speed of those it is good at.

It has fast forward kernels for all of them, but not for both gradients: that of the image is slow
where the convolution is dilated, that of the weights where it is dilated or wider than three
columns (then 10 times slower, and a third of a step of the small network). So, on a CPU,

- the image's gradient is a forward convolution with the kernel turned round;
- a convolution of dilation d is d x d undilated ones, each on every d-th row and column, so the
  weights' gradient is that of an undilated one over all these parts;
- columns of a kernel are independent, so their gradient is taken three at a time.

benchmarks/backbones.py times it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

COLUMNS = 3
"""Of a kernel, for which oneDNN has a fast gradient."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 that keeps the size; same weights, results and gradients
    as `nn.Conv2d`, up to rounding.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        learns = torch.is_grad_enabled() and (image.requires_grad or self.weight.requires_grad)
        exact = image.dtype == self.weight.dtype == torch.float32
        if not (learns and exact) or image.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
            return super().forward(image)
        result: Tensor = _Depthwise.apply(image, self.weight, self.dilation[0])
        return result if self.bias is None else result + self.bias.view(-1, 1, 1)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1 as a product of matrices, which needs no pixel moved when the
    channels of one lie side by side.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        side_by_side = image.is_contiguous(memory_format=torch.channels_last)
        if image.device.type != "cpu" or not side_by_side:
            return super().forward(image)
        pixels = F.linear(image.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return pixels.permute(0, 3, 1, 2)


class _Depthwise(Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.dilation = dilation
        return _same_size(image, weight, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        image, weight = ctx.saved_tensors
        for_image, for_weight, _ = ctx.needs_input_grad
        return (
            _same_size(gradient, weight.flip(2, 3), ctx.dilation) if for_image else None,
            weight_gradient(image, gradient, weight, ctx.dilation) if for_weight else None,
            None,
        )


def _same_size(image: Tensor, weight: Tensor, dilation: int) -> Tensor:
    margin = dilation * (weight.shape[-1] // 2)
    return F.conv2d(image, weight, None, 1, margin, dilation, len(weight))


def weight_gradient(image: Tensor, gradient: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """(C, 1, k, k): of the kernel, from the image and the result's gradient, (B, C, H, W) both."""
    image, gradient = taken_apart(image, dilation), taken_apart(gradient, dilation)
    size = weight.shape[-1]
    margin, parts = size // 2, torch.empty_like(weight)
    for first in range(0, size - COLUMNS + 1, COLUMNS - 1):
        columns = slice(first, first + COLUMNS)
        shift = margin - first
        # One column more on either side is what the convolution adds by itself.
        shifted = image if shift == 1 else F.pad(image, (shift, COLUMNS - 1 - shift))
        padding = (margin, 1 if shift == 1 else 0)
        parts[..., columns] = torch.ops.aten.convolution_backward(
            gradient, shifted, weight[..., columns], None, (1, 1), padding, (1, 1),
            False, (0, 0), len(weight), (False, True, False),
        )[1]  # fmt: skip
    return parts


def taken_apart(maps: Tensor, step: int) -> Tensor:
    """(B, C, H, W) to (B * step * step, C, h, w): every step-th row and column is a map."""
    if step == 1:
        return maps
    batch, channels, height, width = maps.shape
    # Zeros up to the next multiple add nothing to a sum.
    padded = F.pad(maps, (0, -width % step, 0, -height % step))
    rows, columns = padded.shape[-2] // step, padded.shape[-1] // step
    return (
        padded.permute(0, 2, 3, 1)
        .reshape(batch, rows, step, columns, step, channels)
        .permute(0, 2, 4, 1, 3, 5)
        .reshape(batch * step * step, rows, columns, channels)
        .permute(0, 3, 1, 2)
    )


def speed_up_depthwise(network: nn.Module) -> int:
    """Turns the convolutions in `network` that fit into `DepthwiseConv2d`; returns how many.

    The layers stay the same objects, so weights, names and optimizers are not touched.
    """
    fitting = [
        layer
        for layer in network.modules()
        if type(layer) is nn.Conv2d
        and layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.stride == (1, 1)
        and layer.padding_mode == "zeros"
        and _keeps_size(layer)
    ]
    for layer in fitting:
        layer.__class__ = DepthwiseConv2d
    import os
    if os.environ.get("PW","1")=="1":
        for layer in network.modules():
            if type(layer) is nn.Conv2d and layer.kernel_size==(1,1) and layer.stride==(1,1) and layer.groups==1 and layer.padding==(0,0):
                layer.__class__=PointwiseConv2d
    return len(fitting)


def undo(network: nn.Module) -> None:
    """Makes plain convolutions of them again."""
    for layer in network.modules():
        if isinstance(layer, DepthwiseConv2d):
            layer.__class__ = nn.Conv2d  # type: ignore[assignment]


def _keeps_size(layer: nn.Conv2d) -> bool:
    """Whether it is square, of an odd size from 3, and padded so that the map's size stays."""
    dilation, kernel = layer.dilation[0], layer.kernel_size[0]
    return (
        layer.dilation == (dilation, dilation)
        and layer.kernel_size == (kernel, kernel)
        and kernel % 2 == 1
        and kernel >= COLUMNS
        and layer.padding == (dilation * (kernel // 2),) * 2
    )
