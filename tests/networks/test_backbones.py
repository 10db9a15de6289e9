"""Encoders: dilation in the place of strides, where strides sit, VGG as the papers changed it."""

from collections.abc import Callable

import pytest
import timm
import torch
from networks.thin_resnet import THIN
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.networks.backbones import ResNetEncoder, TimmEncoder, VGGEncoder

IMAGE = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    """In evaluation, with statistics as if trained: else ReLUs hide differences."""
    torch.manual_seed(0)
    network = make().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return network


@pytest.fixture(scope="module")
def vgg() -> VGGEncoder:
    return VGGEncoder("vgg16", "removed").eval()


@torch.no_grad()
def stages(network: nn.Module, image: Tensor = IMAGE) -> list[Tensor]:
    return network(image)


@pytest.mark.parametrize("stride_on", ["conv1", "conv2"])
def test_dilation_computes_the_strided_network_more_densely(stride_on: str) -> None:
    """Every 4th position of stride 8 is stride 32's map: the same weights see the same pixels."""
    dense = seeded(lambda: ResNetEncoder(THIN, 8, stride_on, False))
    strided = seeded(lambda: ResNetEncoder(THIN, 32, stride_on, False))
    assert (dense.reductions, strided.reductions) == ([2, 4, 8, 8, 8], [2, 4, 8, 16, 32])
    for step, fine, coarse in zip((1, 1, 1, 2, 4), stages(dense), stages(strided), strict=True):
        torch.testing.assert_close(fine[..., ::step, ::step], coarse, rtol=1e-4, atol=1e-4)


def test_stride_on_conv1_is_another_network_with_the_same_weights() -> None:
    first = seeded(lambda: ResNetEncoder(THIN, 32, "conv1", False))
    third = seeded(lambda: ResNetEncoder(THIN, 32, "conv2", False))
    assert first.state_dict().keys() == third.state_dict().keys()
    for stage in (first.body.layer2, first.body.layer3, first.body.layer4):
        assert (stage[0].conv1.stride, stage[0].conv2.stride) == ((2, 2), (1, 1))
    torch.testing.assert_close(stages(first)[1], stages(third)[1])  # layer1 has no stride
    assert not torch.allclose(stages(first)[2], stages(third)[2], atol=1e-2)


def test_the_memory_layout_changes_nothing_where_the_1x1_convolutions_stride() -> None:
    encoder = seeded(lambda: ResNetEncoder(THIN, 32, "conv1", False))
    plain = stages(encoder)
    side_by_side = stages(encoder, IMAGE.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(side_by_side, plain, rtol=1e-4, atol=1e-4)


def test_dilations_of_stage_3_and_4_as_published() -> None:
    encoder = ResNetEncoder(THIN, 8, "conv1", True)
    for stage, dilation in ((encoder.body.layer3, 2), (encoder.body.layer4, 4)):
        for block in stage:
            assert block.conv2.dilation == block.conv2.padding == (dilation, dilation)
            assert block.conv1.stride == block.conv2.stride == (1, 1)


def test_ceil_mode_rounds_the_pooling_up() -> None:
    for ceil_mode, size in ((True, (9, 13)), (False, (8, 12))):
        encoder = seeded(lambda ceil=ceil_mode: ResNetEncoder(THIN, 8, "conv2", ceil))
        assert stages(encoder)[-1].shape[-2:] == size


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv2_100", THIN])
def test_last_stage_cuts_and_keeps_the_rest(name: str) -> None:
    whole = seeded(lambda: TimmEncoder(name, 8, -1))
    cut = seeded(lambda: TimmEncoder(name, 8, -2))
    weights = [sum(w.numel() for w in encoder.parameters()) for encoder in (whole, cut)]
    assert weights[1] < weights[0] / 2
    cut.load_state_dict({k: v for k, v in whole.state_dict().items() if k in cut.state_dict()})
    assert cut.channels == whole.channels[:-1]
    assert cut.reductions == whole.reductions[:-1]
    for expected, actual in zip(stages(whole), stages(cut), strict=False):
        torch.testing.assert_close(actual, expected)


def test_channels_and_reductions_are_true(vgg: VGGEncoder) -> None:
    for encoder in (TimmEncoder("tf_efficientnet_lite0", 16, -1), vgg):
        for maps, channels, stride in zip(
            stages(encoder.eval()), encoder.channels, encoder.reductions, strict=True
        ):
            assert maps.shape == (1, channels, 64 // stride, 96 // stride)


def test_nothing_is_dropped_at_random() -> None:
    encoder = TimmEncoder("tf_efficientnet_lite0", 8, -1).train()
    rates = [m.p for m in encoder.modules() if isinstance(m, nn.Dropout)]
    rates += [m.drop_prob for m in encoder.modules() if hasattr(m, "drop_prob")]
    assert not any(rates)


def test_vgg_layers_as_published(vgg: VGGEncoder) -> None:
    convolutions = [layer for layer in vgg.modules() if isinstance(layer, nn.Conv2d)]
    assert [c.dilation[0] for c in convolutions] == [1] * 10 + [2] * 3 + [4] * 2
    assert all(c.padding == c.dilation and c.kernel_size == (3, 3) for c in convolutions)
    fc6, fc7 = convolutions[-2:]
    assert (fc6.in_channels, fc6.out_channels, fc7.out_channels) == (512, 1024, 1024)
    assert sum(isinstance(layer, nn.MaxPool2d) for layer in vgg.modules()) == 3
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.Dropout) for layer in vgg.modules())
    kept = VGGEncoder("vgg16", "stride_one")
    pools = [layer for layer in kept.modules() if isinstance(layer, nn.MaxPool2d)]
    assert [pool.stride for pool in pools] == [2, 2, 2, 1, 1]
    assert stages(kept)[-1].shape == (1, 1024, 8, 12)


def test_vgg_before_pool4_is_timms(vgg: VGGEncoder) -> None:
    small_classifier = {"features_only": True, "mlp_ratio": 1 / 1024}  # it is not used
    plain = timm.create_model("vgg16", out_indices=(0, 1, 2, 3, 4), **small_classifier).eval()
    plain.load_state_dict(vgg.body.state_dict())
    ours, theirs = stages(vgg), stages(plain)
    for index in range(4):
        torch.testing.assert_close(ours[index], theirs[index])
    assert ours[4].shape != theirs[4].shape
    assert ours[5].min() == 0  # fc7 ends in ReLU


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimmEncoder("efficientnet_lite7", 8, -1), "timm cannot build it.*Similar names"),
        (lambda: TimmEncoder("tf_efficientnet_lite0", 8, -6), "last_stage=-6.*-1 to -5"),
        (lambda: ResNetEncoder(THIN, 8, "conv3", True), "choose conv1 or conv2"),
        (lambda: ResNetEncoder("resnet18", 8, "conv1", True), "bottleneck"),
        (lambda: VGGEncoder("vgg16", "gone"), "choose removed or stride_one"),
        (lambda: VGGEncoder("vgg16_bn", "removed"), "without batch norm"),
    ],
)
def test_mistakes_name_the_choices(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
