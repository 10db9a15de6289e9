"""Seeds and grown regions against loops over positions."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from uda_seg.batch import IGNORE
from uda_seg.components.expansion import RegionExpansion


def probabilities() -> Tensor:
    torch.manual_seed(0)
    return (3 * torch.randn(2, 3, 5, 6)).softmax(1)


def by_hand(given: Tensor, possible: Tensor, settings: tuple[float, float, int]) -> np.ndarray:
    """Labels (B, h, w): seeds one class at a time, grown by looking at neighbors."""
    portion, through, steps = settings
    steered = (given * possible / (given * possible).sum(1, keepdim=True).clamp(min=1e-6)).numpy()
    raw = given.numpy()
    batch, classes, height, width = given.shape
    grown = np.zeros(given.shape, bool)
    for c in range(classes):
        own = [
            (raw[b, c, y, x], b, y, x)
            for b, y, x in np.ndindex(batch, height, width)
            if raw[b, :, y, x].argmax() == c and possible[b, c, y, x]
        ]
        for _, b, y, x in sorted(own, reverse=True)[: math.ceil(portion * len(own))]:
            grown[b, c, y, x] = True
        for _ in range(steps):
            before = grown[:, c].copy()
            for b, y, x in np.ndindex(batch, height, width):
                near = before[b, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].any()
                if near and steered[b, c, y, x] >= through:
                    grown[b, c, y, x] = True
    label = np.full((batch, height, width), IGNORE)
    for b, y, x in np.ndindex(batch, height, width):
        reached = [(steered[b, c, y, x], c) for c in range(classes) if grown[b, c, y, x]]
        if reached:
            label[b, y, x] = max(reached)[1]
    return label


@pytest.mark.parametrize("settings", [(0.2, 0.3, 2), (0.5, 0.5, 1), (1.0, 0.1, 9), (0.1, 0.4, 0)])
def test_labels_equal_a_loop(settings: tuple[float, float, int]) -> None:
    given = probabilities()
    possible = torch.rand(given.shape) > 0.4
    label = RegionExpansion(*settings)(given, possible)
    np.testing.assert_array_equal(label, by_hand(given, possible, settings))
    assert {0, 1, 2} <= set(label.unique().tolist())


def test_seeds_are_balanced_over_classes() -> None:
    """A rare, hesitant class has as large a portion of its positions as a frequent, sure one."""
    given = torch.zeros(1, 2, 1, 10)
    given[0, 0] = torch.tensor([[0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.93, 0.92, 0.45, 0.40]])
    given[0, 1] = 1 - given[0, 0]
    everywhere = torch.ones_like(given, dtype=torch.bool)
    seeds = RegionExpansion(0.5, 0.5, 0).seeds(given, everywhere)
    assert seeds.sum((0, 2, 3)).tolist() == [4, 1]
    assert seeds[0, 1, 0, 9]


def test_a_region_grows_as_far_as_it_is_let_and_around_what_is_improbable() -> None:
    row = torch.tensor([0.9, 0.6, 0.6, 0.6, 0.2, 0.6])
    given = torch.stack([row, 1 - row])[None, :, None]
    possible = torch.ones_like(given, dtype=torch.bool)
    for steps, end in ((0, 1), (2, 3), (9, 4)):
        label = RegionExpansion(0.1, 0.5, steps)(given, possible)[0, 0]
        assert label.tolist() == [0] * end + [IGNORE] * (4 - end) + [1, IGNORE]


def test_belief_steers_positions_of_an_absent_class_to_a_region_that_reaches_them() -> None:
    """The second and third position are predicted as class 0, which is absent."""
    given = torch.tensor([[0.1, 0.6, 0.6], [0.8, 0.3, 0.1], [0.1, 0.1, 0.3]]).view(1, 3, 1, 3)
    possible = torch.tensor([False, True, True]).view(1, 3, 1, 1).expand_as(given)
    label = RegionExpansion(0.5, 0.5, 2)(given, possible)
    assert label.flatten().tolist() == [1, 1, IGNORE], "class 1 is next best in the second alone"


def test_nothing_grows_where_no_class_is_possible() -> None:
    given = probabilities()
    none, every = (torch.full(given.shape, value) for value in (False, True))
    assert RegionExpansion(0.5, 0.1, 5)(given, none).eq(IGNORE).all()
    assert not RegionExpansion(0.5, 0.1, 5)(given, every).eq(IGNORE).all()


def test_a_portion_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"portion: 0.0"):
        RegionExpansion(0.0, 0.5, 1)
