"""PIT's losses against loops, what belief does to pixels, and who learns from what."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, make_batch
from torch import Tensor, nn

from uda_seg.batch import IGNORE
from uda_seg.components.expansion import RegionExpansion
from uda_seg.components.pooling import RegionPooling
from uda_seg.components.presence import ABSENT, PRESENT, UNSURE, PresenceClassifier
from uda_seg.losses import masked_binary_cross_entropy, presence_loss, suppression
from uda_seg.methods.pit import PIT
from uda_seg.networks.discriminators import FullyConvolutionalDiscriminator

PIVOT = ("presence_source", "presence_domain", "pooling_source", "pooling_target", "suppression")
ADVERSARY = ("adversarial_main", "discriminator_main")
NAMES = ("segmentation", *PIVOT, "expansion", *ADVERSARY)


def pit(network: Any, without: tuple[str, ...] = ()) -> PIT:
    torch.manual_seed(0)
    return PIT(
        network,
        {name: None if name in without else 1.0 for name in NAMES},
        RegionPooling(4, [1, 2], [0.05, 0.3], "top"),
        RegionExpansion(0.5, 0.3, 2),
        lambda channels, classes, pooling: PresenceClassifier(
            channels, classes, pooling, 6, 0.9, 0.1
        ),
        "vanilla",
        lambda channels: FullyConvolutionalDiscriminator(channels, 4, 0.2),
    )


def believing(method: PIT, presence: list[float]) -> PIT:
    """Its classifier says the same of every region: a probability for each class."""
    assert method.presence is not None
    logits = torch.logit(torch.tensor(presence))
    with torch.no_grad():
        for head in method.presence.heads:
            head.weight.zero_()
            head.bias.copy_(logits.repeat_interleave(len(method.pooling.fractions)))
    return method


def found(method: PIT, batch: Any) -> dict[str, Tensor]:
    return {name: loss for part in method.losses(batch) for name, loss in part.items()}


def test_presence_loss_equals_a_loop() -> None:
    torch.manual_seed(0)
    first, rest = torch.rand(2, 2, 3, 2, 2, 2)
    presence = torch.randint(-1, 2, first.shape)
    present, absent = [], []
    for place in np.ndindex(*first.shape):
        if presence[place] == PRESENT:
            present.append(-math.log(float(first[place])))
        elif presence[place] == ABSENT:
            absent.append(-math.log(1 - float(rest[place])))
    expected = np.mean(present) + np.mean(absent)
    assert float(presence_loss(first, rest, presence)) == pytest.approx(expected, rel=1e-4)


def test_suppression_equals_a_loop() -> None:
    torch.manual_seed(0)
    probabilities = torch.randn(2, 3, 4, 5).softmax(1)
    absent = torch.rand(2, 3, 4, 5) > 0.6
    total = 0.0
    for b, c, y, x in np.ndindex(2, 3, 4, 5):
        if absent[b, c, y, x]:
            total -= math.log(1 - float(probabilities[b, c, y, x]))
    assert float(suppression(probabilities, absent)) == pytest.approx(total / 40, rel=1e-4)


def test_masked_binary_cross_entropy_equals_a_loop() -> None:
    torch.manual_seed(0)
    logits, answers = torch.randn(4, 5), torch.randint(-1, 2, (4, 5))
    losses = [
        -math.log(1 / (1 + math.exp(-float(logits[i]) * (1 if answers[i] else -1))))
        for i in np.ndindex(4, 5)
        if answers[i] != UNSURE
    ]
    ours = masked_binary_cross_entropy(logits, answers)
    assert float(ours) == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize("verdict", [PRESENT, ABSENT, UNSURE])
def test_losses_and_gradients_are_finite_at_certainty(verdict: int) -> None:
    for extreme in (0.0, 1.0):
        scores = torch.full((1, 2, 2, 2), extreme, requires_grad=True)
        verdicts = torch.full(scores.shape, verdict)
        loss = presence_loss(scores, scores, verdicts) + suppression(scores, verdicts == ABSENT)
        loss.backward()
        assert scores.grad is not None
        assert scores.grad.isfinite().all()
        wrong = {PRESENT: 0.0, ABSENT: 1.0, UNSURE: None}[verdict] == extreme
        assert bool(loss.detach() > 10) == wrong
        assert bool(scores.grad.any()) == (verdict != UNSURE), "being sure and wrong has a gradient"


def test_a_perfect_source_prediction_has_no_pooling_loss(network: Any) -> None:
    """Whatever the shares of the classes, and whatever is predicted where there is no label."""
    method, label = pit(network), make_batch().source.label
    label[:, 20:24, :40] = 3
    shares = torch.nn.functional.one_hot(label.where(label != IGNORE, 2), CLASSES)
    logits = 100.0 * shares.permute(0, 3, 1, 2).float()
    losses = []
    for right in (logits, logits.roll(1, 1)):
        network.predict = lambda image, right=right: make_prediction(right)
        batch = make_batch()
        batch.source.label = label
        losses.append(float(found(method, batch)["pooling_source"].detach()))
    assert losses[0] < 1e-4 < 0.5 < losses[1]


def make_prediction(logits: Tensor) -> Any:
    from uda_seg.networks.prediction import Prediction

    return Prediction(logits, torch.zeros(len(logits), 8, 16, 32))


def touched(loss: Tensor, module: nn.Module) -> bool:
    if not loss.requires_grad:
        return False
    gradients = torch.autograd.grad(
        loss, list(module.parameters()), retain_graph=True, allow_unused=True
    )
    return any(g is not None and bool(g.any()) for g in gradients)


def test_each_loss_reaches_exactly_its_players(network: Any) -> None:
    """The presence classifier learns by itself alone: its gradient ends at the features."""
    method = believing(pit(network), [0.95, 0.95, 0.05, 0.5])
    losses = found(method, make_batch())
    assert method.presence is not None
    assert method.adversary is not None
    players = {"network": network, "presence": method.presence, "discriminator": method.adversary}
    for name, loss in losses.items():
        own = {"presence_source": "presence", "presence_domain": "presence"}
        player = own.get(name, "discriminator" if name.startswith("discriminator") else "network")
        for other, module in players.items():
            assert touched(loss, module) == (other == player), (name, other)


def test_losses_that_share_a_graph_come_together(network: Any) -> None:
    parts = [list(part) for part in pit(network).losses(make_batch())]
    assert parts == [
        ["segmentation", "pooling_source"],
        ["pooling_target", "suppression", "expansion", "adversarial_main"],
        ["presence_source", "presence_domain"],
        ["discriminator_main"],
    ]


def test_a_step_gives_believed_classes_pixels_and_takes_them_from_absent_ones(network: Any) -> None:
    method = believing(pit(network), [0.95, 0.5, 0.05, 0.5])
    batch = make_batch()
    network.eval()

    def share(of: int) -> float:
        with torch.no_grad():
            return float(network(batch.target.image, "target").logits.softmax(1)[:, of].mean())

    before = share(0), share(2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(2):
        losses = found(method, batch)
        optimizer.zero_grad()
        sum(losses[k] for k in ("pooling_target", "suppression", "expansion")).backward()
        optimizer.step()
    assert share(0) > before[0] + 0.01
    assert share(2) < before[1] - 0.01


def test_absent_classes_have_no_label_and_all_others_may_grow(network: Any) -> None:
    target = make_batch().target
    free = set(pit(network, PIVOT).color_pictures(target)["grown"].unique().tolist())
    predicted = set(network(target.image).logits.argmax(1).unique().tolist())
    assert len(predicted) > 1
    assert free - {IGNORE} == predicted, "without a pivot, every predicted class may grow"
    unsure = believing(pit(network), [0.5] * CLASSES).color_pictures(target)["grown"]
    assert set(unsure.unique().tolist()) == free, "a class need not be believed present"
    for kept in predicted:
        presence = [0.95 if c == kept else 0.05 for c in range(CLASSES)]
        grown = believing(pit(network), presence).color_pictures(target)["grown"]
        assert set(grown.unique().tolist()) <= {kept, IGNORE}
    nothing = believing(pit(network), [0.05] * CLASSES).color_pictures(target)["grown"]
    assert nothing.eq(IGNORE).all()


def test_pseudo_labels_are_those_of_the_grown_regions(network: Any) -> None:
    target = make_batch().target
    pseudo, grown = pit(network).pseudo_label(target), pit(network).color_pictures(target)["grown"]
    assert pseudo is not None
    times = target.image.shape[-1] // grown.shape[-1]
    wide = grown.repeat_interleave(times, 1).repeat_interleave(times, 2)
    assert torch.equal(pseudo.label, wide)
    assert torch.equal(pseudo.weight > 0, wide != IGNORE)
    assert pit(network, ("expansion",)).pseudo_label(target) is None


def test_without_labels_or_belief_the_transfer_is_silent(network: Any) -> None:
    batch = make_batch()
    batch.source.label.fill_(IGNORE)
    losses = found(believing(pit(network), [0.5] * CLASSES), batch)
    silent = ("segmentation", "presence_source", "pooling_source", "pooling_target", "suppression")
    for name in silent:
        assert float(losses[name].detach()) == 0, name
    for loss in losses.values():
        loss.backward(retain_graph=True)
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(
    ("without", "players"),
    [
        (PIVOT, {"network", "discriminator"}),
        (("expansion",), {"network", "presence", "discriminator"}),
        (ADVERSARY, {"network", "presence"}),
        ((*PIVOT, "expansion", *ADVERSARY), {"network"}),
    ],
)
def test_ablations_have_the_losses_and_players_they_are_named_after(
    network: Any, without: tuple[str, ...], players: set[str]
) -> None:
    method = pit(network, without)
    assert set(found(method, make_batch())) == set(NAMES) - set(without)
    assert set(method.players()) == players


def test_certainty_is_shown_where_there_is_some(network: Any) -> None:
    method = believing(pit(network), [0.95, 0.05, 0.05, 0.5])
    pictures = method.pictures(make_batch().target)
    assert pictures["sure_of_presence"].unique().tolist() == [0.75]
    assert 0 < float(pictures["grown_region"].mean()) <= 1
