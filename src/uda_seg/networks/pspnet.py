"""PSPNet: a pyramid of pooled features beside the features (Zhao et al., CVPR 2017, 1612.01105)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.backbones import TimmEncoder
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small


class PyramidPooling(nn.Module):
    """Features, and their means over grids of several sizes, side by side.

    Args:
        channels: of the features; each size adds channels / number of sizes.
        bins: cells along each side of each grid (paper: 1, 2, 3, 6).
    """

    def __init__(self, channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        self.bins, width = tuple(bins), channels // len(bins)
        self.branches = nn.ModuleList(_layer(channels, width, 1) for _ in bins)
        self.channels = channels + width * len(self.bins)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D, h, w) to (B, channels, h, w)."""
        size = features.shape[-2:]
        norms = [layer for layer in self.branches.modules() if isinstance(layer, nn.BatchNorm2d)]
        if 1 in self.bins and any(norm.training for norm in norms) and len(features) == 1:
            raise ConfigError(
                "backbone: PSPNet's coarsest cell has one value an image, of which batch norm can "
                "make no statistics: set trainer.batch_size=2, or backbone.batch_norm=frozen"
            )
        maps = [features]
        for cells, branch in zip(self.bins, self.branches, strict=True):
            pooled = branch(self.pool(features, cells))
            maps.append(F.interpolate(pooled, size, mode="bilinear", align_corners=False))
        return torch.cat(maps, 1)

    def pool(self, features: Tensor, cells: int) -> Tensor:
        """(B, D, h, w) to (B, D, cells, cells)."""
        return F.adaptive_avg_pool2d(features, cells)


class PSPNet(SegmentationNetwork):
    """An encoder of output stride 8, pyramid pooling, a head, and an auxiliary head.

    Args:
        classes: of the experiment.
        encoder: one of `backbones`.
        pretrained: see `load_pretrained`.
        bins: of the pyramid.
        width: channels of the head (paper: 512).
        dropout: before the classifiers (paper: 0.1).
        auxiliary: a head on the stage before the last, as the paper trains it (weight 0.4).
        frozen_stages: encoder stages, from the shallowest, whose weights never change.
        depth_head: a second head behind the pyramid, of one channel.
    """

    def __init__(
        self,
        classes: int,
        encoder: TimmEncoder,
        pretrained: str,
        mean: Sequence[float],
        std: Sequence[float],
        bins: Sequence[int],
        width: int,
        dropout: float,
        auxiliary: bool,
        batch_norm: str,
        head_factor: float,
        frozen_stages: int,
        depth_head: bool,
    ) -> None:
        super().__init__(classes, mean, std, head_factor)
        self.encoder, self.feature_channels = encoder, encoder.channels[-1]
        self.align_corners = False
        self.pyramid = PyramidPooling(encoder.channels[-1], bins)
        self.head = _head(self.pyramid.channels, width, classes, dropout)
        before = encoder.channels[-2]
        self.auxiliary_head = _head(before, before // 4, classes, dropout) if auxiliary else None
        self.depth_head = _head(self.pyramid.channels, width, 1, dropout) if depth_head else None
        self.load_report = encoder.load(pretrained)
        self.set_batch_norm(batch_norm)
        encoder.freeze(frozen_stages)

    def predict(self, image: Tensor) -> Prediction:
        def resize(maps: Tensor) -> Tensor:
            return F.interpolate(maps, image.shape[-2:], mode="bilinear", align_corners=False)

        stages = self.encoder(image)
        pyramid = self.pyramid(stages[-1])
        auxiliary, depth = self.auxiliary_head, self.depth_head
        scores = self.head(pyramid)
        return Prediction(
            logits=Small(scores, (image.shape[-2], image.shape[-1]), False, plain=True),
            features=stages[-1],
            auxiliary=resize(auxiliary(stages[-2])) if auxiliary is not None else None,
            depth=resize(depth(pyramid)).sigmoid() if depth is not None else None,
        )

    def deepest(self, image: Tensor) -> Tensor:
        return self.encoder(image)[-1]

    def heads(self) -> list[nn.Module]:
        candidates = (self.pyramid, self.head, self.auxiliary_head, self.depth_head)
        return [head for head in candidates if head is not None]


def _head(channels: int, width: int, classes: int, dropout: float) -> nn.Sequential:
    layer = _layer(channels, width, 3)
    return nn.Sequential(layer, nn.Dropout2d(dropout), nn.Conv2d(width, classes, 1))


def _layer(channels: int, width: int, size: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, width, size, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU())
