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
