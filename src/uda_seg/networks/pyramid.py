"""A pyramid: an encoder at its native strides, and a head that reads all of its stages."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.cpu_layers import speed_up
from uda_seg.networks.fusion import FusionHead
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small, resize


class Pyramid(SegmentationNetwork):
    """
    Args:
        classes: of the experiment.
        encoder: one of `backbones`, or a module of your own that has what its docstring says.
        head: makes `FusionHead`, from the stages' channels and a number of classes.
        finest_stride: stages that are finer are not read.
        pretrained: see `load_pretrained`.
        auxiliary: a linear head on the stage before the last, for methods that adapt two levels.
        channels_last: memory layout, for speed alone, see `ByDevice`.
        frozen_stages: encoder stages, from the shallowest, that never learn.
        depth_head: a second classifier on what the head fused, of one channel.
    """

    def __init__(
        self,
        classes: int,
        encoder: Any,
        head: Callable[..., FusionHead],
        finest_stride: int,
        pretrained: str,
        mean: Sequence[float],
        std: Sequence[float],
        auxiliary: bool,
        batch_norm: str,
        head_factor: float,
        channels_last: bool | str,
        frozen_stages: int,
        depth_head: bool,
    ) -> None:
        super().__init__(classes, mean, std, head_factor)
        strides, channels = list(encoder.reductions), list(encoder.channels)
        self.read = [i for i, stride in enumerate(strides) if stride >= finest_stride]
        if len(self.read) < 2:
            raise ConfigError(
                f"backbone.finest_stride={finest_stride}: leaves {len(self.read)} of this "
                f"encoder's stages, of strides {strides}; two are needed"
            )
        self.encoder, self.feature_channels = encoder, channels[-1]
        self.smallest_side = max(2 * max(strides), self.smallest_side)
        self.stage_channels = [channels[stage] for stage in self.read]
        self.score_stride = strides[self.read[0]]
        self.head = head(self.stage_channels, classes)
        self.auxiliary_head = _classifier(channels[-2], classes) if auxiliary else None
        self.depth_head = _classifier(self.head.width, 1) if depth_head else None
        speed_up(self.head)
        self.channels_last = channels_last
        self.arrange()
        self.load_report = encoder.load(pretrained)
        self.set_batch_norm(batch_norm)
        encoder.freeze(frozen_stages)

    def predict(self, image: Tensor) -> Prediction:
        size = (image.shape[-2], image.shape[-1])
        stages = self.stages(image)
        fused = self.head.fused(stages)
        logits = Small(self.head.classify(fused), size, align_corners=False)
        auxiliary, learns = None, torch.is_grad_enabled()
        if (head := self.auxiliary_head) is not None:

            def auxiliary() -> Tensor:
                with torch.set_grad_enabled(learns):
                    return resize(head(stages[-2]), size, align_corners=False)

        depth = None
        if self.depth_head is not None:
            depth = resize(self.depth_head(fused), size, align_corners=False).sigmoid()
        return Prediction(logits, stages[-1], auxiliary, depth)

    def stages(self, image: Tensor) -> list[Tensor]:
        """Of `image`, (B, 3, H, W), normalised: those that the head reads."""
        stages = self.encoder(self.arranged(image))
        # ConvNeXt's lie with the channels last, whatever its input, which exporters stumble over.
        return [self.arranged(stages[i]) for i in self.read]

    def scores(self, stages: Sequence[Tensor]) -> Tensor:
        """Logits (B, C, h, w), `score_stride` times smaller than the image."""
        logits: Tensor = self.head(stages)
        return logits

    def deepest(self, image: Tensor) -> Tensor:
        return self.stages(image)[-1]

    def heads(self) -> list[nn.Module]:
        candidates = (self.head, self.auxiliary_head, self.depth_head)
        return [head for head in candidates if head is not None]


def _classifier(channels: int, classes: int) -> nn.Conv2d:
    classifier = nn.Conv2d(channels, classes, 1)
    nn.init.normal_(classifier.weight, 0.0, 0.01)
    return classifier
