"""The same logits from layers that other runtimes have."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame

from uda_seg.config import build, shipped
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.depthwise import DepthwiseConv2d
from uda_seg.networks.portable import (
    PaddedBySize,
    PyramidOfProducts,
    RoundedUp,
    portable,
    shares,
)
from uda_seg.networks.pspnet import PyramidPooling


def network_of(name: str, **changes) -> SegmentationNetwork:
    """With random weights, statistics of some images, and logits about as large as trained ones."""
    node = shipped("backbone", name)
    node |= {"depth_head": True, "batch_norm": "target"} | changes
    torch.manual_seed(0)
    network = build(node, classes=5)
    network(torch.rand(2, 3, 64, 64), domain="target")
    return network.eval()


@pytest.mark.parametrize("size", [(9, 14), (6, 6), (13, 1), (2, 5)])
@pytest.mark.parametrize("cells", [1, 2, 3, 6])
def test_products_are_adaptive_pooling(size, cells):
    features = torch.rand(2, 3, *size)
    rows, columns = (shares(length, cells, features) for length in size)
    expected = F.adaptive_avg_pool2d(features, cells)
    torch.testing.assert_close(rows @ features @ columns.T, expected)
    pyramid = PyramidOfProducts(6, [1, 2])
    torch.testing.assert_close(pyramid.pool(features, cells), expected)


@pytest.mark.parametrize("size", [(64, 96), (51, 43)])
def test_depthwise_layers_are_plain_again(size):
    network = network_of("small", pretrained="none")
    network.train()
    image = torch.rand(1, 3, *size)
    twin = portable(network)
    with torch.no_grad():
        found, expected = twin(image).logits, network.eval()(image).logits
    assert expected.std() > 0
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    kinds = [{type(layer) for layer in one.modules()} for one in (network, twin)]
    assert [DepthwiseConv2d in kind for kind in kinds] == [True, False]
    assert network.batch_norm == "target"
    assert (network.auxiliary_head, twin.auxiliary_head).count(None) == 1
    assert not any(weight.requires_grad for weight in twin.parameters())
    assert any(weight.requires_grad for weight in network.parameters())
    assert not twin.training


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1)])
def test_padding_is_timms(stride, kernel, dilation):
    layer = Conv2dSame(2, 3, kernel, stride, dilation=dilation)
    for size in [(9, 14), (12, 11), (8, 5)]:
        image = torch.rand(1, 2, *size)
        layer.__class__ = Conv2dSame
        expected = layer(image)
        layer.__class__ = PaddedBySize
        assert torch.equal(layer(image), expected)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1), (3, 3, 0)]
)
def test_pooling_is_rounded_up(kernel, stride, padding):
    layer = torch.nn.MaxPool2d(kernel, stride, padding, ceil_mode=True)
    assert RoundedUp.fits(layer) == (stride - 1 < kernel - padding)
    for size in [(9, 14), (12, 11), (8, 5)]:
        image = torch.randn(1, 2, *size)
        layer.__class__ = torch.nn.MaxPool2d
        expected = layer(image)
        layer.__class__ = RoundedUp
        assert torch.equal(layer(image), expected)


def test_what_pooling_stays():
    assert not RoundedUp.fits(torch.nn.MaxPool2d(3, 2, 1))
    assert not RoundedUp.fits(torch.nn.MaxPool2d(2, 3, 1, ceil_mode=True))


def test_a_pyramid_is_made_of_products():
    encoder = {
        "_target_": "uda_seg.networks.backbones.ResNetEncoder", "name": "resnet10t",
        "output_stride": 8, "stride_on": "conv2", "ceil_mode": False,
    }  # fmt: skip
    network = network_of("pspnet_resnet101", encoder=encoder, pretrained="none", width=8)
    image = torch.rand(2, 3, 75, 49)
    twin = portable(network)
    kinds = [type(next(m for m in n.modules() if isinstance(m, PyramidPooling)))
             for n in (network, twin)]  # fmt: skip
    assert kinds == [PyramidPooling, PyramidOfProducts]
    with torch.no_grad():
        torch.testing.assert_close(twin(image).logits, network(image).logits)
