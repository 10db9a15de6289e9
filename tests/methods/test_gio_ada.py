"""GIO-Ada's losses against loops, its levels and geometry, and who learns from what."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, make_batch, make_network
from torch import Tensor, nn

from uda_seg.batch import IGNORE, Source
from uda_seg.losses import masked_l1
from uda_seg.methods.gio_ada import GIOAda
from uda_seg.networks.discriminators import FullyConvolutionalDiscriminator, PatchDiscriminator
from uda_seg.networks.translator import Translator

NEAREST = 4.0
LOSSES = {
    "segmentation": set(),
    "depth": {"geometry"},
    "adversarial_input": {"input"},
    "adversarial_output": {"output"},
    "discriminator_input": {"input"},
    "discriminator_output": {"output"},
}
"""A loss to what of levels and geometry it needs."""


@pytest.fixture
def network() -> torch.nn.Module:
    """With a depth head, which the method asks for."""
    return make_network(depth_head=True)


def gio_ada(network: Any, levels: str = "both", geometry: bool = True) -> GIOAda:
    torch.manual_seed(0)
    there = {"input", "output"} if levels == "both" else {levels}
    weights = dict.fromkeys(LOSSES, 1.0) | {
        f"adversarial_{level}": 1.0 if level in there else None for level in ("input", "output")
    }
    return GIOAda(
        network, weights, geometry, NEAREST, "vanilla",
        lambda channels: Translator(channels, 4, 1, residual=False),
        lambda channels: PatchDiscriminator(channels, 4, 0.2),
        lambda channels: FullyConvolutionalDiscriminator(channels, 4, 0.2),
    )  # fmt: skip


def found(method: GIOAda) -> dict[str, Tensor]:
    return {name: loss for part in method.losses(make_batch()) for name, loss in part.items()}


def touched(loss: Tensor, module: nn.Module) -> bool:
    gradients = torch.autograd.grad(
        loss, list(module.parameters()), retain_graph=True, allow_unused=True
    )
    return any(g is not None and bool(g.any()) for g in gradients)


def test_each_loss_reaches_exactly_its_players(network: Any) -> None:
    """The task's losses reach the translator: that is what keeps the content in its place."""
    method = gio_ada(network)
    reached = {
        name: {player for player, module in method.players().items() if touched(loss, module)}
        for name, loss in found(method).items()
    }
    assert reached == {
        "segmentation": {"network", "translator"},
        "depth": {"network", "translator"},
        "adversarial_input": {"translator"},
        "adversarial_output": {"network"},
        "discriminator_input": {"image_discriminator"},
        "discriminator_output": {"output_discriminator"},
    }


@pytest.mark.parametrize("geometry", [True, False])
@pytest.mark.parametrize("levels", ["none", "input", "output", "both"])
def test_ablations_have_the_losses_they_are_named_after(
    network: Any, levels: str, geometry: bool
) -> None:
    method = gio_ada(network, levels, geometry)
    there = {"input", "output"} if levels == "both" else {levels}
    there |= {"geometry"} if geometry else set()
    assert set(method.weights) == {name for name, needs in LOSSES.items() if needs <= there}
    assert set(found(method)) == set(method.weights)
    assert (method.translator is not None) == (levels in ("input", "both"))
    assert (method.output_adversary is not None) == (levels in ("output", "both"))
    assert GIOAda.needed({"geometry": geometry}) == ({"source.depth"} if geometry else set())


def test_inverse_depth_is_near_over_depth_and_zero_where_unknown(network: Any) -> None:
    depth = torch.tensor([[[[0.0, 1.0, 4.0, 8.0, 400.0]]]])
    source = Source(torch.rand(1, 3, 1, 5), torch.zeros(1, 1, 5, dtype=torch.long), depth)
    inverse = gio_ada(network).inverse(source).flatten().tolist()
    assert inverse == pytest.approx([0.0, 1.0, 1.0, 0.5, 0.01])


def test_the_guide_is_one_hot_with_nothing_where_nothing_is_known(network: Any) -> None:
    source = make_batch().source
    guide = gio_ada(network).guide(source)
    assert guide.shape == (2, CLASSES + 1, 64, 128)
    for b, y, x in [(0, 0, 5), (1, 20, 30), (0, 63, 127)]:
        label = int(source.label[b, y, x])
        wanted = [float(c == label) for c in range(CLASSES)]
        assert guide[b, :-1, y, x].tolist() == wanted
        depth = float(source.depth[b, 0, y, x]) if source.depth is not None else 0
        inverse = min(NEAREST / depth, 1.0) if depth else 0.0
        assert float(guide[b, -1, y, x]) == pytest.approx(inverse)
    assert int(source.label[0, 0, 5]) == IGNORE
    assert gio_ada(network, geometry=False).guide(source).shape[1] == CLASSES


