"""How sure a network is of each class, over all the target's images: where thresholds come from."""

import torch
import torch.distributed as dist
from torch import Tensor

BINS = 2**18
"""Of a class's confidences in [0, 1]: right to 4e-6, however many pixels there are."""


class Confidences:
    """Counts of the probabilities of winning classes.

    Args:
        classes: their number.
        device: where they are counted.
        every: of a class's pixels in an image, in rows, only each so-and-so-many-th counts.
    """

    def __init__(self, classes: int, device: torch.device, every: int = 1) -> None:
        self.every = every
        self.bins = torch.zeros(classes, BINS, dtype=torch.long, device=device)

    def add(self, probabilities: Tensor) -> None:
        """(B, C, H, W) of whole images."""
        for confidence, label in zip(*probabilities.max(1), strict=True):
            for number in label.unique().tolist():
                values = confidence[label == number][:: self.every]
                bins = (values.float() * BINS).long().clamp(0, BINS - 1)
                self.bins[number].index_add_(0, bins, torch.ones_like(bins))

    def share(self) -> None:
        """Sums up what all processes have counted."""
        if dist.is_initialized():
            dist.all_reduce(self.bins)

    @property
    def counts(self) -> Tensor:
        """(C,) long: confidences of each class."""
        return self.bins.sum(1)

    def largest(self, places: Tensor) -> Tensor:
        """(C,) the confidence at each class's place, 1 being its largest; 1.0 for place 0."""
        above = self.bins.flip(1).cumsum(1)
        places = places.to(above.device)[:, None]
        found = BINS - 1 - torch.searchsorted(above, places.clamp(min=1))[:, 0]
        values = found.clamp(min=0).float() / BINS
        return values.where(places[:, 0] > 0, 1.0)
