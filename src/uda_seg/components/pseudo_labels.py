"""What a teacher says of target images, and how much of it counts."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from uda_seg.batch import Target, mean_of_processes
from uda_seg.components.class_thresholds import ClassThresholds

SIDES = ("top", "bottom", "left", "right")


@dataclass
class PseudoLabels:
    label: Tensor
    """(B, H, W) long; IGNORE where there is none."""
    weight: Tensor
    """(B, H, W) float in [0, 1]: of each pixel's loss."""
    confident: Tensor | None = None
    """(B, H, W) bool: where their maker is sure, and trusted; None: wherever there is a label."""


def pseudo_labels(logits: Tensor, threshold: float, trust: Tensor) -> PseudoLabels:
    """The most probable classes; all have one weight, the batch's share of confident pixels.

    Args:
        logits: (B, C, H, W).
        threshold: least probability of a confident pixel.
        trust: (B, H, W) bool, where pseudo-labels count at all. What is not trusted still counts
            in the share.
    """
    confidence, label = logits.softmax(1).max(1)
    confident = confidence >= threshold
    weight = torch.ones_like(confidence) * confident_share(confidence, threshold)
    return PseudoLabels(label, weight * trust, confident & trust)


def labels_by_class(logits: Tensor, thresholds: ClassThresholds, trust: Tensor) -> PseudoLabels:
    """The most probable classes, of weight 1 where they reach their class's threshold, else 0.

    Args:
        logits: (B, C, H, W).
        thresholds: move with them.
        trust: (B, H, W) bool, where pseudo-labels count at all.
    """
    confidence, label = logits.softmax(1).max(1)
    confident = (confidence >= thresholds(confidence, label)[label]) & trust
    return PseudoLabels(label, confident.to(confidence), confident)


def confident_share(confidence: Tensor, threshold: float) -> Tensor:
    """The share of a batch's pixels, of all processes, with at least that confidence."""
    sure = (confidence >= threshold).sum().float()
    pixels = torch.full_like(sure, confidence.numel())
    sure, pixels = mean_of_processes(torch.stack([sure, pixels])).unbind()
    return sure / pixels


def trusted(target: Target, margins: Mapping[str, float]) -> Tensor:
    """Where images show the full image without its margins: (B, H, W) bool.

    Rectification leaves wrong borders and the car's bonnet has no class, so pseudo-labels there
    drift (DAFormer's authors); what a crop was filled up with is no picture at all. Margins travel
    with crops and flips.

    Args:
        target: its images and windows; without windows, they are full images.
        margins: shares of the full image at its top, bottom, left and right; {}: none.
    """
    image, window = target.image, target.window
    if window is None:
        window = torch.tensor([[0.0, 0.0, 1.0, 1.0]], device=image.device).expand(len(image), 4)
    first_x, first_y, last_x, last_y = window[:, :, None].unbind(1)
    x = first_x + (last_x - first_x) * _centres(image.shape[-1], image.device)
    y = first_y + (last_y - first_y) * _centres(image.shape[-2], image.device)
    top, bottom, left, right = (margins.get(side, 0.0) for side in SIDES)
    across, down = (x > left) & (x < 1 - right), (y > top) & (y < 1 - bottom)
    return down[:, :, None] & across[:, None, :]


def _centres(pixels: int, device: torch.device) -> Tensor:
    return (torch.arange(pixels, device=device) + 0.5) / pixels
