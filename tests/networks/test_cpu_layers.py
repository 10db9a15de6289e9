"""Layers that cost less are the same layers."""

import copy

import pytest
import torch
from torch import nn

from uda_seg.networks import backbones, conv3x3
from uda_seg.networks.conv3x3 import Conv3x3
from uda_seg.networks.cpu_layers import ByDevice, FrugalReLU6, PointwiseConv2d, speed_up, undo
from uda_seg.networks.discriminators import FullyConvolutionalDiscriminator


def layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.ReLU6(inplace=True),
        nn.Conv2d(8, 8, 5, padding=4, dilation=2, groups=8, bias=False), nn.ReLU6(inplace=True),
        nn.Conv2d(8, 4, 1, stride=2), nn.ReLU6(inplace=False), nn.Conv2d(4, 4, 1, groups=2),
    ).to(memory_format=torch.channels_last)  # fmt: skip


def test_results_gradients_and_statistics_are_equal() -> None:
    plain, fast = layers(), layers()
    assert speed_up(fast) == 5
    image = 9 * torch.randn(2, 3, 12, 10).contiguous(memory_format=torch.channels_last)
    found = []
    for network in (plain, fast):
        leaf = image.clone().requires_grad_()
        output = network(leaf)
        (output * torch.linspace(0, 1, output.numel()).view_as(output)).sum().backward()
        parts = [weight.grad for weight in network.parameters()] + list(network.buffers())
        found.append([output, leaf.grad, *parts])
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_they_become_plain_again() -> None:
    plain, fast = layers(), layers()
    speed_up(fast)
    kinds = [type(layer) for layer in fast]
    assert (kinds.count(PointwiseConv2d), kinds.count(FrugalReLU6)) == (1, 2)
    assert copy.deepcopy(fast).state_dict().keys() == plain.state_dict().keys()
    undo(fast)
    assert [type(layer) for layer in fast] == [type(layer) for layer in plain]


def learnt(layer: nn.Module, maps: torch.Tensor) -> list[torch.Tensor]:
    """The output, and the gradients of the maps and the weights."""
    leaf = maps.clone().requires_grad_()
    output = layer(leaf)
    (output * torch.linspace(0, 1, output.numel()).view_as(output)).sum().backward()
    return [output, leaf.grad, *(weight.grad for weight in layer.parameters())]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(10, 14), (5, 20), (13, 13)])
