"""How often discriminators are right: counted while they judge, and in a run's metrics."""

import csv
from pathlib import Path

import pytest
import torch
from conftest import compose
from torch import Tensor, nn

from uda_seg.commands import train
from uda_seg.components.adversary import FAKE, REAL, Adversary
from uda_seg.components.regions import RegionClassifiers
from uda_seg.evaluation import scores


class Reader(nn.Module):
    """A discriminator whose scores are its inputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


@pytest.mark.parametrize(
    ("gan", "real", "fake", "share"),
    [
        ("vanilla", [-3.0, -0.1, 0.1, -1.0], [2.0, 2.0, 2.0, 2.0], (3 / 4 + 1) / 2),
        ("vanilla", [0.4] * 4, [0.4] * 4, 0.5),
        ("ls", [0.4] * 4, [0.4, 0.6, 0.9, 5.0], (1 + 3 / 4) / 2),
        ("ls", [0.9] * 4, [0.1] * 4, 0.0),
    ],
)
def test_share_of_places_a_discriminator_got_right(
    gan: str, real: list[float], fake: list[float], share: float
) -> None:
    adversary = Adversary(Reader(), gan)
    assert adversary.accuracy is None
    shape = (1, 1, 2, 2)
    loss = adversary.discriminator_loss(
        torch.tensor(real).view(shape), torch.tensor(fake).view(shape)
    )
    assert float(adversary.accuracy) == pytest.approx(share)
    halves = [
        adversary._loss(torch.tensor(scores).view(shape), answer)
        for scores, answer in ((real, REAL), (fake, FAKE))
    ]
    assert float(loss) == pytest.approx(float(sum(halves)) / 2)


@pytest.mark.parametrize("gan", ["vanilla", "ls"])
def test_one_look_serves_both_sides_with_the_gradients_of_two(gan: str) -> None:
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 3))
    passes: list[Tensor] = []
    judge.register_forward_hook(lambda *_: passes.append(_[-1]))
    adversary = Adversary(judge, gan)
    real, made = torch.randn(2, 2, 3, 9, 9).unbind(0)
    made.requires_grad_()
    look = adversary.look(made * 2)
    (1e-3 * adversary.adversarial_loss(look)).backward()
    assert all(weight.grad is None for weight in judge.parameters())
    assert look.copy.grad is None, "the gradient went on to the maker"
    loss = adversary.discriminator_loss(real, look)
    assert made.grad is not None
    fooled = made.grad.clone()
    (1e-3 * loss).backward()
    assert torch.equal(made.grad, fooled)
    assert look.copy.grad is None, "judging asks for no gradient of what is judged"
    assert len(passes) == 2
    judged = [weight.grad for weight in judge.parameters()]

    scores = judge(made * 2)
    (wanted,) = torch.autograd.grad(1e-3 * adversary._loss(scores, REAL), made)
    assert torch.equal(fooled, wanted)
    scores = judge((made * 2).detach())
    halves = adversary._loss(judge(real), REAL), adversary._loss(scores, FAKE)
    wanted = torch.autograd.grad(1e-3 * ((halves[0] + halves[1]) / 2), list(judge.parameters()))
    for ours, theirs in zip(judged, wanted, strict=True):
        assert torch.equal(ours, theirs)


def test_share_of_positions_region_classifiers_got_right() -> None:
    torch.manual_seed(0)
    classifiers = RegionClassifiers(channels=3, regions=2, width=4)
    assert classifiers.accuracy is None
    regions = torch.tensor([[[0, 0, 1], [0, 0, 1]]])  # regions of different size are filled up
    expected = []
    for answer in (0.0, 1.0):
        features = torch.randn(1, 3, 2, 3)
        classifiers.loss(features, regions, answer)
        taken = classifiers.targetness(features, regions) > 0.5
        expected.append((taken == bool(answer)).float().mean())
    assert float(classifiers.accuracy) == pytest.approx(float(sum(expected)) / 2)


def test_a_run_logs_accuracy_and_entropy_and_what_it_ran_on(camvid: Path, tmp_path: Path) -> None:
    words = [
        "backbone=tiny", "source=camvid", "target=camvid", "trainer=cpu", "logger=csv",
        f"source.root={camvid}", f"target.root={camvid}", "source.size=[32,64]",
        "target.size=[32,64]", "trainer.batch_size=2", "trainer.workers=0", "trainer.panels=0",
        "trainer.progress=false", "trainer.log_every=2", "trainer.steps=4",
        "method.discriminator.width=4",
    ]  # fmt: skip
    folder = tmp_path / "run"
    train.run(compose("train", words), folder)
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for level in ("main", "auxiliary"):
        shares = {row["step"]: row[f"discriminator_accuracy/{level}"] for row in rows}
        shares = {step: float(share) for step, share in shares.items() if share}
        assert list(shares) == ["1", "3"]
        assert all(0 <= share <= 1 for share in shares.values())
    entropy = float(rows[-1]["target/entropy"])
    assert 0 < entropy <= 1
    scored = scores.load(folder)
    assert scored["history"][-1]["entropy"] == pytest.approx(entropy, rel=1e-6)
    assert scored["device"] == "cpu"
    assert scored["parameters"].keys() == {"network", "discriminator"}
    assert min(scored["parameters"].values()) > 100
