"""Strips of what was found for a query."""

import numpy as np

from uda_seg.images.pictures import color_of
from uda_seg.retrieval import strips
from uda_seg.retrieval.strips import FRAME, OTHER, RELEVANT, WIDTH, Shown, strip

CLASSES = ["road", "sky"]


def shown(grey: int, name: int, size: tuple[int, int] = (10, 20), **more) -> Shown:
    image = np.full((*size, 3), grey, np.uint8)
    return Shown(image, np.full((5, 10), name, np.uint8), "words", **more)


def test_pictures_frames_and_classes_are_where_they_belong():
    cells = [shown(10, 0), shown(100, 1, frame=RELEVANT), shown(200, 255, frame=OTHER)]
    found = strip("title", [("run", cells)], CLASSES)
    top = np.argmax((found == 10).all(2).any(1)) - FRAME  # the first row of pictures
    height = WIDTH // 2
    below = top + height + strips.LINE + height // 2
    for place, (one, color) in enumerate(
        zip(cells, (color_of("road"), color_of("sky"), (0, 0, 0)), strict=True)
    ):
        left = strips.GAP + place * (WIDTH + strips.GAP) + (strips.GAP if place else 0)
        centre = found[top + height // 2, left + WIDTH // 2]
        assert centre.tolist() == [one.image[0, 0, 0]] * 3
        assert tuple(found[top + height // 2, left + 1]) == one.frame
        assert tuple(found[below, left + WIDTH // 2]) == color


def test_rows_of_any_length_and_pictures_of_any_size_fit():
    tall, wide = shown(50, 0, size=(400, 300)), shown(60, 1, size=(30, 600))
    one = strip("a title that is far too long for a narrow strip " * 3, [("", [tall])], CLASSES)
    two = strip("", [("", [tall, wide, wide]), ("", [wide])], CLASSES)
    assert two.shape[1] > 3 * WIDTH > one.shape[1]
    assert (one == 50).all(2).sum() > 200 * 200
    assert (two == 60).all(2).any()
