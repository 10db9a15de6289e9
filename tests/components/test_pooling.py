"""Scores of regions against loops over cells, classes and ranks."""

import numpy as np
import pytest
import torch
from torch import Tensor

from uda_seg.components.pooling import RegionPooling, split, spread
from uda_seg.losses import presence_loss


def by_hand(maps: Tensor, grid: int, fraction: float, form: str) -> Tensor:
    """(2, B, C, g, g): every cell's positions sorted and weighed one by one."""
    batch, classes, height, width = maps.shape
    scores = torch.zeros(2, batch, classes, grid, grid)
    for b, c, row, column in np.ndindex(batch, classes, grid, grid):
        values = sorted(
            (
                float(maps[b, c, y, x])
                for y in range(row * height // grid, (row + 1) * height // grid)
                for x in range(column * width // grid, (column + 1) * width // grid)
            ),
            reverse=True,
        )
        count = max(1, round(fraction * len(values)))
        if form == "top":
            first, rest = values[:count], values[count:]
            scores[0, b, c, row, column] = sum(first) / count
            scores[1, b, c, row, column] = sum(rest) / len(rest) if rest else 0
        else:
            base = 0.5 ** (1 / count)
            falling = [base**rank for rank in range(len(values))]
            for side, weights in enumerate((falling, [1 - weight for weight in falling])):
                weighed = sum(w * v for w, v in zip(weights, values, strict=True))
                scores[side, b, c, row, column] = weighed / sum(weights)
    return scores


@pytest.mark.parametrize("form", ["top", "ranked"])
def test_scores_equal_a_loop_at_every_level(form: str) -> None:
    torch.manual_seed(0)
    pooling = RegionPooling(1, [1, 2, 4], [0.01, 0.2, 0.6, 1.0], form)
    maps = torch.rand(2, 3, 8, 12)
    for grid, scores in zip(pooling.grids, pooling.scores(maps), strict=True):
        assert scores.first.shape == (2, 3, 4, grid, grid)
        for number, fraction in enumerate(pooling.fractions):
            first, rest = by_hand(maps, grid, fraction, form)
            torch.testing.assert_close(scores.first[:, :, number], first)
            torch.testing.assert_close(scores.rest[:, :, number], rest)


def test_what_a_class_fills_tells_a_perfect_prediction_on_both_sides() -> None:
    """Of 16 positions 4: they fill an eighth and a quarter, so all first ones are the class's; not
    a half, so none of the rest is.
    """
    maps = torch.zeros(1, 1, 4, 4)
    maps[0, 0, 2] = 1
    first, rest = RegionPooling(1, [1], [0.125, 0.25, 0.5], "top").scores(maps)[0]
    assert first.flatten().tolist() == [1.0, 1.0, 0.5]
    assert rest.flatten().tolist() == pytest.approx([2 / 14, 0, 0])


def test_a_class_that_is_sure_everywhere_scores_no_more_than_one() -> None:
    # As pit.yaml pools crops of 144x192: the plain sums round to 1.000004.
    pooling = RegionPooling(4, (1, 2, 4), (0.002, 0.05, 0.25), "top")
    levels = pooling.scores(torch.ones(1, 1, *pooling.size(144, 192)))
    assert max(score.max().item() for level in levels for score in level) == 1
    first, rest = levels[0]
    assert presence_loss(first, rest, torch.zeros_like(rest)).isfinite()


def test_half_of_the_ranked_weight_lies_on_the_fraction() -> None:
    weights = RegionPooling(1, [1], [0.1], "ranked").weights(1000)[0, 0]
    assert float(weights[:100].sum()) == pytest.approx(0.5, abs=1e-3)


def test_ranks_weigh_as_in_sec() -> None:
    """Its base is 0.996, on maps of 41x41."""
    weights = RegionPooling(1, [1], [0.103], "ranked").weights(41 * 41)[0, 0]
    assert float(weights[1] / weights[0]) == pytest.approx(0.996, abs=1e-4)


def test_the_gradient_goes_to_the_positions_that_count() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4).div(16).requires_grad_()
    scores = RegionPooling(1, [1], [0.125], "top").scores(maps)[0]
    for score, places in ((scores.first, [14, 15]), (scores.rest, list(range(14)))):
        (gradient,) = torch.autograd.grad(score.sum(), maps, retain_graph=True)
        assert gradient.flatten().nonzero().flatten().tolist() == places


@pytest.mark.parametrize(
    ("size", "expected"), [((128, 256), (32, 64)), ((30, 50), (8, 12)), ((5, 9), (4, 4))]
)
def test_positions_fill_whole_cells(size: tuple[int, int], expected: tuple[int, int]) -> None:
    pooling = RegionPooling(4, [1, 2, 4], [0.1], "top")
    assert pooling.size(*size) == expected
    assert pooling.reduce(torch.ones(1, 1, *size)).shape[2:] == expected


def test_positions_are_means_of_their_pixels() -> None:
    maps = torch.rand(1, 2, 8, 8)
    reduced = RegionPooling(4, [1, 2], [0.1], "top").reduce(maps)
    assert float(reduced[0, 1, 0, 1]) == pytest.approx(float(maps[0, 1, :4, 4:].mean()))


def test_cells_are_split_and_spread_alike() -> None:
    cells = torch.arange(8).view(1, 2, 2, 2)
    maps = spread(cells, (4, 6))
    assert maps[0, 0].tolist() == [[0, 0, 0, 1, 1, 1]] * 2 + [[2, 2, 2, 3, 3, 3]] * 2
    assert torch.equal(split(maps, 2), cells[..., None].expand(-1, -1, -1, -1, 6))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"form": "median"}, "'median' is unknown"),
        ({"grids": [1, 2, 3]}, "must divide the largest"),
        ({"fractions": [0.5, 0.1]}, "must grow"),
        ({"fractions": [0.5, 1.5]}, "at most 1"),
        ({"fractions": []}, "must grow"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict, complaint: str) -> None:
    settings = {"stride": 4, "grids": [1, 2], "fractions": [0.1], "form": "top"}
    with pytest.raises(ValueError, match=complaint):
        RegionPooling(**(settings | changes))
