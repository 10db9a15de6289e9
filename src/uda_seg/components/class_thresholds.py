"""Thresholds of confidence by class, so that hard classes have labels that count, too.

The idea of CBST (Zou et al., ECCV 2018, https://arxiv.org/abs/1810.07911), whose thresholds are of
all target images before a round; these move with the latest batches.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn

BINS = 1000
"""Of a class's confidences between 0 and 1."""

KEPT = 0.9
"""Of what is known of earlier batches, in a step."""


class ClassThresholds(nn.Module):
    """
    Args:
        classes: their number.
        share: of a class's latest labels, those that are to count.
        most: no threshold is higher.
    """

    counts: Tensor
    """(C, BINS): how often each class was predicted with each confidence."""

    def __init__(self, classes: int, share: float, most: float) -> None:
        super().__init__()
        self.share, self.most = share, most
        self.register_buffer("counts", torch.zeros(classes, BINS))

    @torch.no_grad()
    def forward(self, confidence: Tensor, label: Tensor) -> Tensor:
        """Thresholds (C,), once they have moved with a batch's confidences and labels (B, H, W)."""
        place = (confidence * BINS).long().clamp(0, BINS - 1)
        found = (label * BINS + place).flatten().bincount(minlength=self.counts.numel())
        found = found.view_as(self.counts).to(self.counts)
        if dist.is_initialized():
            dist.all_reduce(found)
        self.counts.mul_(KEPT).add_(found)
        above = self.counts.flip(1).cumsum(1).flip(1)
        enough = (above >= self.share * above[:, :1]).sum(1) - 1
        return (enough / BINS).clamp(max=self.most)
