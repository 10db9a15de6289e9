"""Products of matrices and OpenCV resize as torch does."""

import pytest
import torch
import torch.nn.functional as F

from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small, resize


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(32, 64), (13, 9), (3, 70), (8, 6)])
def test_maps_and_gradients_are_torchs(align_corners: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 8, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    results = [
        F.interpolate(maps, size, mode="bilinear", align_corners=align_corners),
        resize(maps, size, align_corners),
    ]
    torch.testing.assert_close(results[1], results[0])
    slope = torch.randn_like(results[0])
    gradients = [torch.autograd.grad(result, maps, slope)[0] for result in results]
    torch.testing.assert_close(gradients[1], gradients[0])
    with torch.no_grad():
        torch.testing.assert_close(resize(maps, size, align_corners), results[0])


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("size", [(64, 96), (128, 160), (99, 208), (64, 97), (16, 24), (40, 1)])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_without_a_gradient_maps_are_torchs_and_one_follows_the_other(
    memory: torch.memory_format, size: tuple[int, int], align_corners: bool
) -> None:
    maps = torch.randn(2, 19, 32, 48, generator=torch.Generator().manual_seed(0))
    maps = maps.contiguous(memory_format=memory)
    expected = F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)
    found = resize(maps, size, align_corners)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)
    assert found.is_contiguous() or align_corners
    double = maps[..., 1:].double()
    expected = F.interpolate(double, size, mode="bilinear", align_corners=align_corners)
    assert torch.equal(resize(double, size, align_corners), expected)


def test_an_exported_graph_holds_the_plain_layer_for_any_size() -> None:
    class Resize(torch.nn.Module):
        def forward(self, maps: torch.Tensor) -> torch.Tensor:
            small, large = (F.avg_pool2d(maps, 1, step) for step in (8, 4))
            return resize(small, (large.shape[2], large.shape[3]), False)

    free = {2: torch.export.Dim("height", min=32), 3: torch.export.Dim("width", min=32)}
    with torch.no_grad():
        program = torch.export.export(
            Resize(), (torch.randn(1, 4, 400, 480),), dynamic_shapes=(free,), strict=False
        )
    assert sum("upsample" in str(node.target) for node in program.graph.nodes) == 1
    assert program.module()(torch.randn(1, 4, 41, 57)).shape == (1, 4, 11, 15)


def test_logits_are_enlarged_once_somebody_asks() -> None:
    maps = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    learning = Prediction(Small(maps, (32, 24), False), maps)
    with torch.no_grad():
        scoring = Prediction(Small(maps, (32, 24), False), maps)
        assert learning.logits is learning.logits
    assert learning.logits.requires_grad, "as when the network answered"
    assert not scoring.logits.requires_grad
    expected = F.interpolate(maps, (32, 24), mode="bilinear", align_corners=False)
    for prediction in (learning, scoring):
        torch.testing.assert_close(prediction.logits, expected)
        assert torch.equal(prediction.smallest_logits, maps)
    assert Prediction(expected, maps).smallest_logits is expected


def test_logits_in_half_precision_are_handed_out_in_full() -> None:
    maps = torch.randn(1, 3, 8, 6, generator=torch.Generator().manual_seed(0)).bfloat16()
    prediction = Prediction(Small(maps, (32, 24), False), maps)
    assert prediction.small is not None
    for logits in (prediction.logits, prediction.small.maps, prediction.smallest_logits):
        assert logits.dtype == torch.float32
