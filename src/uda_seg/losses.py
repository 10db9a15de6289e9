"""Losses as functions of tensors: no state, no weights, no logging.

A mean over what counts in a batch (pixels with a label, say) is one over the batches of all
processes together, see `divisor`: a process has to ask for the same losses as the others.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from uda_seg.batch import IGNORE, divisor

LEAST = 1e-6
"""Added to a probability before its logarithm: a clamp would end the gradient just where a
prediction is most wrong."""

LARGE, SLICES = 2**23, 8
"""Numbers of a map that is taken in slices, 32 MB of them, and how many they are. Those of a
smaller one save little memory, and copying them takes a CPU as long as the loss."""


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean over the pixels that count; 0 when none does.

    Args:
        logits: (B, C, H, W).
        label: (B, H, W), a class or IGNORE.
    """
    return _summed(logits, label) / divisor((label != IGNORE).sum())


def weighted_cross_entropy(logits: Tensor, label: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over all pixels; those of IGNORE are zeros in it.

    Args:
        logits: (B, C, H, W).
        label: (B, H, W), a class or IGNORE.
        weight: (B, H, W), of each pixel; None: 1.
    """
    loss = per_pixel(_of_each_pixel, logits, label)
    return (loss if weight is None else loss * weight).mean()


def feature_distance(features: Tensor, guide: Tensor, mask: Tensor | None = None) -> Tensor:
    """Euclidean distance at each position, averaged over positions (ROAD's distillation).

    Args:
        features: (B, D, h, w).
        guide: (B, D, h, w), where they should be.
        mask: (B, h, w) bool, the positions that count; None: all. 0 when none does.
    """
    # The gradient of a square root at 0 is infinite, and a student begins as its teacher.
    distances = ((features - guide).float().square().sum(1) + 1e-12).sqrt()
    return distances.mean() if mask is None else (distances * mask).sum() / divisor(mask.sum())


def masked_l1(prediction: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error over the pixels that are known; 0 when none is. All (B, 1, H, W)."""
    error = (prediction - truth).abs() * known
    return error.sum() / divisor(known.sum())


def presence_loss(first: Tensor, rest: Tensor, presence: Tensor) -> Tensor:
    """-log s over the first positions of regions that a class should fill, -log(1 - s) over the
    rest of those that it should not; the two means are added, so that the few present ones count
    (as in SEC's expansion loss, whose absent classes have no fraction). 0 when nothing is sure.

    Args:
        first: pooled scores in [0, 1], any shape.
        rest: the same, of the positions beyond the fraction.
        presence: the same shape: 1 present, 0 absent, anything else does not count.
    """
    present, absent = presence == 1, presence == 0
    rising = (_surprise(first) * present).sum() / divisor(present.sum())
    falling = (_surprise(1 - rest) * absent).sum() / divisor(absent.sum())
    return rising + falling


def suppression(probabilities: Tensor, absent: Tensor) -> Tensor:
    """-log(1 - p) of classes where they are absent: a position's sum, averaged over positions.

    Args:
        probabilities: (B, C, h, w).
        absent: (B, C, h, w) bool.
    """
    return (_surprise(1 - probabilities) * absent).sum(1).mean()


def masked_binary_cross_entropy(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean over the answers 0 and 1, any others do not count; 0 when there is none. Same shapes."""
    known = (answers == 0) | (answers == 1)
    wanted = answers.where(known, 0).to(logits.dtype)
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * known
    return losses.sum() / divisor(known.sum())


def partial_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Summed over the pixels that count, averaged over all: few labels weigh little.

    Args:
        logits: (B, C, H, W).
        label: (B, H, W), a class or IGNORE.
    """
    return _summed(logits, label) / label.numel()


def unlikelihood(logits: Tensor, label: Tensor) -> Tensor:
    """-log(1 - p) of the label's class: summed over the pixels that count, averaged over all.

    Args:
        logits: (B, C, H, W).
        label: (B, H, W), a class or IGNORE.
    """
    counts = label != IGNORE
    chosen = label.where(counts, 0)[:, None]
    # 1 - p is the share of all other classes; from logits, it is above 0 where p rounds to 1.
    others = logits.scatter(1, chosen, float("-inf")).logsumexp(1)
    losses = logits.logsumexp(1) - others
    return losses.where(counts, 0).sum() / label.numel()


def per_pixel(function: Callable[..., Tensor], logits: Tensor, *others: Tensor) -> Tensor:
    """What a function says of each pixel, in slices of rows, and for the gradient once more: what
    it makes on its way never stands whole. Cross-entropy and its gradient are the same to the last
    bit; of other functions some numbers are rounded otherwise where a CPU's threads share the work.

    Args:
        function: of the rows (B, C, h, W), and the others', to (B, ..., h, W).
        logits: (B, C, H, W); below `LARGE` they are one slice.
        others: (B, ..., H, W), which get no gradient.
    """
    rows = _rounded_up(logits.shape[2] / SLICES)
    if logits.numel() < LARGE or rows >= logits.shape[2]:
        return function(logits, *others)
    value: Tensor = _PerPixel.apply(function, rows, logits, *others)
    return value


def _rounded_up(rows: float) -> int:
    """To a multiple of 16: a CPU reckons with the last numbers, too few for a register, one by one,
    and rounds them otherwise; in a slice, these are then the same ones as in the whole.
    """
    return 16 * math.ceil(rows / 16)


class _PerPixel(Function):
    @staticmethod
    def forward(
        ctx: Any, function: Callable[..., Tensor], rows: int, logits: Tensor, *others: Tensor
    ) -> Tensor:
        ctx.save_for_backward(logits, *others)
        ctx.function, ctx.rows = function, rows
        maps = zip(*(one.split(rows, -2) for one in (logits, *others)), strict=True)
        return torch.cat([function(*slices) for slices in maps], -2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        logits, *others = ctx.saved_tensors
        whole = logits.new_empty(logits.shape)
        maps = (whole, gradient, logits, *others)
        for found, arriving, piece, *rest in zip(
            *(one.split(ctx.rows, -2) for one in maps), strict=True
        ):
            with torch.enable_grad():
                leaf = piece.detach().requires_grad_()
                answer = ctx.function(leaf, *rest)
            found.copy_(torch.autograd.grad(answer, leaf, arriving)[0])
        return None, None, whole, *(None for _ in others)


def _of_each_pixel(logits: Tensor, label: Tensor) -> Tensor:
    """(B, H, W): -log p of the label's class; 0 at IGNORE."""
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")


def _summed(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy, summed by the one kernel that `F.cross_entropy` ends in: each order of adding
    rounds in its own way.
    """
    known = -per_pixel(_of_each_pixel, logits, label)[:, None]
    only = label.where(label == IGNORE, 0)
    return F.nll_loss(known, only, ignore_index=IGNORE, reduction="sum")


def _surprise(probabilities: Tensor) -> Tensor:
    return -((probabilities + LEAST) / (1 + LEAST)).log()
