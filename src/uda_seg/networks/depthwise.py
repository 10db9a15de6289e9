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
"""Columns of a kernel for which oneDNN has a fast gradient."""


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 that keeps the size; same weights, results and gradients
    as `nn.Conv2d`, up to rounding.
    """

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        learns = torch.is_grad_enabled() and (image.requires_grad or self.weight.requires_grad)
        if not learns or image.device.type != "cpu":
            return super().forward(image)
        image, weight = in_autocasts_precision(image, self.weight)
        if not image.dtype == weight.dtype in (torch.float32, torch.bfloat16):
            return super().forward(image)
        result: Tensor = _Depthwise.apply(image, weight, self.dilation[0])
        return result if self.bias is None else result + self.bias.view(-1, 1, 1)


def in_autocasts_precision(*tensors: Tensor) -> tuple[Tensor, ...]:
    """As autocast would cast them on a CPU: a function of one's own is nothing that it knows."""
    if not torch.is_autocast_enabled("cpu"):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype("cpu")) for tensor in tensors)


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
    size, parts = weight.shape[-1], torch.empty_like(weight)
    gradient = taken_apart(gradient, dilation, 0, 0)
    # Columns in the middle read as far to the left as to the right: oneDNN pads without a copy.
    margin = COLUMNS // 2 if size == COLUMNS else 0
    for first in range(0, size - COLUMNS + 1, COLUMNS - 1):
        columns = slice(first, first + COLUMNS)
        before = size // 2 - first - margin
        after = COLUMNS - 1 - before - 2 * margin
        parts[..., columns] = torch.ops.aten.convolution_backward(
            gradient, taken_apart(image, dilation, before, after), weight[..., columns], None,
            (1, 1), (size // 2, margin), (1, 1), False, (0, 0), len(weight), (False, True, False),
        )[1]  # fmt: skip
    return parts


def taken_apart(maps: Tensor, step: int, left: int, right: int) -> Tensor:
    """(B, C, H, W) to (B * step * step, C, h, left + w + right): every step-th row and column is a
    map. Rows and columns up to the next multiple, and those at the sides, are zeros; a negative
    number of columns is cut off.
    """
    if step == 1 and left == right == 0:
        return maps
    height, width = maps.shape[2:]
    rows, columns = -(-height // step), -(-width // step)
    pixels = maps.permute(0, 2, 3, 1)
    if (rows * step, columns * step) != (height, width):
        pixels = F.pad(pixels, (0, 0, 0, columns * step - width, 0, rows * step - height))
    parts = pixels.unflatten(2, (columns, step)).unflatten(1, (rows, step))
    parts = parts.permute(2, 4, 0, 1, 3, 5)[..., max(-left, 0) : columns + min(right, 0), :]
    start, end = max(left, 0), max(left, 0) + parts.shape[4]
    apart = parts.new_empty(*parts.shape[:4], left + columns + right, parts.shape[5])
    apart[..., start:end, :] = parts
    for margin in (apart[..., :start, :], apart[..., end:, :]):
        if margin.numel():
            margin.zero_()
    return apart.flatten(0, 2).permute(0, 3, 1, 2)


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Whether `DepthwiseConv2d` can stand for it: its kernel is square, of an odd size from 3, and
    padded so that the map's size stays.
    """
    dilation, kernel = layer.dilation[0], layer.kernel_size[0]
    return (
        layer.groups == layer.in_channels == layer.out_channels > 1
        and layer.stride == (1, 1)
        and layer.padding_mode == "zeros"
        and layer.dilation == (dilation, dilation)
        and layer.kernel_size == (kernel, kernel)
        and kernel % 2 == 1
        and kernel >= COLUMNS
        and layer.padding == (dilation * (kernel // 2),) * 2
    )
