"""Each policy: which pass moves which statistics, and what learns."""

import copy

import pytest
import torch
from torch import nn

from uda_seg.errors import ConfigError
from uda_seg.networks.batch_norm import POLICIES, batch_norms
from uda_seg.networks.tiny import TinyNetwork

IMAGE = torch.rand(2, 3, 16, 32, generator=torch.Generator().manual_seed(0))


def tiny(policy: str) -> TinyNetwork:
    torch.manual_seed(0)
    return TinyNetwork(4, 8, True, policy, [0.5] * 3, [0.25] * 3, 1.0, False)


def running(network: nn.Module) -> list[torch.Tensor]:
    layers = list(batch_norms(network))
    assert layers
    return [buffer.clone() for layer in layers for buffer in layer.buffers()]


def moved(policy: str, domain: str) -> bool:
    network = tiny(policy).train()
    before = running(network)
    network(IMAGE, domain=domain)
    changes = [not torch.equal(a, b) for a, b in zip(before, running(network), strict=True)]
    assert len(set(changes)) == 1  # all of mean, variance and counter, or none
    return changes[0]


@pytest.mark.parametrize(
    ("policy", "source", "target"),
    [
        ("train", True, True),
        ("frozen_affine", True, True),
        ("source", True, False),
        ("target", False, True),
        ("frozen", False, False),
    ],
)
def test_which_passes_move_the_statistics(policy: str, source: bool, target: bool) -> None:
    assert (moved(policy, "source"), moved(policy, "target")) == (source, target)
    assert not moved(policy, "neither")


def test_every_policy_is_tested() -> None:
    assert set(POLICIES) == {"train", "frozen_affine", "source", "target", "frozen"}


@pytest.mark.parametrize("policy", POLICIES)
def test_affine_part_learns_unless_frozen(policy: str) -> None:
    network = tiny(policy).train()
    network(IMAGE).logits.square().mean().backward()
    affine = [weight for layer in batch_norms(network) for weight in (layer.weight, layer.bias)]
    learns = policy not in ("frozen", "frozen_affine")
    assert all((weight.grad is not None) == learns for weight in affine)
    assert network.early[0].weight.grad is not None


@pytest.mark.parametrize("policy", ["source", "target"])
@pytest.mark.parametrize("domain", ["source", "target"])
def test_either_domain_is_normalised_with_the_batch(policy: str, domain: str) -> None:
    expected = tiny("train").train()(IMAGE).logits
    assert torch.equal(tiny(policy).train()(IMAGE, domain=domain).logits, expected)


def test_frozen_uses_running_statistics_in_training() -> None:
    network = tiny("frozen").train()
    in_training = network(IMAGE).logits
    assert torch.equal(in_training, network.eval()(IMAGE).logits)
    assert not torch.equal(in_training, tiny("train").train()(IMAGE).logits)
    assert network.train().training
    assert not any(layer.training for layer in batch_norms(network))


@pytest.mark.parametrize("policy", POLICIES)
def test_evaluation_moves_nothing_and_uses_running_statistics(policy: str) -> None:
    network = tiny("train").train()
    network(IMAGE)  # so that running statistics differ from their start
    network.set_batch_norm(policy)
    network.eval()
    before = running(network)
    answers = [network(IMAGE, domain=domain).logits for domain in ("source", "target")]
    assert torch.equal(*answers)
    assert all(torch.equal(a, b) for a, b in zip(before, running(network), strict=True))
    single = network(IMAGE[:1]).logits
    torch.testing.assert_close(single, answers[0][:1])


def test_the_policy_can_change_and_survives_a_copy() -> None:
    network = tiny("frozen").train()
    network.set_batch_norm("train")
    assert all(layer.training and layer.weight.requires_grad for layer in batch_norms(network))
    network.set_batch_norm("frozen")
    teacher = copy.deepcopy(network).train()
    assert not any(layer.training for layer in batch_norms(teacher))


def test_an_error_in_a_pass_does_not_switch_statistics_off() -> None:
    network = tiny("source").train()
    with pytest.raises(RuntimeError):
        network(torch.rand(2, 3, 4, 4).double(), domain="target")
    assert all(layer.track_running_stats for layer in batch_norms(network))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="'eval' is not a policy.*frozen_affine"):
        tiny("eval")
    with pytest.raises(ValueError, match="'camera'.*source, target"):
        tiny("source")(IMAGE, domain="camera")