def test_kernels_that_reach_across_a_map_learn_the_same(
    size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 4, 3, padding=6, dilation=6).to(memory_format=memory_format)
    fast = copy.deepcopy(plain)
    speed_up(fast)
    assert type(fast) is Conv3x3
    maps = torch.randn(2, 3, *size).contiguous(memory_format=memory_format)
    found = [learnt(layer, maps) for layer in (plain, fast)]
    takes_another_way = type(fast(maps.requires_grad_()).grad_fn).__name__ == "_Conv3x3Backward"
    assert takes_another_way == (min(size) < 12)
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at_once", [1, 2**21], ids=["row by row", "an image at once"])
@pytest.mark.parametrize(("size", "dilation"), [((9, 5), 1), ((6, 11), 2), ((3, 2), 4)])
def test_deep_convolutions_learn_the_same(
    size: tuple[int, int], dilation: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv3x3, "DEEP", 3)
    monkeypatch.setattr(conv3x3, "AT_ONCE", at_once)
    monkeypatch.setattr(conv3x3, "PLACES", 1)
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 4, 3, padding=dilation, dilation=dilation)
    plain.to(memory_format=torch.channels_last)
    fast = copy.deepcopy(plain)
    speed_up(fast)
    maps = torch.randn(2, 3, *size).contiguous(memory_format=torch.channels_last)
    found = [learnt(layer, maps) for layer in (plain, fast)]
    assert type(fast(maps).grad_fn).__name__ == "_Conv3x3Backward"
    assert fast.weight.grad.is_contiguous(memory_format=torch.channels_last)
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(8, 8, 5, padding=4, dilation=2, groups=8, bias=False), (12, 10)),
        (nn.Conv2d(8, 8, 3, 2, 1, groups=8), (12, 10)),
        (backbones.Conv2dSame(8, 8, 3, 2, groups=8), (12, 10)),
        (nn.Conv2d(8, 8, 3, padding=6, dilation=6), (9, 10)),
        (nn.Conv2d(8, 8, 3, padding=1), (9, 10)),
        (nn.Conv2d(8, 4, 1), (9, 10)),
    ],
)
def test_mixed_precision_rounds_and_no_more(
    layer: nn.Module, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has eight bits; what learns stays in 32."""
    monkeypatch.setattr(conv3x3, "DEEP", 8)
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    assert speed_up(layer) == 1
    maps = torch.randn(2, 8, *size).contiguous(memory_format=torch.channels_last)
    found = []
    for mixed in (False, True):
        layer.zero_grad()
        leaf = maps.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            output = layer(leaf)
        output.float().sin().sum().backward()
        found.append([output.float(), leaf.grad, *(w.grad.clone() for w in layer.parameters())])
    assert all(one.dtype == torch.float32 for one in found[1])
    for expected, actual in zip(*found, strict=True):
        assert (expected - actual).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("learns", [True, False])
def test_batch_norm_is_the_same(
    batch: int, learns: bool, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(4)
    plain.weight.data.uniform_(0.5, 2)
    plain.weight.requires_grad_(learns)
    fast = copy.deepcopy(plain)
    speed_up(fast)
    maps = (5 + 3 * torch.randn(batch, 4, 6, 7)).contiguous(memory_format=memory_format)
    found = []
    for layer in (plain, fast):
        leaf = maps.clone().requires_grad_()
        output = layer(leaf)
        (output * torch.linspace(0, 1, output.numel()).view_as(output)).sum().backward()
        layer.track_running_stats = False
        layer(maps * 2)  # moves nothing
        layer.track_running_stats = True
        whole = layer.eval()(maps)
        grads = [weight.grad for weight in layer.parameters() if weight.requires_grad]
        found.append([output, leaf.grad, whole, *layer.buffers(), *grads])
    for expected, actual in zip(*found, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_a_clipped_result_overwrites_its_input_and_keeps_no_other() -> None:
    layer = nn.Sequential(nn.ReLU6(inplace=True))
    speed_up(layer)
    leaf = torch.tensor([-1.0, 2.0, 7.0], requires_grad=True)
    maps = leaf * 1
    result = layer(maps)
    assert result.data_ptr() == maps.data_ptr()
    result.sum().backward()
    assert leaf.grad.tolist() == [0, 1, 0]


@pytest.mark.parametrize(("asked", "here", "there"), [("cpu", True, False), (True, True, True),
                                                      (False, False, False)])  # fmt: skip
def test_weights_lie_as_their_device_has_it(asked: bool | str, here: bool, there: bool) -> None:
    class Two(ByDevice):
        channels_last = asked

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
            self.arrange()

    def last(maps: torch.Tensor) -> bool:
        return maps.is_contiguous(memory_format=torch.channels_last)

    two, maps = Two(), torch.ones(2, 3, 5, 6)
    assert (last(two.layers[0].weight), last(two.arranged(maps))) == (here, here)
    names = dict(two.named_parameters()).keys()
    two.to("meta")  # as to a GPU: no device that has a layout of its own
    assert last(two.layers[0].weight) is there
    two.to_empty(device="cpu")
    assert last(two.layers[0].weight) is here
    assert dict(two.named_parameters()).keys() == names


def test_a_discriminator_copies_no_weights() -> None:
    judge = FullyConvolutionalDiscriminator(3, 4, 0.2)
    layers = [layer for layer in judge if isinstance(layer, nn.Conv2d)]
    inputs = []
    for layer in layers:
        layer.register_forward_hook(lambda _, given, answer: inputs.append(given[0]))
    judge(torch.rand(2, 3, 64, 64))
    for maps in (*inputs[1:-1], *(layer.weight for layer in layers)):
        assert maps.is_contiguous(memory_format=torch.channels_last)