def test_depth_loss_equals_a_loop_over_known_pixels(network: Any) -> None:
    method = gio_ada(network)
    network.eval()
    source = make_batch().source
    with torch.no_grad():
        prediction = network(method.translate(source), "source").depth
        ours = float(next(iter(method.losses(make_batch())))["depth"])
    assert source.depth is not None
    errors = []
    for b, y, x in np.ndindex(2, 64, 128):
        depth = float(source.depth[b, 0, y, x])
        if depth > 0:
            errors.append(abs(float(prediction[b, 0, y, x]) - min(NEAREST / depth, 1.0)))
    assert len(errors) == 2 * 61 * 128  # three rows are not known
    assert ours == pytest.approx(np.mean(errors), rel=1e-4)


def test_nothing_known_is_no_loss() -> None:
    zeros = torch.zeros(1, 1, 2, 2)
    assert float(masked_l1(zeros + 1, zeros, zeros > 0)) == 0


def test_the_joint_output_is_probabilities_and_depth(network: Any) -> None:
    method = gio_ada(network)
    prediction = network(make_batch().target.image, "target")
    joint = method.joint(prediction)
    torch.testing.assert_close(joint[:, :CLASSES].sum(1), torch.ones(2, 64, 128))
    torch.testing.assert_close(joint[:, CLASSES:], prediction.depth)
    assert gio_ada(network, geometry=False).joint(prediction).shape[1] == CLASSES


def test_adversarial_losses_equal_the_formula(network: Any) -> None:
    """−log D for whoever is to be taken for real; the discriminator's halves are averaged."""
    method = gio_ada(network)
    batch = make_batch()
    network.eval()
    losses = {k: float(v.detach()) for part in method.losses(batch) for k, v in part.items()}
    assert method.image_adversary is not None
    assert method.output_adversary is not None
    with torch.no_grad():
        translated = method.translate(batch.source)
        score = {
            "translated": method.image_adversary.discriminator(translated),
            "target": method.image_adversary.discriminator(batch.target.image),
            "source_output": method.output_adversary.discriminator(
                method.joint(network(translated, "source"))
            ),
            "target_output": method.output_adversary.discriminator(
                method.joint(network(batch.target.image, "target"))
            ),
        }
    fake = {name: value.sigmoid() for name, value in score.items()}  # of being fake

    def log(values: Tensor) -> float:
        return float(-values.log().mean())

    assert losses["adversarial_input"] == pytest.approx(log(1 - fake["translated"]), rel=1e-4)
    assert losses["adversarial_output"] == pytest.approx(log(1 - fake["target_output"]), rel=1e-4)
    wanted = (log(1 - fake["target"]) + log(fake["translated"])) / 2
    assert losses["discriminator_input"] == pytest.approx(wanted, rel=1e-4)
    wanted = (log(1 - fake["source_output"]) + log(fake["target_output"])) / 2
    assert losses["discriminator_output"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("levels", ["none", "input"])
def test_target_images_move_batch_norm_at_every_level(network: Any, levels: str) -> None:
    network.set_batch_norm("target")
    method = gio_ada(network, levels).train()
    norm = next(m for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    found(method)
    assert not torch.equal(norm.running_mean, before)


def test_a_residual_translator_begins_as_the_identity() -> None:
    image, extra = torch.rand(1, 3, 18, 31), torch.rand(1, 5, 18, 31)
    torch.testing.assert_close(Translator(5, 4, 1, residual=True)(image, extra), image)
    other = Translator(5, 4, 1, residual=False)(image, extra).detach()
    assert other.shape == image.shape
    assert 0 <= float(other.min()) < float(other.max()) <= 1


def test_a_patch_is_seventy_pixels_wide() -> None:
    discriminator = PatchDiscriminator(3, 4, 0.2).eval()
    for module in discriminator.modules():
        if isinstance(module, nn.InstanceNorm2d):
            module.forward = lambda maps: maps  # it looks at the whole image
    image = torch.rand(1, 3, 160, 160, requires_grad=True)
    scores = discriminator(image)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert image.grad is not None
    seen = image.grad.abs().sum((0, 1)).nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [70, 70]
