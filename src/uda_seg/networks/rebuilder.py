"""A small transformer that fills in features where they were taken away.

As masked representation modelling (CVPR 2026, arXiv:2509.13801) is described by others; see
`methods/mrm.py`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import random_numbers


class Rebuilder(nn.Module):
    """Stages of an encoder in, stages of the same shapes out, all made from the deepest.

    Args:
        channels: of the encoder's stages, from the shallowest.
        width: channels of a token.
        grid: tokens along each side of an image.
        ratio: of tokens that are taken away, the same number in each image.
        blocks: of the transformer.
        heads: of its attention; they divide `width`.
        enlargements: transposed convolutions, each of which doubles the grid.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        grid: int,
        ratio: float,
        blocks: int,
        heads: int,
        enlargements: int,
    ) -> None:
        super().__init__()
        self.grid, self.ratio = grid, ratio
        self.reduce = nn.Conv2d(channels[-1], width, 1)
        self.missing = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, grid * grid, width))
        nn.init.trunc_normal_(self.missing, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True,
            norm_first=True,
        )  # fmt: skip
        self.blocks = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        enlarge: list[nn.Module] = []
        for _ in range(enlargements):
            enlarge += [nn.ConvTranspose2d(width, width, 2, stride=2), nn.GELU()]
        self.enlarge = nn.Sequential(*enlarge, nn.Conv2d(width, channels[-1], 1))
        self.shallower = nn.ModuleList(nn.Conv2d(channels[-1], own, 1) for own in channels[:-1])

    def forward(self, stages: Sequence[Tensor]) -> list[Tensor]:
        """(B, C, h, w) each. The deepest keeps its features where no token was taken away."""
        deepest = stages[-1]
        size = deepest.shape[-2:]
        taken = self.taken(deepest)
        tokens = F.adaptive_avg_pool2d(self.reduce(deepest), self.grid).flatten(2).transpose(1, 2)
        tokens = torch.where(taken[..., None], self.missing.to(tokens.dtype), tokens)
        tokens = self.blocks(tokens + self.positions)
        maps = self.enlarge(tokens.transpose(1, 2).unflatten(2, (self.grid, self.grid)))
        maps = F.interpolate(maps, size, mode="bilinear", align_corners=False)
        cells = taken.view(-1, 1, self.grid, self.grid).float()
        rebuilt = torch.where(F.interpolate(cells, size, mode="nearest") > 0, maps, deepest)
        shallower = [
            convolution(F.interpolate(rebuilt, stage.shape[-2:], mode="bilinear"))
            for convolution, stage in zip(self.shallower, stages[:-1], strict=True)
        ]
        return [*shallower, rebuilt]

    def taken(self, features: Tensor) -> Tensor:
        """Which tokens are taken away: (B, grid * grid) bool."""
        numbers = random_numbers(len(features), self.grid**2, features.device)
        return numbers.argsort(1).argsort(1) < round(self.ratio * self.grid**2)
