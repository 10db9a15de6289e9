"""3x3 convolutions whose weights learn by products of matrices, in less of a CPU's time.

For the weights' gradient oneDNN takes a fifth longer than a product of as many numbers, and lays it
with the channels first, from where it is copied; where a dilated kernel reaches across the map, as
of DeepLab's pyramid, it takes ten times as long.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from uda_seg.networks.depthwise import in_autocasts_precision

WIDE = 6
"""Least dilation for which the nine places of a kernel are worth a product each."""
DEEP = 256
"""Least channels, in and out, with which one product of all nine places is faster."""
AT_ONCE = 2**21
"""Numbers of the matrix that a product is of, 8 MB."""
PLACES = 256
"""At least as many are in it: with fewer, a product is mostly the sum with the one before."""


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution of stride 1 that keeps the size."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W)."""
        learns = torch.is_grad_enabled() and self.weight.requires_grad
        if not learns or maps.device.type != "cpu":
            return super().forward(maps)
        if not (reaches_across(maps, self.dilation[0]) or self._deep(maps)):
            return super().forward(maps)
        maps, weight = in_autocasts_precision(maps, self.weight)
        if not maps.dtype == weight.dtype in (torch.float32, torch.bfloat16):
            return super().forward(maps)
        result: Tensor = _Conv3x3.apply(maps, weight, self.bias, self.dilation[0])
        return result

    def _deep(self, maps: Tensor) -> bool:
        return min(self.weight.shape[:2]) >= DEEP and maps.is_contiguous(
            memory_format=torch.channels_last
        )


def reaches_across(maps: Tensor, dilation: int) -> bool:
    """Whether a wide kernel's places are mostly beside maps (B, C, H, W)."""
    return dilation >= WIDE and 2 * dilation > min(maps.shape[-2:])


class _Conv3x3(Function):
    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor | None, dilation: int
    ) -> Tensor:
        ctx.save_for_backward(maps, weight)
        ctx.dilation = dilation
        return F.conv2d(maps, weight, bias, 1, dilation, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight = ctx.saved_tensors
        for_maps, for_weight, for_bias, _ = ctx.needs_input_grad
        step = (ctx.dilation, ctx.dilation)
        first = (
            torch.ops.aten.convolution_backward(
                gradient, maps, weight, None, (1, 1), step, step, False, (0, 0), 1,
                (True, False, False),
            )[0]
            if for_maps
            else None
        )  # fmt: skip
        own = None
        if for_weight:
            by = by_nine_products if reaches_across(maps, ctx.dilation) else by_one_product
            own = by(maps.permute(0, 2, 3, 1), gradient.permute(0, 2, 3, 1), ctx.dilation)
        return first, own, gradient.sum((0, 2, 3)) if for_bias else None, None


def by_one_product(maps: Tensor, gradient: Tensor, dilation: int) -> Tensor:
    """The weights' gradient (D, C, 3, 3), from (B, H, W, C) and (B, H, W, D): what a kernel sees
    from each place side by side, as many rows of places at once as a matrix is to hold.
    """
    batch, height, width, channels = maps.shape
    padded = F.pad(maps, (0, 0, *[dilation] * 4))
    first, down, right, one = padded.stride()
    seen = padded.as_strided(
        (batch, height, width, 3, 3, channels),
        (first, down, right, dilation * down, dilation * right, one),
    )
    places = maps.new_empty(gradient.shape[-1], 9 * channels)
    rows, beta = max(AT_ONCE // (9 * channels), PLACES) // width + 1, 0
    for image, its_gradient in zip(seen, gradient, strict=True):
        for some, share in zip(image.split(rows), its_gradient.split(rows), strict=True):
            matrix = some.reshape(-1, 9 * channels)
            places.addmm_(share.reshape(len(matrix), -1).T, matrix, beta=beta)
            beta = 1
    return places.view(-1, 3, 3, channels).permute(0, 3, 1, 2)


def by_nine_products(maps: Tensor, gradient: Tensor, dilation: int) -> Tensor:
    """The same, of the pixels that have a partner on the map: for kernels that reach across it."""
    maps, gradient = maps.contiguous(), gradient.contiguous()
    _, height, width, channels = maps.shape
    places = gradient.new_zeros(3, 3, gradient.shape[-1], channels)
    for row, down in enumerate((-dilation, 0, dilation)):
        for column, right in enumerate((-dilation, 0, dilation)):
            if abs(down) >= height or abs(right) >= width:
                continue
            here = gradient[:, _shifted(-down, height), _shifted(-right, width)]
            there = maps[:, _shifted(down, height), _shifted(right, width)]
            places[row, column] = here.flatten(0, 2).T @ there.flatten(0, 2)
    return places.permute(2, 3, 0, 1)


def _shifted(by: int, size: int) -> slice:
    """Of 0 .. size - 1, those that are `by` more than another."""
    return slice(max(by, 0), size + min(by, 0))


def keeps_size(layer: nn.Conv2d) -> bool:
    """Whether `Conv3x3` can stand for it."""
    return (
        layer.kernel_size == (3, 3)
        and layer.stride == (1, 1)
        and layer.padding == layer.dilation
        and layer.dilation[0] == layer.dilation[1]
        and layer.padding_mode == "zeros"
        and layer.groups == 1
    )
