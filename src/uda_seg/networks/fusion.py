"""A head that fuses an encoder's stages: DAFormer's (Hoyer et al., CVPR 2022, arXiv:2111.14887)
and, in its plainest form, SegFormer's (Xie et al., NeurIPS 2021, arXiv:2105.15203).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.errors import ConfigError

FUSIONS = {
    "separable_aspp": "context around each place by depthwise-separable convolutions (DAFormer)",
    "aspp": "by plain dilated convolutions (the paper's row without depthwise ones)",
    "deepest_aspp": "context for the deepest stage alone, then 1x1 (its row: only at F4)",
    "coarse_aspp": "the same at the deepest stage's own stride, which costs next to nothing (ours)",
    "3x3": "a single convolution",
    "1x1": "a single convolution that sees no neighbours (SegFormer)",
}
"""How the embedded stages, side by side, become one map."""


class FusionHead(nn.Module):
    """Class scores of stages of several strides, at the finest of them.

    Each stage is mapped to `width` channels by a linear layer and enlarged bilinearly to the
    first one's size; side by side, they are fused to `width` channels and classified.

    Args:
        channels: of the stages, from shallow to deep.
        classes: of the result.
        width: DAFormer has 256, SegFormer 256 to B1 and 768 from B2.
        fusion: one of `FUSIONS`.
        dilations: of the parallel branches of an ASPP, of which 1 stands for a 1x1.
        dropout: of whole channels, before the classifier.
    """

    def __init__(
        self,
        channels: Sequence[int],
        classes: int,
        width: int,
        fusion: str,
        dilations: Sequence[int],
        dropout: float,
    ) -> None:
        super().__init__()
        if fusion not in FUSIONS:
            choices = "; ".join(f"{name} ({meaning})" for name, meaning in FUSIONS.items())
            raise ConfigError(f"fusion={fusion!r}: choose one of: {choices}")
        self.width, together = width, width * len(channels)
        self.embed = nn.ModuleList(nn.Conv2d(depth, width, 1) for depth in channels)
        self.context: nn.Module = nn.Identity()
        self.early = fusion == "coarse_aspp"
        if fusion in ("deepest_aspp", "coarse_aspp"):
            self.context = _aspp(width, width, dilations, separable=True)
        self.fuse = (
            _aspp(together, width, dilations, separable=fusion == "separable_aspp")
            if fusion in ("separable_aspp", "aspp")
            else _layer(together, width, 3 if fusion == "3x3" else 1)
        )
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, classes, 1)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)

    def forward(self, stages: Sequence[Tensor]) -> Tensor:
        """[(B, D, h, w), …] to (B, classes, h, w) of the first one."""
        return self.classify(self.fused(stages))

    def fused(self, stages: Sequence[Tensor]) -> Tensor:
        """[(B, D, h, w), …] to (B, width, h, w) of the first one."""
        size = stages[0].shape[-2:]
        maps = [embed(stage) for embed, stage in zip(self.embed, stages, strict=True)]
        if self.early:
            maps[-1] = self.context(maps[-1])
        maps = [F.interpolate(m, size, mode="bilinear", align_corners=False) for m in maps]
        if not self.early:
            maps[-1] = self.context(maps[-1])
        return self.fuse(torch.cat(maps, 1))

    def classify(self, fused: Tensor) -> Tensor:
        return self.classifier(self.dropout(fused))


class _Parallel(nn.ModuleList):
    """Its modules' answers, side by side."""

    def forward(self, maps: Tensor) -> Tensor:
        return torch.cat([branch(maps) for branch in self], 1)


def _aspp(channels: int, width: int, dilations: Sequence[int], separable: bool) -> nn.Sequential:
    """Atrous spatial pyramid pooling, without the pooled image."""
    branches = [
        _separable(channels, width, dilation)
        if separable and dilation > 1
        else _layer(channels, width, 3 if dilation > 1 else 1, dilation)
        for dilation in dilations
    ]
    return nn.Sequential(_Parallel(branches), _layer(width * len(branches), width, 3))


def _separable(channels: int, width: int, dilation: int) -> nn.Sequential:
    depthwise = _layer(channels, channels, 3, dilation, groups=channels)
    return nn.Sequential(depthwise, _layer(channels, width, 1))


def _layer(
    channels: int, width: int, size: int, dilation: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; initialised as mmcv does it."""
    margin = dilation * (size // 2)
    convolution = nn.Conv2d(
        channels, width, size, padding=margin, dilation=dilation, groups=groups, bias=False
    )
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
