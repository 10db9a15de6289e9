"""Scores of whole regions, pooled from the probabilities of their positions.

A region is a cell of a grid over the crop (one cell: the whole crop). Its score for a class is a
mean over its positions from the most to the least probable, which counts the first of them most:
how many those are is a fraction of the region, so growing fractions ask for growing areas. The
maximum would under-, the plain mean over-estimate a class (Kolesnikov and Lampert, Seed, Expand and
Constrain, ECCV 2016, arXiv:1603.06098, who pool by rank, over the whole image).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

FORMS = ("top", "ranked")


class RegionPooling:
    """
    Args:
        stride: pixels along a side of a position; maps are reduced to positions before they are
            sorted.
        grids: cells along each side of the crop, one number a level; every one divides the largest.
        fractions: of a region's positions, growing.
        form: "top" (the mean of that fraction) or "ranked" (weights that fall by rank, so that half
            of their sum lies on that fraction; SEC's base 0.996 on 41x41 is the fraction 0.103).
    """

    def __init__(
        self, stride: int, grids: Sequence[int], fractions: Sequence[float], form: str
    ) -> None:
        if form not in FORMS:
            raise ValueError(f"form: {form!r} is unknown; choose from {', '.join(FORMS)}")
        if not grids or any(max(grids) % grid for grid in grids):
            raise ValueError(f"grids: {list(grids)}: each must divide the largest")
        if not fractions or list(fractions) != sorted(fractions) or not 0 < fractions[-1] <= 1:
            raise ValueError(f"fractions: {list(fractions)}: must grow, above 0 and at most 1")
        self.stride, self.form = stride, form
        self.grids, self.fractions = tuple(grids), tuple(fractions)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of positions of a crop: multiples of the finest grid."""
        finest = max(self.grids)
        rows, columns = (max(1, round(n / (self.stride * finest))) for n in (height, width))
        return rows * finest, columns * finest

    def reduce(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to its mean at each position (B, C, h, w)."""
        return F.adaptive_avg_pool2d(maps, self.size(maps.shape[2], maps.shape[3]))

    def scores(self, probabilities: Tensor) -> list[Tensor]:
        """
        Args:
            probabilities: (B, C, h, w), of positions.

        Returns:
            For each grid g: (B, C, fractions, g, g) in [0, 1].
        """
        return [self._level(probabilities, grid) for grid in self.grids]

    def _level(self, probabilities: Tensor, grid: int) -> Tensor:
        regions = split(probabilities, grid)
        ordered = regions.sort(dim=-1, descending=True).values
        weights = self.weights(regions.shape[-1]).to(ordered)
        return torch.einsum("bcyxn,fn->bcfyx", ordered, weights)

    def counts(self, positions: int) -> Tensor:
        """(fractions,) long: how many of a region's positions a fraction is; at least one."""
        shares = torch.tensor(self.fractions, dtype=torch.float64)
        return (shares * positions).round().long().clamp(min=1)

    def weights(self, positions: int) -> Tensor:
        """(fractions, n), each row summing to 1: what a position weighs, by its rank."""
        ranks, counts = torch.arange(positions), self.counts(positions)[:, None]
        if self.form == "top":
            weights = (ranks < counts).double()
        else:
            weights = 0.5 ** (ranks / counts)
        return weights / weights.sum(1, keepdim=True)


def split(maps: Tensor, grid: int) -> Tensor:
    """(B, C, h, w) to the positions of each cell, (B, C, g, g, n); g divides h and w."""
    batch, channels, height, width = maps.shape
    cells = maps.reshape(batch, channels, grid, height // grid, grid, width // grid)
    return cells.permute(0, 1, 2, 4, 3, 5).flatten(4)


def spread(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, g, g) to (B, C, h, w): each position gets its cell's value; g divides h and w."""
    rows, columns = size[0] // cells.shape[2], size[1] // cells.shape[3]
    return cells.repeat_interleave(rows, 2).repeat_interleave(columns, 3)
