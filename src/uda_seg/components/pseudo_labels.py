"""What a teacher says of target images, and how much of it counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass
class PseudoLabels:
    label: Tensor
    """(B, H, W) long; IGNORE where there is none."""
    weight: Tensor
    """(B, H, W) float in [0, 1]: of each pixel's loss."""
    confident: Tensor | None = None
    """(B, H, W) bool: where their maker is sure, and trusted; None: wherever there is a label."""


def pseudo_labels(logits: Tensor, threshold: float, trust: Tensor | None = None) -> PseudoLabels:
    """The most probable classes; all have one weight, the batch's share of confident pixels.

    Args:
        logits: (B, C, H, W).
        threshold: least probability of a confident pixel.
        trust: (B, H, W) bool, where pseudo-labels count at all; None: everywhere. What is not
            trusted still counts in the share.
    """
    confidence, label = logits.softmax(1).max(1)
    confident = confidence >= threshold
    weight = torch.ones_like(confidence) * confident_share(confidence, threshold)
    if trust is None:
        return PseudoLabels(label, weight, confident)
    return PseudoLabels(label, weight * trust, confident & trust)


def confident_share(confidence: Tensor, threshold: float) -> Tensor:
    """The share of a batch's pixels, of all processes, with at least that confidence."""
    sure = (confidence >= threshold).sum().float()
    pixels = torch.full_like(sure, confidence.numel())
    if dist.is_initialized():
        both = torch.stack([sure, pixels])
        dist.all_reduce(both)
        sure, pixels = both.unbind()
    return sure / pixels


def trusted(
    window: Tensor | None, height: int, width: int, margins: Mapping[str, float]
) -> Tensor | None:
    """Where the full image's margins are not: (B, H, W) bool; None where it has none.

    Rectification leaves wrong borders and the car's bonnet has no class, so pseudo-labels there
    drift (DAFormer's authors). Margins travel with crops and flips.

    Args:
        window: (B, 4), which part of the full image a crop shows (`Target.window`); None: all.
        height: of the crop.
        width: of the crop.
        margins: shares of the full image at its top, bottom, left and right.
    """
    if not any(margins.values()):
        return None
    if window is None:
        window = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    left, top, right, bottom = window[:, :, None].unbind(1)
    x = left + (right - left) * _centres(width, window.device)
    y = top + (bottom - top) * _centres(height, window.device)
    across = (x > margins["left"]) & (x < 1 - margins["right"])
    down = (y > margins["top"]) & (y < 1 - margins["bottom"])
    return down[:, :, None] & across[:, None, :]


def _centres(pixels: int, device: torch.device) -> Tensor:
    return (torch.arange(pixels, device=device) + 0.5) / pixels
