"""DeepLab-v2 (Chen et al., TPAMI 2018, arXiv 1606.00915) with AdaptSegNet's auxiliary head."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.backbones import TimmEncoder, VGGEncoder
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.cpu_layers import speed_up
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small, resize
from uda_seg.networks.summed_convolutions import sum_of_convolutions


class SummedPyramid(nn.Module):
    """ASPP of DeepLab-v2: the sum of parallel dilated 3x3 convolutions straight to the classes.

    `aspp`: `full4` sums all `dilations`. `paper2` sums the first two: the authors' multi-level
    and VGG code returns from inside its loop, so their published numbers come from dilations 6
    and 12 (wasidennis/AdaptSegNet, issues 20 and 60); ADVENT and FDA repaired it.
    `channels`: of the features; or of several stages, the deepest of which is read.
    """

    def __init__(
        self, channels: int | Sequence[int], classes: int, aspp: str, dilations: Sequence[int]
    ) -> None:
        super().__init__()
        channels = channels if isinstance(channels, int) else channels[-1]
        if aspp not in ("paper2", "full4"):
            raise ConfigError(f"aspp={aspp!r}: choose paper2 or full4")
        used = list(dilations)[:2] if aspp == "paper2" else list(dilations)
        self.branches = nn.ModuleList(
            nn.Conv2d(channels, classes, 3, padding=dilation, dilation=dilation)
            for dilation in used
        )
        for branch in self.branches:
            nn.init.normal_(branch.get_parameter("weight"), 0.0, 0.01)
        speed_up(self)

    def forward(self, features: Tensor | Sequence[Tensor]) -> Tensor:
        features = features if isinstance(features, Tensor) else features[-1]
        return sum_of_convolutions(list(self.branches), features)  # type: ignore[arg-type]


class DeepLab(SegmentationNetwork):
    """An encoder of output stride 8 and summed pyramids on one or two of its stages.

    `encoder`: one of `backbones`; `pretrained`: see `load_pretrained`. `channel_order`: `bgr`
    for Caffe's weights (`mean` and `std` stay R, G, B). `skip`: adds class scores read off the
    stage of stride 4, which small things need (FCN, Long et al., 2015). `auxiliary_stage`
    counts from the deepest, -1.
    `align_corners`: bilinear upsampling as PyTorch 0.3 and the published results had it.
    `head_factor`: the heads' learning rate over the encoder's. `channels_last`: memory layout,
    for speed alone, see `ByDevice`. `frozen_stages`: encoder stages, from the shallowest, that
    never learn.
    `depth_head`: a second head, of one channel.
    """

    def __init__(
        self,
        classes: int,
        encoder: TimmEncoder | VGGEncoder,
        pretrained: str,
        mean: Sequence[float],
        std: Sequence[float],
        channel_order: str,
        aspp: str,
        dilations: Sequence[int],
        skip: bool,
        auxiliary: bool,
        auxiliary_stage: int,
        align_corners: bool,
        batch_norm: str,
        head_factor: float,
        channels_last: bool | str,
        frozen_stages: int,
        depth_head: bool,
    ) -> None:
        super().__init__(classes, mean, std, head_factor)
        if channel_order not in ("rgb", "bgr"):
            raise ConfigError(f"channel_order={channel_order!r}: choose rgb or bgr")
        channels, reductions = encoder.channels, encoder.reductions
        if not -len(channels) <= auxiliary_stage <= -1:
            raise ConfigError(
                f"auxiliary_stage={auxiliary_stage}: this encoder's stages are -1 (deepest) to "
                f"-{len(channels)}; their channels, from the deepest: {channels[::-1]}"
            )
        if skip and 4 not in reductions:
            raise ConfigError(f"skip=true: no stage has stride 4, only {reductions}")
        self.encoder, self.feature_channels = encoder, channels[-1]
        self.bgr = channel_order == "bgr"
        self.align_corners, self.auxiliary_stage = align_corners, auxiliary_stage
        self.head = SummedPyramid(channels[-1], classes, aspp, dilations)
        self.auxiliary_head = (
            SummedPyramid(channels[auxiliary_stage], classes, aspp, dilations)
            if auxiliary
            else None
        )
        self.depth_head = SummedPyramid(channels[-1], 1, aspp, dilations) if depth_head else None
        # The last stage of stride 4 is the deepest one that still is that fine.
        self.skip_stage = max((i for i, r in enumerate(reductions) if r == 4), default=0)
        self.skip_head = nn.Conv2d(channels[self.skip_stage], classes, 1) if skip else None
        if self.skip_head is not None:
            nn.init.normal_(self.skip_head.weight, 0.0, 0.01)
        self.stage_channels, self.score_stride = channels, 4 if skip else reductions[-1]
        self.channels_last = channels_last
        self.arrange()
        self.load_report = encoder.load(pretrained)
        self.set_batch_norm(batch_norm)
        encoder.freeze(frozen_stages)

    def predict(self, image: Tensor) -> Prediction:
        stages = self.stages(image)
        logits = self.scores(stages)
        auxiliary, learns = None, torch.is_grad_enabled()
        if (head := self.auxiliary_head) is not None:

            def auxiliary() -> Tensor:
                with torch.set_grad_enabled(learns):
                    return self._resize(head(stages[self.auxiliary_stage]), image)

        depth = None
        if self.depth_head is not None:
            depth = self._resize(self.depth_head(stages[-1]), image).sigmoid()
        small = Small(logits, (image.shape[-2], image.shape[-1]), self.align_corners)
        return Prediction(small, stages[-1], auxiliary, depth)

    def deepest(self, image: Tensor) -> Tensor:
        return self.stages(image)[-1]

    def stages(self, image: Tensor) -> list[Tensor]:
        """Of `image`, (B, 3, H, W), normalised."""
        stages: list[Tensor] = self.encoder(self._arrange(image))
        return stages

    def scores(self, stages: Sequence[Tensor]) -> Tensor:
        """Logits (B, C, h, w), `score_stride` times smaller than the image."""
        logits: Tensor = self.head(stages[-1])
        if self.skip_head is not None:
            fine = self.skip_head(stages[self.skip_stage])
            logits = self._resize(logits, fine) + fine
        return logits

    def heads(self) -> list[nn.Module]:
        candidates = (self.head, self.auxiliary_head, self.depth_head, self.skip_head)
        return [head for head in candidates if head is not None]

    def _arrange(self, image: Tensor) -> Tensor:
        image = image.flip(1) if self.bgr else image
        return self.arranged(image)

    def _resize(self, maps: Tensor, like: Tensor) -> Tensor:
        return resize(maps, (like.shape[-2], like.shape[-1]), self.align_corners)
