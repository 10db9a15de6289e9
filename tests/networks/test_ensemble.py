"""Several networks together: means of logits, and of probabilities before they are enlarged."""

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch, make_network

from uda_seg.networks.ensemble import Ensemble


def three() -> list[torch.nn.Module]:
    made = [make_network(depth_head=False) for _ in range(3)]
    for number, network in enumerate(made):
        torch.manual_seed(number)
        network.head.reset_parameters()
    return made


@pytest.mark.parametrize("mean", ["logits", "probabilities"])
def test_the_mean_by_shares(mean: str) -> None:
    image, networks = make_batch().target.image, three()
    ensemble = Ensemble(networks, mean, [1.0, 1.0, 2.0]).train()
    assert not any(module.training for module in ensemble.modules())
    found = ensemble(image).logits
    assert not found.requires_grad
    answers = [network(image) for network in networks]
    if mean == "logits":
        wanted = sum(s * one.logits for s, one in zip((0.25, 0.25, 0.5), answers, strict=True))
        torch.testing.assert_close(found, wanted)
        return
    small = [network.head(one.features).softmax(1) for network, one in zip(networks, answers)]
    wanted = F.interpolate(
        0.25 * small[0] + 0.25 * small[1] + 0.5 * small[2], image.shape[-2:], mode="bilinear"
    )
    torch.testing.assert_close(found.softmax(1), wanted)
