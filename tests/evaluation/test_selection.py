"""Information maximisation against its definition, and what it rewards."""

import math

import pytest
import torch
from torch.distributions import Categorical

from uda_seg.evaluation import selection
from uda_seg.evaluation.selection import (
    InformationMaximisation,
    SoftNeighbourhoodDensity,
    TeacherAgreement,
)


@pytest.mark.parametrize("cached", [1, 100, 10**6])
def test_equals_the_definition_over_all_images(cached, monkeypatch):
    monkeypatch.setattr(selection, "CACHED", cached)  # from a row at once to all
    logits = 3 * torch.randn(4, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    metric = InformationMaximisation()
    metric.update(logits[:3])
    metric.update(logits[3:])
    each = Categorical(logits=logits.permute(0, 2, 3, 1))
    expected = Categorical(each.probs.mean((0, 1, 2))).entropy() - each.entropy().mean()
    torch.testing.assert_close(metric.compute(), expected)
    torch.testing.assert_close(
        metric.mean_normalised_entropy(), each.entropy().mean() / math.log(5)
    )


def test_confident_and_varied_is_best_and_collapse_is_worst():
    def score(classes: torch.Tensor, sharpness: float) -> float:
        metric = InformationMaximisation(classes=4)
        metric.update(sharpness * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float())
        return float(metric.compute())

    varied, collapsed = torch.arange(16).view(1, 4, 4) % 4, torch.zeros(1, 4, 4, dtype=torch.long)
    assert score(varied, 50) == pytest.approx(math.log(4), abs=1e-4)
    assert score(varied, 50) > score(varied, 1) > score(collapsed, 50)
    assert score(collapsed, 50) == pytest.approx(0, abs=1e-4)
    assert score(varied, 0) == pytest.approx(0, abs=1e-6)


def test_states_are_sums_so_that_processes_add_up():
    logits = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(1))
    whole, first, rest = (InformationMaximisation(classes=4) for _ in range(3))
    whole.update(logits)
    first.update(logits[:1])
    rest.update(logits[1:])
    assert {reduce.__name__ for reduce in first._reductions.values()} == {"dim_zero_sum"}
    for name in first._reductions:
        setattr(first, name, getattr(first, name) + getattr(rest, name))
    torch.testing.assert_close(first.compute(), whole.compute())
    first.reset()
    assert first.images == 0


def test_density_equals_the_definition() -> None:
    logits = torch.randn(2, 5, 32, 32, generator=torch.Generator().manual_seed(0))
    metric = SoftNeighbourhoodDensity()
    metric.update(logits[:1])
    metric.update(logits[1:])
    found = []
    for one in logits.softmax(1).flatten(2).transpose(1, 2):
        likeness = torch.cosine_similarity(one[:, None], one[None], dim=2) / 0.05
        others = ~torch.eye(1024, dtype=torch.bool)
        rows = likeness[others].view(1024, 1023).softmax(1)
        found.append(Categorical(probs=rows).entropy().mean())
    torch.testing.assert_close(metric.compute(), torch.stack(found).mean(), rtol=1e-4, atol=1e-4)


def test_density_is_high_where_pixels_have_many_like_them() -> None:
    def density(classes: torch.Tensor, sharpness: float) -> float:
        metric = SoftNeighbourhoodDensity()
        one_hot = torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
        metric.update(sharpness * one_hot)
        return float(metric.compute())

    two, four = torch.arange(1024).view(1, 32, 32) % 2, torch.arange(1024).view(1, 32, 32) % 4
    assert density(two, 50) == pytest.approx(math.log(511), abs=1e-3)
    assert density(four, 50) == pytest.approx(math.log(255), abs=1e-3)
    assert density(four, 0) == pytest.approx(math.log(1023), abs=1e-3), "all alike"


def test_agreement_is_a_mean_over_images() -> None:
    ours = torch.eye(3)[torch.tensor([[[0, 1], [2, 0]]])].movedim(-1, 1)
    theirs = torch.eye(3)[torch.tensor([[[0, 1], [1, 1]]])].movedim(-1, 1)
    metric = TeacherAgreement()
    metric.update(ours, theirs)
    assert float(metric.compute()) == 0.5
    metric.update(ours, ours)
    assert float(metric.compute()) == 0.75
