"""ClassMix: half of an image's classes are pasted onto another image (Olsson et al., WACV 2021)."""

import math

import torch
import torch.distributed as dist
from torch import Tensor

from uda_seg.batch import IGNORE, random_numbers
from uda_seg.errors import ConfigError

SCOPES = ("image", "batch")


def class_masks(label: Tensor, scope: str, share: float = 0.5) -> Tensor:
    """Where an image shows the classes drawn for it: (B, 1, H, W) bool.

    Half of the classes are drawn, rounded up, without replacement; IGNORE is one like any other.

    Args:
        label: (B, H, W) long.
        scope: what is drawn from: "image", the classes of this one (DACS), or "batch", those of
            all images of the batch (DAFormer, HRDA, MIC), so that a draw may paste nothing.
        share: of the classes that is drawn.
    """
    if scope not in SCOPES:
        raise ConfigError(f"class_scope={scope!r}: choose {' or '.join(SCOPES)}")
    counts = torch.stack([one.flatten().bincount(minlength=IGNORE + 1) for one in label])
    there = counts > 0
    if scope == "batch":
        there = _anywhere(there.any(0)).expand_as(there)
    # The classes with the smallest random numbers are a draw without replacement.
    numbers = random_numbers(len(label), IGNORE + 1, label.device).where(there, math.inf)
    places = numbers.argsort(1).argsort(1)
    drawn = there & (places < (share * there.sum(1, keepdim=True)).ceil())
    return torch.stack([own[one] for own, one in zip(drawn, label, strict=True)])[:, None]


def _anywhere(there: Tensor) -> Tensor:
    """In any process."""
    if not dist.is_initialized():
        return there
    shared = there.to(torch.uint8)
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return shared.bool()
