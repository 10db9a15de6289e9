"""Counts, means and painted values of superpixels, beside computations written as loops."""

import pytest
import torch

from uda_seg.batch import IGNORE
from uda_seg.components.superpixels import counts, dominant, mean_features, paint

BATCH, HEIGHT, WIDTH, MOST, CLASSES = 2, 11, 14, 9, 4


@pytest.fixture
def superpixels() -> torch.Tensor:
    """Ragged regions and padding; not every number occurs."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(-1, MOST - 1, (BATCH, HEIGHT, WIDTH), generator=generator)
    numbers[:, :, -2:] = -1
    numbers[0][numbers[0] == 3] = 2
    return numbers


@pytest.fixture
def prediction() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(0, CLASSES, (BATCH, HEIGHT, WIDTH), generator=generator)
    classes[:, :2, :5] = IGNORE
    return classes


def pixels():
    return ((b, y, x) for b in range(BATCH) for y in range(HEIGHT) for x in range(WIDTH))


def test_counts_are_those_of_a_loop(prediction, superpixels):
    expected = torch.zeros(BATCH, MOST, CLASSES, dtype=torch.long)
    for b, y, x in pixels():
        if superpixels[b, y, x] >= 0 and prediction[b, y, x] != IGNORE:
            expected[b, superpixels[b, y, x], prediction[b, y, x]] += 1
    assert torch.equal(counts(prediction, superpixels, CLASSES, MOST), expected)
    assert expected.sum() > 100


def test_a_number_beyond_the_table_is_refused(prediction, superpixels):
    with pytest.raises(ValueError, match=f"superpixel {MOST - 2} .* at most {MOST - 2}"):
        counts(prediction, superpixels, CLASSES, MOST - 2)


def test_dominant_is_the_first_of_the_most_frequent():
    table = torch.tensor([[[1, 6, 1], [0, 0, 0]], [[2, 0, 2], [0, 0, 5]]])
    chosen, share = dominant(table)
    assert chosen.tolist() == [[1, IGNORE], [0, 2]]
    assert share.tolist() == [[0.75, 0], [0.5, 1]]


@pytest.mark.parametrize("size", [(11, 14), (3, 4), (1, 1), (22, 7)])
def test_pooled_features_are_means_over_pixels(superpixels, size):
    features = torch.randn(BATCH, 5, *size, generator=torch.Generator().manual_seed(2))
    sums, areas = torch.zeros(BATCH, MOST, 5), torch.zeros(BATCH, MOST, 1)
    for b, y, x in pixels():
        if superpixels[b, y, x] >= 0:
            cell = features[b, :, y * size[0] // HEIGHT, x * size[1] // WIDTH]
            sums[b, superpixels[b, y, x]] += cell
            areas[b, superpixels[b, y, x]] += 1
    means = mean_features(features, superpixels, MOST)
    torch.testing.assert_close(means, sums / areas.clamp(min=1))
    assert torch.equal(means[0, 3], torch.zeros(5))


def test_a_superpixel_smaller_than_a_cell_keeps_its_features():
    superpixels = torch.zeros(1, 16, 16, dtype=torch.long)
    superpixels[0, 9, 13] = 1
    features = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    assert mean_features(features, superpixels, 2)[0, 1].item() == 3


def test_half_precision_features_are_summed_in_single():
    """2048 halves would stop to grow at 2048."""
    features = torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)
    means = mean_features(features, torch.zeros(1, 64, 64, dtype=torch.long), 1)
    assert means.dtype == torch.float32
    assert means.item() == 1


@pytest.mark.parametrize(
    ("table", "outside"),
    [
        (torch.rand(BATCH, MOST), -1.0),
        (torch.arange(BATCH * MOST).view(BATCH, MOST), IGNORE),
        (torch.arange(BATCH * MOST).view(BATCH, MOST) % 2 == 0, False),
    ],
)
def test_painted_values_are_those_of_a_loop(superpixels, table, outside):
    painted = paint(table, superpixels, outside)
    assert painted.dtype == table.dtype
    for b, y, x in pixels():
        number = superpixels[b, y, x]
        assert painted[b, y, x] == (table[b, number] if number >= 0 else outside)
