"""The sum of dilated 3x3 convolutions of one image, with cheap gradients on a CPU.

oneDNN is slow to differentiate wide ones: those of DeepLab's pyramid, from 2048 channels to 19,
take 144 ms forward and backward for an image of 128x256 and 619 for one of 256x512; this takes 37
and 130. From the small network's 112 channels both take 10. Convolutions are linear, so the
products come first, all of them in one matrix, and the shifts after:

    result[y, x] = sum over branches and their 9 taps of (weight of tap @ image)[y + dy, x + dx]
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

TAPS = 9


def sum_of_convolutions(branches: Sequence[nn.Conv2d], image: Tensor) -> Tensor:
    """(B, C, H, W) to (B, D, H, W); as convolution by convolution, up to rounding.

    Args:
        branches: 3x3, of stride 1, padded by their dilations, from C to D channels.
        image: what all of them see.
    """
    first, *others = branches
    if not _is_worth_it(image, first.weight):
        result = first(image)
        for branch in others:
            result = result + branch(image)
        return result
    dilations = [branch.dilation[0] for branch in branches]
    weights = [branch.weight for branch in branches]
    summed: Tensor = _SummedConvolutions.apply(image, dilations, *weights)
    biases = [branch.bias for branch in branches if branch.bias is not None]
    return summed + torch.stack(biases).sum(0)[:, None, None] if biases else summed


def _is_worth_it(image: Tensor, weight: Tensor) -> bool:
    """Where gradients are wanted: forward alone, oneDNN is faster."""
    learns = torch.is_grad_enabled() and (image.requires_grad or weight.requires_grad)
    known = weight.dtype == torch.float32 and image.dtype in (torch.float32, torch.bfloat16)
    return learns and known and image.device.type == "cpu"


class _SummedConvolutions(Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, dilations: list[int], *weights: Tensor) -> Tensor:
        batch, channels, height, width = image.shape
        pixels = image.permute(0, 2, 3, 1).reshape(-1, channels)
        taps = torch.cat([w.permute(2, 3, 0, 1).reshape(-1, channels) for w in weights])
        ctx.save_for_backward(pixels, taps)
        ctx.dilations, ctx.size = dilations, image.shape
        scores = (pixels @ taps.T).view(batch, height, width, TAPS * len(weights), -1)
        ctx.precision = scores.dtype  # autocast's, whose sums stay in 32 bits
        result = taps.new_zeros(batch, height, width, scores.shape[-1])
        for tap, (down, right) in enumerate(_shifts(dilations)):
            (to_rows, from_rows), (to_columns, from_columns) = (
                _overlap(height, down),
                _overlap(width, right),
            )
            result[:, to_rows, to_columns] += scores[:, from_rows, from_columns, tap]
        return result.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        pixels, taps = (saved.to(ctx.precision) for saved in ctx.saved_tensors)
        batch, channels, height, width = ctx.size
        margin = max(ctx.dilations)
        gradient = gradient.to(ctx.precision).permute(0, 2, 3, 1)
        padded = F.pad(gradient, (0, 0, margin, margin, margin, margin))
        # A score of a tap went to the place that lies the other way.
        spread = torch.stack(
            [
                padded[:, margin - down :, margin - right :][:, :height, :width]
                for down, right in _shifts(ctx.dilations)
            ],
            3,
        ).view(len(pixels), -1)
        for_image: Tensor | None = None
        for_weights: Iterable[Tensor | None] = [None] * len(ctx.dilations)
        if ctx.needs_input_grad[0]:
            for_image = (spread @ taps).view(batch, height, width, channels).permute(0, 3, 1, 2)
        if any(ctx.needs_input_grad[2:]):
            together = (spread.T @ pixels).view(len(ctx.dilations), 3, 3, -1, channels)
            for_weights = together.permute(0, 3, 4, 1, 2)
        return for_image, None, *for_weights


def _shifts(dilations: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rows and columns between a place and what each tap of each branch reads for it."""
    for dilation in dilations:
        for row in (-dilation, 0, dilation):
            for column in (-dilation, 0, dilation):
                yield row, column


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """The places whose neighbours, `shift` further, are inside; and these neighbours."""
    kept = max(size - abs(shift), 0)
    first = min(max(-shift, 0), size)
    start = min(max(shift, 0), size)
    return slice(first, first + kept), slice(start, start + kept)
