"""Presence from labels and from belief, against loops; the classifier's two sides."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from uda_seg.batch import IGNORE
from uda_seg.components.pooling import RegionPooling
from uda_seg.components.presence import (
    ABSENT,
    PRESENT,
    UNSURE,
    PresenceClassifier,
    class_shares,
    somewhere,
    true_presence,
)

CLASSES = 3


def pooling(fractions: list[float]) -> RegionPooling:
    return RegionPooling(2, [1, 2], fractions, "top")


def labels() -> Tensor:
    """Blocks; a cell without a label, one with little, one with a single pixel of class 2."""
    torch.manual_seed(0)
    label = torch.randint(2, (3, 4, 6)).repeat_interleave(2, 1).repeat_interleave(2, 2)
    label[0, :4, :6] = IGNORE
    label[1, :4, 2:6] = IGNORE
    label[2, 6, 9] = 2
    return label


def verdicts(label: Tensor, grid: int, fraction: float, regions: RegionPooling) -> np.ndarray:
    """(B, C, g, g), counted pixel by pixel."""
    answers = np.zeros((len(label), CLASSES, grid, grid), int)
    rows, columns = label.shape[1] // grid, label.shape[2] // grid
    for b, c, y, x in np.ndindex(*answers.shape):
        cell = label[b, y * rows : (y + 1) * rows, x * columns : (x + 1) * columns]
        known, count = int((cell != IGNORE).sum()), int((cell == c).sum())
        positions = cell.numel() // regions.stride**2
        least = max(1, round(fraction * positions)) / positions
        if known < cell.numel() / 2:
            answers[b, c, y, x] = UNSURE
        else:
            answers[b, c, y, x] = PRESENT if count / cell.numel() >= least else ABSENT
    return answers


def test_true_presence_equals_a_loop_over_cells() -> None:
    label, regions = labels(), pooling([0.02, 0.3, 0.7])
    shares, seen = class_shares(label, CLASSES, regions), set()
    for grid, ours in zip(regions.grids, true_presence(shares, regions), strict=True):
        for number, fraction in enumerate(regions.fractions):
            expected = verdicts(label, grid, fraction, regions)
            np.testing.assert_array_equal(ours[:, :, number], expected)
            seen |= set(expected.flatten().tolist())
    assert seen == {PRESENT, ABSENT, UNSURE}


def test_ignored_pixels_belong_to_no_class() -> None:
    """A position with one ignored pixel out of four."""
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    label[0, 0, 0] = IGNORE
    shares = class_shares(label, CLASSES, pooling([0.1]))
    assert shares[0, :, 0, 0].tolist() == [0.75, 0, 0]
    assert shares[0, :, 1, 1].tolist() == [1, 0, 0]


def test_nothing_is_known_without_labels() -> None:
    label = torch.full((2, 8, 12), IGNORE)
    regions = pooling([0.1])
    shares = class_shares(label, CLASSES, regions)
    assert not shares.any()
    for answers in true_presence(shares, regions):
        assert answers.eq(UNSURE).all()


def classifier(fractions: list[float]) -> PresenceClassifier:
    torch.manual_seed(0)
    return PresenceClassifier(5, CLASSES, pooling(fractions), 4, 0.7, 0.3)


def test_answers_have_a_place_for_every_class_fraction_and_cell() -> None:
    answers = classifier([0.1, 0.5])(torch.randn(2, 5, 7, 9))
    assert [a.shape for a in answers] == [(2, CLASSES, 2, 1, 1), (2, CLASSES, 2, 2, 2)]


def test_before_it_has_learnt_it_is_sure_of_nothing() -> None:
    for belief in classifier([0.1, 0.5]).believe(100 * torch.randn(2, 5, 7, 9)):
        assert belief.eq(UNSURE).all()


def test_a_cell_is_judged_by_its_own_features() -> None:
    features = torch.randn(1, 5, 6, 8)
    other = features.clone()
    other[:, :, :3, :4] += 1
    model = classifier([0.1])
    nn.init.normal_(model.heads[1].weight)
    difference = (model(features)[1] - model(other)[1]).abs().sum((0, 1, 2))
    assert (difference > 0).tolist() == [[True, False], [False, False]]


def test_belief_needs_confidence() -> None:
    model = classifier([0.1, 0.5])
    for head in model.heads:
        nn.init.zeros_(head.weight)
    probabilities = [[0.9, 0.6], [0.5, 0.1], [0.2, 0.75]]  # of class, fraction
    with torch.no_grad():
        for head in model.heads:
            head.bias.copy_(torch.logit(torch.tensor(probabilities)).flatten())
    expected = [[PRESENT, UNSURE], [UNSURE, ABSENT], [ABSENT, PRESENT]]
    for belief in model.believe(torch.randn(2, 5, 4, 4)):
        assert belief[1, :, :, 0, 0].tolist() == expected
        assert (belief == belief[:1, :, :, :1, :1]).all()


def test_a_verdict_of_any_level_covers_its_positions() -> None:
    coarse = torch.full((1, 2, 1, 1, 1), UNSURE)
    fine = torch.full((1, 2, 1, 2, 2), UNSURE)
    coarse[0, 1] = ABSENT
    fine[0, 0, 0, 1, 0] = ABSENT
    fine[0, 1, 0, 0, 0] = PRESENT
    absent = somewhere([coarse, fine], ABSENT, (2, 4))
    assert absent[0, 0].tolist() == [[False] * 4, [True, True, False, False]]
    assert absent[0, 1].all()
    present = somewhere([coarse, fine], PRESENT, (2, 4))
    assert present[0, 1].tolist() == [[True, True, False, False], [False] * 4]


def test_the_hidden_layer_climbs_what_the_discriminator_descends() -> None:
    model = classifier([0.1])
    source, target = torch.randn(3, 5, 4, 4), torch.randn(3, 5, 4, 4) + 1
    before = model.domain_loss(source, target)
    before.backward()
    assert all(p.grad is None for p in model.heads.parameters())
    for part, sign in ((model.hidden, -1), (model.domain, 1)):
        for parameter in part.parameters():
            moved = parameter.detach().clone()
            with torch.no_grad():
                parameter -= 0.01 * parameter.grad
                change = model.domain_loss(source, target) - before
                parameter.copy_(moved)
            assert float(change) * sign < 0


def test_thresholds_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match=r"absent_below 0.7 and present_above 0.3"):
        PresenceClassifier(5, CLASSES, pooling([0.1]), 4, 0.3, 0.7)
