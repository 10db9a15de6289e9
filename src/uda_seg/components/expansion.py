"""Grows the surest positions of every class into their neighborhood."""

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import IGNORE, of_processes


class RegionExpansion:
    """
    Args:
        portion: of the positions of a batch, of all processes, that are predicted as a class, its
            surest ones are seeds (balanced over classes, as in Zou et al., CBST, ECCV 2018,
            arXiv:1810.07911).
        through: a region grows through positions where its class is at least this probable.
        steps: how many positions far.
    """

    def __init__(self, portion: float, through: float, steps: int) -> None:
        if not 0 < portion <= 1:
            raise ValueError(f"portion: {portion}: must be above 0 and at most 1")
        self.portion, self.through, self.steps = portion, through, steps

    @torch.no_grad()
    def __call__(self, probabilities: Tensor, possible: Tensor) -> Tensor:
        """Labels for the grown regions.

        Args:
            probabilities: (B, C, h, w).
            possible: (B, C, h, w) bool: classes that a position may have. Seeds are predictions as
                they are, of these; where regions grow, the other classes' probability goes to
                these.

        Returns:
            (B, h, w) long: a class, or IGNORE where no region came.
        """
        steered = probabilities * possible
        steered = steered / steered.sum(1, keepdim=True).clamp(min=1e-6)
        grown = self.grow(self.seeds(probabilities, possible), steered)
        best = (steered * grown).max(1)
        return best.indices.masked_fill(~grown.any(1), IGNORE)

    def seeds(self, probabilities: Tensor, possible: Tensor) -> Tensor:
        """(B, C, h, w) bool: of each class, the surest `portion` of the positions predicted so."""
        sureness, predicted = probabilities.max(1, keepdim=True)
        classes = torch.arange(probabilities.shape[1], device=predicted.device).view(1, -1, 1, 1)
        candidates = (predicted == classes) & possible
        values = of_processes(sureness.where(candidates, -1.0).transpose(0, 1).flatten(1))
        counts = ((values >= 0).sum(1) * self.portion).ceil().long()
        ordered = values.sort(dim=1, descending=True).values
        least = ordered.gather(1, (counts - 1).clamp(min=0)[:, None])
        return candidates & (sureness >= least.view(1, -1, 1, 1))

    def grow(self, seeds: Tensor, probabilities: Tensor) -> Tensor:
        """(B, C, h, w) bool: the seeds, and what is linked to them, `steps` positions far."""
        passable = (probabilities >= self.through) | seeds
        grown = seeds.to(probabilities.dtype)
        for _ in range(self.steps):
            grown = F.max_pool2d(grown, 3, stride=1, padding=1) * passable
        return grown > 0
