"""Pyramids: what their head reads, its layers, and what it starts from."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks.test_deeplab import IMAGE, make
from torch import nn

from uda_seg.errors import ConfigError
from uda_seg.networks.fusion import FusionHead

CHANNELS = [6, 8, 12, 16]


def head(fusion: str = "separable_aspp", **changes: Any) -> FusionHead:
    torch.manual_seed(0)
    settings = {"width": 4, "dilations": [1, 6, 12, 18], "dropout": 0.1} | changes
    return FusionHead(CHANNELS, 5, fusion=fusion, **settings)


def stages(batch: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = zip(CHANNELS, (16, 8, 4, 2), strict=True)
    return [torch.randn(batch, depth, s, s * 3 // 2, generator=generator) for depth, s in sizes]


def kinds(module: nn.Module) -> list[str]:
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


def test_daformers_head_has_these_weights() -> None:
    """Counted by hand for MiT-B5 (64, 128, 320, 512 channels), 256 wide, 19 classes."""
    layers = FusionHead([64, 128, 320, 512], 19, 256, "separable_aspp", [1, 6, 12, 18], 0.1)
    embed = (64 + 128 + 320 + 512) * 256 + 4 * 256
    pointwise, depthwise = 1024 * 256 + 2 * 256, 1024 * 9 + 2 * 1024
    bottleneck, classifier = 1024 * 256 * 9 + 2 * 256, 256 * 19 + 19
    expected = embed + pointwise + 3 * (depthwise + pointwise) + bottleneck + classifier
    assert sum(weight.numel() for weight in layers.parameters()) == expected == 3_712_275


def test_segformers_head_has_these_weights() -> None:
    layers = FusionHead([64, 128, 320, 512], 19, 768, "1x1", [1], 0.1)
    embed = (64 + 128 + 320 + 512) * 768 + 4 * 768
    expected = embed + 4 * 768 * 768 + 2 * 768 + 768 * 19 + 19
    assert sum(weight.numel() for weight in layers.parameters()) == expected


def test_branches_look_ever_further_with_norm_and_relu_after_each_convolution() -> None:
    branches = head().fuse[0]
    layer = ["Conv2d", "BatchNorm2d", "ReLU"]
    assert [kinds(branch) for branch in branches] == [layer, *([layer * 2] * 3)]
    convolutions = [m for m in branches.modules() if isinstance(m, nn.Conv2d)]
    assert all(one.bias is None for one in convolutions)
    assert [(c.kernel_size[0], c.dilation[0], c.groups) for c in convolutions] == [
        (1, 1, 1), (3, 6, 16), (1, 1, 1), (3, 12, 16), (1, 1, 1), (3, 18, 16), (1, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fusion", "shapes"),
    [
        ("1x1", [(4, 16, 1, 1)]),
        ("3x3", [(4, 16, 3, 3)]),
        ("aspp", [(4, 16, 1, 1), *[(4, 16, 3, 3)] * 4]),
        ("separable_aspp", [(4, 16, 1, 1), *[(16, 1, 3, 3), (4, 16, 1, 1)] * 3, (4, 16, 3, 3)]),
    ],
)
def test_fusions_have_these_convolutions(fusion: str, shapes: list[tuple[int, ...]]) -> None:
    layers = head(fusion)
    found = [tuple(m.weight.shape) for m in layers.fuse.modules() if isinstance(m, nn.Conv2d)]
    assert found == shapes
    assert isinstance(layers.context, nn.Identity)


def test_context_of_the_deepest_stage_alone() -> None:
    layers = head("deepest_aspp")
    found = [tuple(m.weight.shape) for m in layers.context.modules() if isinstance(m, nn.Conv2d)]
    assert found == [(4, 4, 1, 1), *[(4, 1, 3, 3), (4, 4, 1, 1)] * 3, (4, 16, 3, 3)]
    assert [tuple(w.shape) for w in layers.fuse.parameters()] == [(4, 16, 1, 1), (4,), (4,)]


def test_scores_are_computed_as_described() -> None:
    """Embedded, enlarged, side by side, fused, classified."""
    layers, maps = head("1x1").eval(), stages()
    together = torch.cat(
        [
            F.interpolate(F.conv2d(one, embed.weight, embed.bias), (16, 24), mode="bilinear")
            for one, embed in zip(maps, layers.embed, strict=True)
        ],
        1,
    )
    fused = F.conv2d(together, layers.fuse[0].weight).div((1 + 1e-5) ** 0.5).relu()
    expected = F.conv2d(fused, layers.classifier.weight, layers.classifier.bias)
    torch.testing.assert_close(layers(maps), expected)


def test_start_of_the_weights() -> None:
    layers = FusionHead([64, 128], 19, 256, "separable_aspp", [1, 6], 0.1)
    assert layers.classifier.weight.std().item() == pytest.approx(0.01, rel=0.05)
    bottleneck = layers.fuse[1][0].weight
    assert bottleneck.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.05)


def test_dropout_takes_whole_channels() -> None:
    layers, maps = head(width=64, dropout=0.5).train(), stages()
    seen: list[torch.Tensor] = []
    layers.classifier.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    layers(maps)
    gone = (seen[0] == 0).flatten(2).all(2)
    assert 0.2 < gone.float().mean() < 0.8


def test_unknown_fusion_names_the_choices() -> None:
    with pytest.raises(ConfigError, match=r"fusion='isa'.*separable_aspp \(.*1x1 \("):
        head("isa")


def test_small_pyramid_reads_all_stages_from_stride_4() -> None:
    network = make("daformer_small").eval()
    seen: list[Any] = []
    network.head.embed[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape))
    prediction = network(IMAGE)
    assert seen == [(2, 24, 16, 24)]
    assert [one.in_channels for one in network.head.embed] == [24, 40, 112, 320]
    assert prediction.features.shape == (2, 320, 2, 3)
    coarser = make("daformer_small", finest_stride=8)
    assert [one.in_channels for one in coarser.head.embed] == [40, 112, 320]
    with pytest.raises(ConfigError, match="finest_stride=32.*leaves 1 of.*2, 4, 8, 16, 32"):
        make("daformer_small", finest_stride=32)
