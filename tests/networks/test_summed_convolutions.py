"""Convolutions that are summed by one product of matrices are those that are added one by one."""

import pytest
import torch
from torch import Tensor, nn

from uda_seg.networks.summed_convolutions import sum_of_convolutions


def branches(dilations: list[int], bias: bool) -> list[nn.Conv2d]:
    torch.manual_seed(0)
    return [nn.Conv2d(5, 3, 3, padding=d, dilation=d, bias=bias).double() for d in dilations]


def one_by_one(layers: list[nn.Conv2d], image: Tensor) -> Tensor:
    result = layers[0](image)
    for layer in layers[1:]:
        result = result + layer(image)
    return result


@pytest.mark.parametrize(
    ("dilations", "bias"), [([1, 3, 6, 12], True), ([6, 12], False), ([2], True)]
)
@pytest.mark.parametrize("size", [(9, 14), (13, 1), (3, 25)])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_results_and_gradients_are_equal(
    dilations: list[int], bias: bool, size: tuple[int, int], memory_format: torch.memory_format
) -> None:
    layers = [layer.float() for layer in branches(dilations, bias)]
    image = torch.randn(2, 5, *size).contiguous(memory_format=memory_format)
    answers = []
    for way in (one_by_one, sum_of_convolutions):
        leaf = image.clone().requires_grad_()
        for layer in layers:
            layer.zero_grad()
        result = way(layers, leaf)
        (result * torch.linspace(0, 1, result.numel()).view_as(result)).sum().backward()
        learned = [weight.grad.clone() for layer in layers for weight in layer.parameters()]
        answers.append([result, leaf.grad, *learned])
    for expected, actual in zip(*answers, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def test_only_what_learns_gets_a_gradient() -> None:
    layers = [layer.float() for layer in branches([1, 2], bias=True)]
    image = torch.randn(1, 5, 6, 6)
    sum_of_convolutions(layers, image).sum().backward()
    assert all(weight.grad is not None for layer in layers for weight in layer.parameters())
    for layer in layers:
        layer.zero_grad()
        layer.requires_grad_(False)
    leaf = image.requires_grad_()
    sum_of_convolutions(layers, leaf).sum().backward()
    assert leaf.grad is not None
    assert all(weight.grad is None for layer in layers for weight in layer.parameters())


def test_nothing_changes_without_gradients_or_in_other_precisions() -> None:
    layers = [layer.float() for layer in branches([1, 3], bias=True)]
    image = torch.randn(1, 5, 8, 8)
    with torch.no_grad():
        assert torch.equal(sum_of_convolutions(layers, image), one_by_one(layers, image))
    doubles = branches([1, 3], bias=True)
    result = sum_of_convolutions(doubles, image.double())
    assert torch.equal(result, one_by_one(doubles, image.double()))


def test_mixed_precision_sums_in_32_bits() -> None:
    layers = [layer.float() for layer in branches([1, 3, 6, 12], bias=True)]
    image, answers = torch.randn(2, 5, 9, 14), []
    for mixed in (False, True):
        leaf = image.clone().requires_grad_()
        for layer in layers:
            layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            result = sum_of_convolutions(layers, leaf)
        assert type(result.grad_fn.next_functions[0][0]).__name__ == "_SummedConvolutionsBackward"
        (result * torch.linspace(0, 1, result.numel()).view_as(result)).sum().backward()
        learned = [weight.grad.clone() for layer in layers for weight in layer.parameters()]
        answers.append([result, leaf.grad, *learned])
    for expected, actual in zip(*answers, strict=True):
        assert actual.dtype == torch.float32
        assert (expected - actual).norm() < 0.02 * expected.norm()
