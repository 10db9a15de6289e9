"""Columns as sequences of pieces, beside loops over columns and pixels."""

import math
from itertools import pairwise

import pytest
import torch

from uda_seg.batch import IGNORE, NO_SUPERPIXEL
from uda_seg.components.image_columns import Columns, source_columns, target_columns

CLASSES, HEIGHT, WIDTH = 4, 37, 26


def middles(count: int) -> list[int]:
    return [int((number + 0.5) * WIDTH / count) for number in range(count)]


def runs(values: list[int]) -> list[tuple[int, int]]:
    """(value, how often in a row), from top to bottom."""
    found: list[tuple[int, int]] = []
    for value in values:
        if found and found[-1][0] == value:
            found[-1] = (value, found[-1][1] + 1)
        else:
            found.append((value, 1))
    return found


def cut(length: int, highest: float) -> list[int]:
    """As few parts as possible, which differ by one pixel at most."""
    parts = math.ceil(length / highest)
    edges = [math.ceil(number * length / parts) for number in range(parts + 1)]
    return [after - before for before, after in pairwise(edges)]


def check(columns: Columns, expected: list[list[tuple[int, float, int]]]) -> None:
    """Against lists of (class, height, superpixel)."""
    longest = max(map(len, expected))
    assert columns.classes.shape == (len(expected), longest)
    assert columns.lengths.tolist() == [len(pieces) for pieces in expected]
    for row, pieces in enumerate(expected):
        padded = pieces + [(IGNORE, 0.0, NO_SUPERPIXEL)] * (longest - len(pieces))
        classes, heights, superpixels = zip(*padded)
        assert columns.classes[row].tolist() == list(classes)
        assert columns.superpixels[row].tolist() == list(superpixels)
        torch.testing.assert_close(columns.heights[row], torch.tensor(heights))


def label(seed: int = 0) -> torch.Tensor:
    """(2, H, W): tall and short runs, void, and padding at a corner."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(0, CLASSES, (2, HEIGHT, WIDTH), generator=generator)
    rows[0, :30] = rows[0, :3].repeat_interleave(10, 0)
    rows[1, 20:] = 1
    rows[:, 5:11, 3:9] = IGNORE
    rows[1, 30:, 20:] = IGNORE
    return rows


@pytest.mark.parametrize("segments", [6, 40, 5000])
@pytest.mark.parametrize("count", [1, 7, 26, 90])
def test_source_columns_are_those_of_a_loop(segments, count):
    labels = label()
    highest = max(1.0, math.sqrt(HEIGHT * WIDTH / segments))
    expected = [
        [
            (value, height / HEIGHT, NO_SUPERPIXEL)
            for value, length in runs(image[:, x].tolist())
            for height in cut(length, highest)
        ]
        for image in labels
        for x in middles(min(count, WIDTH))
    ]
    check(source_columns(labels, None, count, segments), expected)
    assert any(value == IGNORE for pieces in expected for value, *_ in pieces) or count == 1


def test_pieces_of_a_crop_are_as_high_as_the_full_image_s():
    """Of a crop that is a half high and a quarter wide; and of a full image, mirrored."""
    labels = label()
    window = torch.tensor([[0.25, 0.5, 0.5, 1.0], [1.0, 0.0, 0.0, 1.0]])
    expected = []
    for image, (height, width) in zip(labels, [(2 * HEIGHT, 4 * WIDTH), (HEIGHT, WIDTH)]):
        highest = math.sqrt(height * width / 200)
        expected += [
            [
                (value, part / height, NO_SUPERPIXEL)
                for value, length in runs(image[:, x].tolist())
                for part in cut(length, highest)
            ]
            for x in middles(5)
        ]
    check(source_columns(labels, window, 5, 200), expected)


def test_target_columns_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(0)
    superpixels = torch.randint(-1, 12, (2, HEIGHT, WIDTH), generator=generator)
    superpixels[0, :30] = superpixels[0, :3].repeat_interleave(10, 0)
    superpixels[1, 25:] = NO_SUPERPIXEL
    classes = torch.randint(0, CLASSES, (2, 13), generator=generator)
    classes[:, 5] = IGNORE
    expected = [
        [
            (int(classes[b, n]) if n >= 0 else IGNORE, length / HEIGHT, n)
            for n, length in runs(superpixels[b, :, x].tolist())
        ]
        for b in range(2)
        for x in middles(9)
    ]
    check(target_columns(classes, superpixels, 9), expected)


def test_a_label_without_any_class_is_columns_of_unknown_pieces():
    columns = source_columns(torch.full((1, 8, 8), IGNORE), None, 4, 4)
    assert columns.classes.tolist() == [[IGNORE, IGNORE]] * 4
    assert columns.lengths.tolist() == [2] * 4
