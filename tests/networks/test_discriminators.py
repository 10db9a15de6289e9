"""AdaptSegNet's discriminator against the published facts."""

import pytest
import torch
from torch import nn

from uda_seg.errors import ConfigError
from uda_seg.networks.discriminators import FullyConvolutionalDiscriminator


def published(channels: int = 19) -> FullyConvolutionalDiscriminator:
    return FullyConvolutionalDiscriminator(channels, width=64, slope=0.2)


def test_weights_as_published() -> None:
    assert sum(weight.numel() for weight in published().parameters()) == 2_781_121


def test_layers_as_published() -> None:
    layers = list(published())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [64, 128, 256, 512, 1]
    shapes = {(layer.kernel_size, layer.stride, layer.padding) for layer in convolutions}
    assert shapes == {((4, 4), (2, 2), (1, 1))}
    others = [layer for layer in layers if not isinstance(layer, nn.Conv2d)]
    assert [type(layer) for layer in others] == [nn.LeakyReLU] * 4
    assert {layer.negative_slope for layer in others} == {0.2}
    assert layers[-1] is convolutions[-1]


@pytest.mark.parametrize(
    ("size", "expected"),
    [((512, 1024), (16, 32)), ((720, 1280), (22, 40)), ((64, 64), (2, 2)), ((32, 63), (1, 1))],
)
def test_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    discriminator = FullyConvolutionalDiscriminator(19, width=2, slope=0.2)
    assert discriminator(torch.zeros(1, 19, *size)).shape == (1, 1, *expected)


def test_too_small_is_refused_with_a_cure() -> None:
    with pytest.raises(ConfigError, match="at least 32x32 pixels and got 31x64: enlarge"):
        published(3)(torch.zeros(1, 3, 31, 64))
