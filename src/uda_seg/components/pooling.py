"""Scores of whole regions, pooled from the probabilities of their positions.

A region is a cell of a grid over the crop (one cell: the whole crop). Its positions are put in the
order of a class's probability, and pooled on either side of a fraction of them: if the class fills
that fraction, the first positions should have it, and if it does not, the rest should not. Growing
fractions so bound a class's area from both sides. The maximum would under-, the plain mean
over-estimate it (Kolesnikov and Lampert, Seed, Expand and Constrain (SEC), ECCV 2016,
arXiv:1603.06098, who pool by rank, over the whole image).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FORMS = ("top", "ranked")


class Scores(NamedTuple):
    """(B, C, fractions, g, g) each, in [0, 1]."""

    first: Tensor
    """Mean of the most probable positions, as many as the fraction says."""
    rest: Tensor
    """Mean of those after them; 0 where there are none."""


class RegionPooling:
    """
    Args:
        stride: pixels along a side of a position; maps are reduced to positions before they are
            sorted.
        grids: cells along each side of the crop, one number a level; every one divides the largest.
        fractions: of a region's positions, growing.
        form: "top" (plain means on both sides of a fraction) or "ranked" (weights that fall, for
            the rest rise, by rank: half of those that fall lie on the fraction; SEC's base 0.996 on
            41x41 is the fraction 0.103).
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

    def scores(self, probabilities: Tensor) -> list[Scores]:
        """The regions' scores for each grid, from probabilities of positions (B, C, h, w)."""
        return [self._level(probabilities, grid) for grid in self.grids]

    def _level(self, probabilities: Tensor, grid: int) -> Scores:
        regions = split(probabilities, grid)
        ordered = regions.sort(dim=-1, descending=True).values
        weights = self.weights(regions.shape[-1]).to(ordered)
        # Mixed precision would round the sums to eight bits, and 0.999 to 1.
        with torch.autocast(ordered.device.type, enabled=False):
            means = torch.einsum("bcyxn,sfn->sbcfyx", ordered, weights)
        return Scores(
            *means.clamp(max=1)
        )  # sums round to a little more, of which log(1 - s) is nan

    def counts(self, positions: int) -> Tensor:
        """(fractions,) long: how many of a region's positions a fraction is; at least one."""
        shares = torch.tensor(self.fractions, dtype=torch.float64)
        return (shares * positions).round().long().clamp(min=1)

    def weights(self, positions: int) -> Tensor:
        """(2, fractions, n): what a position weighs in `first` and in `rest`, by its rank."""
        ranks, counts = torch.arange(positions), self.counts(positions)[:, None]
        first = (ranks < counts).double() if self.form == "top" else 0.5 ** (ranks / counts)
        weights = torch.stack([first, 1 - first])
        return weights / weights.sum(-1, keepdim=True).clamp(min=1e-12)


def split(maps: Tensor, grid: int) -> Tensor:
    """(B, C, h, w) to the positions of each cell, (B, C, g, g, n); g divides h and w."""
    batch, channels, height, width = maps.shape
    cells = maps.reshape(batch, channels, grid, height // grid, grid, width // grid)
    return cells.permute(0, 1, 2, 4, 3, 5).flatten(4)


def spread(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, g, g) to (B, C, h, w): each position gets its cell's value; g divides h and w."""
    rows, columns = size[0] // cells.shape[2], size[1] // cells.shape[3]
    return cells.repeat_interleave(rows, 2).repeat_interleave(columns, 3)
