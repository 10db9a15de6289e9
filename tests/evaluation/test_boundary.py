"""Boundary IoU against its definition, written pixel by pixel, and by hand."""

import math

import numpy as np
import pytest

from uda_seg.batch import IGNORE
from uda_seg.evaluation.boundary import BoundaryIoU, band


def near_the_end(mask: np.ndarray, pixels: int) -> np.ndarray:
    height, width = mask.shape
    found = np.zeros_like(mask)
    for y, x in zip(*np.nonzero(mask), strict=True):
        for v in range(y - pixels, y + pixels + 1):
            for u in range(x - pixels, x + pixels + 1):
                outside = not (0 <= v < height and 0 <= u < width)
                found[y, x] |= outside or not mask[v, u]
    return found


@pytest.mark.parametrize("pixels", [1, 2])
def test_a_band_is_what_lies_near_the_end(pixels: int) -> None:
    mask = np.kron(np.random.default_rng(0).random((4, 5)) > 0.4, np.ones((4, 4), bool))
    assert np.array_equal(band(mask, pixels), near_the_end(mask, pixels))


def test_equals_the_definition_over_all_images() -> None:
    random, metric = np.random.default_rng(1), BoundaryIoU(3, width=0.06)
    both, either = np.zeros(4), np.zeros(4)
    for _ in range(3):
        maps = [np.kron(random.integers(0, 3, (4, 5)), np.ones((5, 5), int)) for _ in range(2)]
        prediction, label = maps
        label[:4, :6] = IGNORE
        label[-4:, -4:] = 3  # a class that only labels have
        metric.update(prediction, label)
        counts, pixels = label < 3, round(0.06 * math.hypot(20, 25))
        for number in range(3):
            found, true = (
                near_the_end((chosen == number) & counts, pixels) for chosen in (prediction, label)
            )
            both[number] += (found & true).sum()
            either[number] += (found | true).sum()
    assert metric.iou() == pytest.approx(100 * both[:3] / either[:3])
    assert metric.miou() == pytest.approx(np.mean(100 * both[:3] / either[:3]))


def test_it_sees_edges_that_iou_hardly_sees() -> None:
    label = np.zeros((100, 100), int)
    label[20:80, 20:80] = 1
    shrunk = np.zeros_like(label)
    shrunk[22:78, 22:78] = 1
    metric = BoundaryIoU(2, width=0.02)
    metric.update(shrunk, label)
    iou = 100 * 56**2 / 60**2
    bands = [60**2 - 54**2, 56**2 - 50**2]
    shared = 56**2 - 54**2
    assert iou > 87
    assert metric.iou()[1] == pytest.approx(100 * shared / (sum(bands) - shared))
    assert metric.iou()[1] < 22


def test_a_class_of_nothing_is_no_number() -> None:
    metric = BoundaryIoU(3)
    metric.update(np.zeros((4, 4), int), np.zeros((4, 4), int))
    assert metric.iou()[0] == 100
    assert np.isnan(metric.iou()[1:]).all()
    assert metric.miou() == 100
