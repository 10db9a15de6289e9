"""Products of matrices resize as torch does."""

import pytest
import torch
import torch.nn.functional as F

from uda_seg.networks.resizing import resize


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
        assert torch.equal(resize(maps, size, align_corners), results[0])
