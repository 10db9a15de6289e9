"""The woven convolution gives a plain one's results and gradients."""

import pytest
import torch
from torch import nn

from uda_seg.networks.polyphase import PolyphaseConv2d, use_polyphase


@pytest.mark.parametrize("size", [(8, 12), (7, 13)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (5, 4)])
def test_equals_a_plain_convolution(size: tuple[int, int], kernel: int, dilation: int) -> None:
    torch.manual_seed(0)
    padding = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(6, 6, kernel, padding=padding, dilation=dilation, groups=6)
    network = nn.Sequential(nn.Conv2d(6, 6, kernel, padding=padding, dilation=dilation, groups=6))
    network[0].load_state_dict(plain.state_dict())
    assert use_polyphase(network) == 1
    assert type(network[0]) is PolyphaseConv2d
    maps = torch.randn(2, 6, *size, requires_grad=True)
    twin = maps.detach().clone().requires_grad_()
    for module, given in ((plain, maps), (network, twin)):
        (module(given) ** 2).sum().backward()
    torch.testing.assert_close(network(twin), plain(maps))
    torch.testing.assert_close(twin.grad, maps.grad)
    torch.testing.assert_close(network[0].weight.grad, plain.weight.grad)


def test_leaves_every_other_convolution_alone() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, stride=2),
        nn.Conv2d(4, 4, 3, padding=0, dilation=2, groups=4),
    )
    assert use_polyphase(network) == 0
