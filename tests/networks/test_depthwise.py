"""A depthwise convolution that is differentiated by parts changes nothing but the time."""

import pytest
import torch
from torch import nn

from uda_seg.networks.cpu_layers import speed_up
from uda_seg.networks.depthwise import DepthwiseConv2d


def depthwise(kernel: int, dilation: int, bias: bool = False) -> nn.Conv2d:
    torch.manual_seed(0)
    margin = dilation * (kernel // 2)
    return nn.Conv2d(6, 6, kernel, padding=margin, dilation=dilation, groups=6, bias=bias)


@pytest.mark.parametrize(
    ("kernel", "dilation", "bias"),
    [(3, 1, False), (3, 2, False), (5, 1, True), (5, 4, True), (5, 3, False), (7, 2, False)],
)
@pytest.mark.parametrize("size", [(16, 24), (7, 13), (3, 1)])
def test_results_and_gradients_are_equal(
    kernel: int, dilation: int, bias: bool, size: tuple[int, int]
) -> None:
    plain, fast = depthwise(kernel, dilation, bias), depthwise(kernel, dilation, bias)
    assert speed_up(fast) == 1
    assert type(fast) is DepthwiseConv2d
    image = torch.randn(2, 6, *size)
    answers = []
    for layer in (plain, fast):
        leaf = image.clone().requires_grad_()
        output = layer(leaf)
        (output * torch.linspace(0, 1, output.numel()).view_as(output)).sum().backward()
        answers.append([output, leaf.grad, *(weight.grad for weight in layer.parameters())])
    for expected, actual in zip(*answers, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_only_what_fits_is_touched() -> None:
    others = [
        depthwise(1, 1),
        nn.Conv2d(6, 6, 3, padding=2, dilation=2),
        nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6, stride=2),
        nn.Conv2d(6, 6, 3, padding=0, dilation=2, groups=6),
        nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=6),
    ]
    speed_up(nn.ModuleList(others))
    assert DepthwiseConv2d not in {type(layer) for layer in others}
