"""A segmentation network of a few thousand weights, for tests and for trying things out."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small


class TinyNetwork(SegmentationNetwork):
    """Three convolutions with batch norm; stride 4; an auxiliary head at stride 2."""

    def __init__(
        self,
        classes: int,
        width: int,
        auxiliary: bool,
        batch_norm: str,
        mean: Sequence[float],
        std: Sequence[float],
        head_factor: float,
        depth_head: bool,
    ) -> None:
        super().__init__(classes, mean, std, head_factor)
        self.feature_channels = width
        self.stage_channels, self.score_stride = [width, width], 4
        self.early = nn.Sequential(*_layer(3, width, stride=2))
        self.late = nn.Sequential(*_layer(width, width, stride=2), *_layer(width, width, stride=1))
        self.head = nn.Conv2d(width, classes, 1)
        self.auxiliary_head = nn.Conv2d(width, classes, 1) if auxiliary else None
        self.depth_head = nn.Conv2d(width, 1, 1) if depth_head else None
        self.set_batch_norm(batch_norm)

    def predict(self, image: Tensor) -> Prediction:
        def resize(maps: Tensor) -> Tensor:
            return F.interpolate(maps, image.shape[-2:], mode="bilinear", align_corners=False)

        early, features = stages = self.stages(image)
        auxiliary, depth = self.auxiliary_head, self.depth_head
        scores = self.scores(stages)
        return Prediction(
            logits=Small(scores, (image.shape[-2], image.shape[-1]), False, plain=True),
            features=features,
            auxiliary=resize(auxiliary(early)) if auxiliary is not None else None,
            depth=resize(depth(features)).sigmoid() if depth is not None else None,
        )

    def stages(self, image: Tensor) -> list[Tensor]:
        early = self.early(image)
        return [early, self.late(early)]

    def scores(self, stages: Sequence[Tensor]) -> Tensor:
        logits: Tensor = self.head(stages[-1])
        return logits

    def heads(self) -> list[nn.Module]:
        candidates = (self.head, self.auxiliary_head, self.depth_head)
        return [head for head in candidates if head is not None]


def _layer(channels: int, width: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]
