"""Layouts of labels, and the descriptors that are made like them."""

from unittest import mock

import numpy as np
import pytest
import torch
from conftest import make_network

from uda_seg.batch import IGNORE
from uda_seg.evaluation import enlarged
from uda_seg.evaluation.enlarged import Enlarged, each_of
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small
from uda_seg.retrieval import layout as module
from uda_seg.retrieval.descriptors import describe, pyramid
from uda_seg.retrieval.layout import CELLS, WEIGHTS, cells, layout, layout_similarities

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("size", [(9, 9), (16, 20), (3, 4), (128, 256)])
def test_cells_of_a_level_meet_every_pixel_once(size):
    found = list(cells(*size))
    assert len(found) == CELLS == 10
    whole, thirds = np.zeros(size, int), np.zeros(size, int)
    whole[found[0]] += 1
    for place in found[1:]:
        thirds[place] += 1
    assert (whole == 1).all()
    assert (thirds == 1).all()
    assert WEIGHTS.sum() == pytest.approx(1)
    assert WEIGHTS[0] == pytest.approx(WEIGHTS[1:].sum())


def test_layout_and_similarity_equal_loops():
    labels = RANDOM.integers(0, 5, (2, 12, 15)).astype(np.uint8)
    labels[0, :2] = IGNORE
    counted = [0, 2, 4]
    ours = [layout(label, counted, 5) for label in labels]
    total = 0.0
    for place, where in enumerate(cells(12, 15)):
        common = 0.0
        for name in range(5):
            shares = []
            for label in labels:
                pixels = [p for p in label[where].ravel().tolist() if p in counted]
                shares.append(pixels.count(name) / len(pixels) if name in counted else 0)
            assert [one[place, name] for one in ours] == pytest.approx(shares)
            common += min(shares)
        total += WEIGHTS[place] * common
    assert layout_similarities(ours[0][None], ours[1][None])[0] == pytest.approx([total])


def test_similarity_of_the_same_of_the_opposite_and_of_nothing():
    label = RANDOM.integers(0, 3, (9, 9)).astype(np.uint8)
    other, bare = np.full((9, 9), 3, np.uint8), np.full((9, 9), IGNORE, np.uint8)
    one, opposite, nothing = (layout(x, range(4), 4) for x in (label, other, bare))
    found = layout_similarities(one[None], np.stack([one, opposite, nothing]))[0]
    assert found[:2] == pytest.approx([1, 0])
    assert np.isnan(found[2])


def test_cells_without_a_label_are_left_out():
    label = np.zeros((9, 9), np.uint8)
    half = label.copy()
    half[:3] = IGNORE  # the upper row of cells
    pair = layout(label, [0, 1], 2), layout(half, [0, 1], 2)
    assert layout_similarities(pair[0][None], pair[1][None])[0] == pytest.approx([1])


def test_similarities_of_many_are_those_of_each_and_ties_stay_ties(monkeypatch):
    shares = RANDOM.random((10, CELLS, 3)).astype(np.float32)
    shares[RANDOM.random(shares.shape[:2]) < 0.3] = 0
    shares[5:9] = shares[1:5]
    monkeypatch.setattr(module, "TOGETHER", 5)
    found = layout_similarities(shares[:4], shares)
    alone = [[layout_similarities(a[None], b[None])[0, 0] for b in shares] for a in shares[:4]]
    np.testing.assert_allclose(found, alone, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 5:9], found[:, 1:5])


def test_position_counts():
    left, right = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    left[:, :3], right[:, 6:] = 1, 1
    one, other = layout(left, [0, 1], 2), layout(right, [0, 1], 2)
    assert layout_similarities(one[None], other[None])[0] == pytest.approx([0.5 + 0.5 / 3])


def test_pyramid_of_certain_predictions_is_the_labels_layout():
    label = RANDOM.integers(0, 4, (13, 17)).astype(np.uint8)
    certain = torch.nn.functional.one_hot(torch.from_numpy(label).long(), 4).permute(2, 0, 1)
    found = pyramid(1000 * certain[None].float()).reshape(CELLS, 4).numpy()
    expected = layout(label, range(4), 4) * np.sqrt(WEIGHTS)[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_descriptors_are_of_length_1_and_do_not_depend_on_the_batch():
    network = make_network(depth_head=False).eval()
    image = torch.rand(3, 3, 32, 48)
    together = describe(network, image, "target")
    assert set(together) == {"features", "classes"}
    assert together["classes"].shape == (3, CELLS * 4)
    for name, vectors in together.items():
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
        alone = torch.cat([describe(network, one[None], "target")[name] for one in image])
        torch.testing.assert_close(alone, vectors)


def test_a_pyramid_is_made_by_rows_as_of_the_whole():
    """Logits of 64x96 pixels that wait at a quarter of the sides, ten rows at a time."""
    torch.manual_seed(0)
    small = Small(torch.randn(2, 4, 16, 24), (64, 96), align_corners=False)
    prediction = Prediction(small, torch.zeros(2, 3, 1, 1))
    for waiting, whole in zip(each_of(prediction), prediction.logits.split(1), strict=True):
        assert isinstance(waiting, Enlarged)
        with mock.patch.object(enlarged, "CACHED", 10 * 4 * 96):
            assert len(list(waiting.parts())) > 3
            torch.testing.assert_close(pyramid(waiting), pyramid(whole))


def test_features_are_averaged_over_the_image():
    maps = torch.arange(24.0).reshape(1, 2, 3, 4)
    logits = torch.zeros(1, 4, 6, 8)

    def network(image, domain):
        return Prediction(logits, maps)

    found = describe(network, torch.zeros(1, 3, 6, 8), "source")["features"][0]
    mean = np.array([maps[0, 0].mean(), maps[0, 1].mean()])
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), rtol=1e-6)
