"""Losses as pure functions of tensors: no state, no weights, no logging."""

import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import IGNORE


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean over the pixels that count; 0 when none does.

    Args:
        logits: (B, C, H, W).
        label: (B, H, W), a class or IGNORE.
    """
    loss = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="sum")
    return loss / (label != IGNORE).sum().clamp(min=1)


def feature_distance(features: Tensor, guide: Tensor) -> Tensor:
    """Euclidean distance at each position, averaged over positions (ROAD's distillation).

    Args:
        features: (B, D, h, w).
        guide: (B, D, h, w), where they should be.
    """
    # The gradient of a square root at 0 is infinite, and a student begins as its teacher.
    squares = (features - guide).float().square().sum(1)
    return (squares + 1e-12).sqrt().mean()


def masked_l1(prediction: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error over the pixels that are known; 0 when none is. All (B, 1, H, W)."""
    error = (prediction - truth).abs() * known
    return error.sum() / known.sum().clamp(min=1)
