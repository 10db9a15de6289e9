"""Encoders: timm's networks, with their strides traded for dilation.

All share a small interface: `channels` and `reductions`, one entry a stage from shallow to
deep; `forward(image) -> list[Tensor]`, the stages' maps; `load(pretrained) -> str`;
`freeze(stages)` takes the shallowest ones out of training.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import timm
from timm.layers import Conv2dSame
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.cpu_layers import STRIDED, StridedDepthwiseConv2d, speed_up, undo
from uda_seg.networks.pretrained import load_pretrained


class StridedDepthwiseConv2dSame(StridedDepthwiseConv2d, Conv2dSame):
    """One that pads as TensorFlow does."""


STRIDED[Conv2dSame] = StridedDepthwiseConv2dSame


class TimmEncoder(nn.Module):
    """Any timm network with `features_only` and `output_stride` (ResNets, MobileNets, …).

    `last_stage` cuts deeper stages off: -1 keeps all, -2 drops the deepest.
    """

    def __init__(self, name: str, output_stride: int, last_stage: int) -> None:
        options = {"output_stride": output_stride, "drop_rate": 0.0, "drop_path_rate": 0.0}
        self._build(name, last_stage, options)

    def _build(self, name: str, last_stage: int, options: dict[str, Any]) -> None:
        super().__init__()
        self.name = name
        try:
            stages = len(timm.create_model(name, features_only=True).feature_info)
            keep = tuple(range(stages + last_stage + 1)) if last_stage < 0 else ()
            if not keep:
                raise ConfigError(f"last_stage={last_stage}: {name} has -1 to -{stages}")
            self.body = timm.create_model(name, features_only=True, out_indices=keep, **options)
        except (RuntimeError, TypeError, NotImplementedError, AssertionError) as error:
            similar = timm.list_models(f"*{name.split('.')[0].split('_')[0]}*")[:8]
            given = "".join(f", {key}={value}" for key, value in options.items() if value)
            raise ConfigError(
                f"backbone.encoder.name={name}{given}: timm cannot build it ({error}). "
                f"Similar names: {', '.join(similar) or 'none'}"
            ) from error
        _drop_unused_blocks(self.body)
        speed_up(self.body)
        self.channels: list[int] = self.body.feature_info.channels()
        self.reductions: list[int] = self.body.feature_info.reduction()

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.body(image)

    def load(self, pretrained: str) -> str:
        return load_pretrained(self.body, self.name, pretrained)

    def freeze(self, stages: int) -> None:
        names = self.body.feature_info.module_name()
        _freeze(_up_to(self.body, names[stages - 1]) if _stages_to_freeze(stages, names) else [])


def _stages_to_freeze(stages: int, names: list[str]) -> int:
    """The number of stages to freeze, if there are as many."""
    if not 0 <= stages <= len(names):
        raise ConfigError(f"backbone.frozen_stages={stages}: this encoder has {len(names)} stages")
    return stages


def _up_to(body: Any, last: str) -> Iterator[nn.Module]:
    """The modules of a body from its first to the one of that name, such as blocks.2."""
    for key, child in body.named_children():
        if last.startswith(f"{key}."):
            yield from child[: int(last.split(".")[1]) + 1]
            return
        yield child
        if key in (last, last.replace(".", "_")):  # timm may hold stages.0 as stages_0
            return


def _freeze(modules: Iterable[nn.Module]) -> None:
    for module in modules:
        module.requires_grad_(False)


def _drop_unused_blocks(body: Any) -> None:
    """Cuts; timm builds a ResNet only as deep as asked, but all of an EfficientNet or MobileNet."""
    names = body.feature_info.module_name()
    if all(name.startswith("blocks.") for name in names):
        deepest = max(int(name.split(".")[1]) for name in names)
        del body.blocks[deepest + 1 :]


class PyramidEncoder(TimmEncoder):
    """Any timm network with `features_only`, at its own strides (PVT-v2, ConvNeXt, ResNet, …).

    `drop_path_rate`: of stochastic depth in the last block; it rises linearly from 0 in the first.
    """

    def __init__(self, name: str, drop_path_rate: float) -> None:
        self._build(name, -1, {"drop_path_rate": drop_path_rate} if drop_path_rate else {})


class ResNetEncoder(TimmEncoder):
    """A bottleneck ResNet; stages are the stem and layers 1 to 4.

    `stride_on`: where a stage's first block strides. `conv2`, the 3x3, in torchvision's and
    timm's weights ("v1.5"); `conv1`, the 1x1, in Caffe's and the original v1 weights. Weights
    run at the wrong place lose about ten points of ImageNet accuracy without any error.
    `ceil_mode`: the max-pool rounds up, as in the DeepLab code of AdaptSegNet (512x1024 gives
    65x129 instead of 64x128).
    """

    def __init__(self, name: str, output_stride: int, stride_on: str, ceil_mode: bool) -> None:
        super().__init__(name, output_stride, last_stage=-1)
        if stride_on not in ("conv1", "conv2"):
            raise ConfigError(f"stride_on={stride_on!r}: choose conv1 or conv2")
        if stride_on == "conv1":
            undo(self.body)  # a 1x1 convolution that is to stride is none of the cheaper ones
            for stage in (self.body.layer2, self.body.layer3, self.body.layer4):
                _stride_on_first_convolution(stage)
            speed_up(self.body)
        self.body.maxpool.ceil_mode = ceil_mode

    def times_listed(self) -> dict[nn.Parameter, int]:
        """How often each weight stands in the optimizer of AdaptSegNet's authors.

        They list the weights of every module inside the stem and each layer, and a weight belongs
        to all modules around it: to a layer, its block, its convolution, hence three times; those
        of a block's shortcut four times, the stem's once. ADVENT, FDA and DACS do the same.
        """
        return {weight: name.count(".") for name, weight in self.body.named_parameters()}


def _stride_on_first_convolution(stage: Any) -> None:
    """Moves a stage's stride from its first block's conv2 to conv1.

    Where dilation has replaced the stride, nothing strides, but conv2 now stands behind the
    place of the removed stride: it needs the stage's full dilation, while with the stride on
    conv2 it keeps the dilation of the stage before.
    """
    first = stage[0]
    if not hasattr(first, "conv3"):
        raise ConfigError("stride_on=conv1 needs a ResNet of bottleneck blocks (50 and deeper)")
    if first.conv2.stride != (1, 1):
        first.conv1.stride, first.conv2.stride = first.conv2.stride, (1, 1)
        return
    first.conv2.dilation = stage[1].conv2.dilation
    first.conv2.padding = stage[1].conv2.padding


class VGGEncoder(nn.Module):
    """VGG-16 as AdaptSegNet changed it: stride 8, fc6 and fc7 as dilated 3x3 convolutions.

    Stages: conv1 to conv5, each before its pooling, then fc7 (1024 channels). conv5 has
    dilation 2; fc6 (512 to 1024) and fc7 (1024 to 1024) have dilation 4, start at random and
    are followed by ReLU. `last_pools` says what became of pool4 and pool5: `removed` (the
    published PyTorch code), or `stride_one`, 3x3 windows as in the first DeepLabs.
    """

    def __init__(self, name: str, last_pools: str) -> None:
        super().__init__()
        if last_pools not in ("removed", "stride_one"):
            raise ConfigError(f"last_pools={last_pools!r}: choose removed or stride_one")
        self.name = name
        # The classifier is thrown away; mlp_ratio keeps timm from building its 120 M weights.
        options = {"features_only": True, "out_indices": (0, 1, 2, 3, 4), "mlp_ratio": 1 / 1024}
        body = timm.create_model(name, **options)
        if any(isinstance(layer, nn.BatchNorm2d) for layer in body.modules()):
            raise ConfigError(f"backbone.encoder.name={name}: choose vgg16, without batch norm")
        pools = [key for key, module in body.items() if isinstance(module, nn.MaxPool2d)]
        for key in pools[3:]:
            body[key] = nn.Identity() if last_pools == "removed" else nn.MaxPool2d(3, 1, 1)
        after_pool4 = list(body).index(pools[3])
        for key in list(body)[after_pool4:]:
            if isinstance(body[key], nn.Conv2d):
                body[key].dilation = body[key].padding = (2, 2)
        self.body = body
        last_pool = nn.Identity() if last_pools == "removed" else nn.MaxPool2d(3, 1, 1)
        self.fully_connected = nn.Sequential(
            last_pool,
            nn.Conv2d(512, 1024, 3, padding=4, dilation=4),
            nn.ReLU(inplace=True),
            nn.Conv2d(1024, 1024, 3, padding=4, dilation=4),
            nn.ReLU(inplace=True),
        )
        self.channels: list[int] = [64, 128, 256, 512, 512, 1024]
        self.reductions: list[int] = [1, 2, 4, 8, 8, 8]

    def forward(self, image: Tensor) -> list[Tensor]:
        stages = self.body(image)
        return [*stages, self.fully_connected(stages[-1])]

    def load(self, pretrained: str) -> str:
        return load_pretrained(self.body, self.name, pretrained)

    def freeze(self, stages: int) -> None:
        """Up to the stage's pooling; the sixth stage, which has no pretrained weights, learns."""
        pools = [key for key, module in self.body.items() if _pools(module)][:5]
        _freeze(_up_to(self.body, pools[stages - 1]) if _stages_to_freeze(stages, pools) else [])


def _pools(module: nn.Module) -> bool:
    """Whether it stands where VGG-16 pools."""
    return isinstance(module, nn.MaxPool2d | nn.Identity)
