"""Regions of the full image, and one domain classifier for each of them.

A crop knows its window in the full image, so every position of its feature map knows the region it
lies in; a mirrored crop has a mirrored map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import mean_of_processes

OUTSIDE = -1
"""Region of padding."""


def region_map(window: Tensor | None, size: tuple[int, int], grid: int, batch: int) -> Tensor:
    """(B, h, w) long: the region of each position, row by row from the top left; or OUTSIDE.

    Args:
        window: (B, 4) left, top, right, bottom of the crops as shares of the full image, left >
            right where mirrored; None: the crops are full images.
        size: (h, w) of the feature map.
        grid: regions along each side.
        batch: B.
    """
    if window is None:
        window = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).expand(batch, 4)
    rows = _cells(window[:, 1], window[:, 3], size[0], grid)
    columns = _cells(window[:, 0], window[:, 2], size[1], grid)
    regions = grid * rows[:, :, None] + columns[:, None, :]
    outside = (rows == OUTSIDE)[:, :, None] | (columns == OUTSIDE)[:, None, :]
    return regions.masked_fill(outside, OUTSIDE)


def _cells(first: Tensor, last: Tensor, length: int, grid: int) -> Tensor:
    """(B, length): the cell of every position's centre between two shares of the image's side."""
    centres = (torch.arange(length, device=first.device) + 0.5) / length
    shares = first[:, None] + centres * (last - first)[:, None]
    cells = (shares * grid).floor().long()
    return cells.masked_fill((shares < 0) | (shares >= 1), OUTSIDE)


class RegionClassifiers(nn.Module):
    """Pixel-wise domain classifiers, one a region: 1x1 convolutions channels → width → 1.

    All of them run at once: positions are gathered by region, and multiplied with a stack of
    weights. A position costs what it would with one classifier.

    Args:
        channels: of the features.
        regions: how many classifiers.
        width: of the hidden layer.

    Attributes:
        right: by answer, share of positions that were taken for it when its loss was last asked.
    """

    def __init__(self, channels: int, regions: int, width: int) -> None:
        super().__init__()
        self.right: dict[float, Tensor] = {}
        self.regions = regions
        self.hidden_weight, self.hidden_bias = _stack(regions, channels, width)
        self.score_weight, self.score_bias = _stack(regions, width, 1)

    def forward(self, features: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """
        Args:
            features: (B, D, h, w).
            regions: (B, h, w) as `region_map` gives them.

        Returns:
            Scores (R, n), logits of being the target's; and (R, n) bool: which of them are of a
            position, n being the size of the largest region.
        """
        positions = features.permute(0, 2, 3, 1).flatten(0, 2)
        places, real = gather(regions.flatten().to(features.device), self.regions)
        hidden = torch.baddbmm(self.hidden_bias, positions[places], self.hidden_weight)
        scores = torch.baddbmm(self.score_bias, F.relu(hidden), self.score_weight)
        return scores.squeeze(2), real

    def loss(self, features: Tensor, regions: Tensor, answer: float) -> Tensor:
        """Binary cross-entropy: its mean in each region, then over regions, which weigh equally."""
        scores, real = self(features, regions)
        each = F.binary_cross_entropy_with_logits(
            scores, torch.full_like(scores, answer), reduction="none"
        )
        counts = real.sum(1)
        taken = ((scores.detach() > 0) == (answer > 0.5)) & real
        self.right[answer] = taken.sum() / counts.sum().clamp(min=1)
        counts = mean_of_processes(counts)
        means = (each * real).sum(1) / counts.where(counts > 0, 1)
        return means.sum() / (counts > 0).sum().clamp(min=1)

    @property
    def accuracy(self) -> Tensor | None:
        """Share of positions that were right, half of them the source's; 0.5 is chance."""
        return torch.stack(list(self.right.values())).mean() if self.right else None

    @torch.no_grad()
    def targetness(self, features: Tensor, regions: Tensor) -> Tensor:
        """(B, 1, h, w) in [0, 1]: how surely each position is taken for the target's."""
        scores, real = self(features, regions)
        places, _ = gather(regions.flatten().to(features.device), self.regions)
        flat = scores.new_full((regions.numel(),), 0.5)
        flat[places[real]] = scores[real].sigmoid()
        return flat.view(len(regions), 1, *regions.shape[1:])


def _stack(count: int, inputs: int, outputs: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weights (R, inputs, outputs) and biases (R, 1, outputs) of as many linear layers."""
    layers = [nn.Linear(inputs, outputs) for _ in range(count)]
    weights = torch.stack([layer.weight.detach().T for layer in layers])
    biases = torch.stack([layer.bias.detach() for layer in layers])[:, None]
    return nn.Parameter(weights), nn.Parameter(biases)


def gather(regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices of the positions in each region (R, n), padded with 0, and which are no padding."""
    order = regions.argsort(stable=True)
    sizes = torch.stack([(regions == region).sum() for region in range(count)])
    starts = (regions == OUTSIDE).sum() + sizes.cumsum(0) - sizes
    offsets = torch.arange(int(sizes.max().clamp(min=1)), device=regions.device)
    real = offsets < sizes[:, None]
    places = (starts[:, None] + offsets).clamp(max=len(order) - 1)
    return order[places].masked_fill(~real, 0), real


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context, features: Tensor) -> Tensor:  # type: ignore[override]
        return features.view_as(features)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return -gradient


def reverse_gradient(features: Tensor) -> Tensor:
    """The same features, whose gradient changes its sign (Ganin and Lempitsky, ICML 2015)."""
    return _Reversal.apply(features)
