"""Expected calibration error: whether predictions are right as often as they say.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017, arXiv:1706.04599, over all labelled
pixels of a split. (torchmetrics keeps every pixel's confidence until
the end.)
"""

import torch
from torch import Tensor

BINS = 15


class CalibrationError:
    """Mean of |accuracy - confidence| over bins of confidence, weighted by their pixels: 0 to 1."""

    def __init__(self) -> None:
        self.pixels, self.right, self.confidence = torch.zeros(3, BINS, dtype=torch.float64)

    def update(self, logits: Tensor, label: Tensor) -> None:
        """
        Args:
            logits: (B, C, H, W).
            label: (B, H, W) on the same device; what is no class among 0 .. C - 1 does not count.
        """
        confidence, prediction = logits.float().softmax(1).max(1)
        counts = label < logits.shape[1]
        sure, right = confidence[counts], (prediction == label)[counts].float()
        bins = (sure * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
        self.pixels += torch.bincount(bins, minlength=BINS).cpu()
        self.right += torch.bincount(bins, right, minlength=BINS).cpu()
        self.confidence += torch.bincount(bins, sure, minlength=BINS).cpu()

    def compute(self) -> float:
        """NaN without a labelled pixel."""
        return float((self.right - self.confidence).abs().sum() / self.pixels.sum())
