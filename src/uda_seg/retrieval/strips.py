"""What was found for a query: a strip of pictures a row, their labels below."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from uda_seg.images import pictures
from uda_seg.images.legend import GAP, LINE, legend, text_length, write

WIDTH = 256
"""Pixels of a cell."""
FRAME = 4
"""Pixels of a frame's line."""
RELEVANT, OTHER, PLAIN = (0, 158, 115), (213, 94, 0), (160, 160, 160)
"""Frames: Okabe and Ito's green and vermilion, which color-blind readers can tell apart."""


@dataclass
class Shown:
    """A picture of the strip."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    classes: np.ndarray
    """(h, w) uint8 ids, 255 ignored: its label, or what is predicted."""
    words: str
    """Below it."""
    frame: tuple[int, int, int] = PLAIN


def strip(
    title: str, rows: Sequence[tuple[str, Sequence[Shown]]], classes: Sequence[str]
) -> np.ndarray:
    """
    Args:
        title: the first line.
        rows: a heading, and pictures of any sizes: the query, then its neighbors.
        classes: names of the ids.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    columns = max(len(shown) for _, shown in rows)
    width = GAP + columns * (WIDTH + GAP) + GAP  # a second gap behind the query
    parts = [_line(title, width, 1.3)]
    for heading, shown in rows:
        parts += [_line(heading, width, 1.1), *_row(shown, width, classes)]
    return np.vstack([*parts, legend(classes, width, bare=["black: ignored"])])


def _row(shown: Sequence[Shown], width: int, classes: Sequence[str]) -> list[np.ndarray]:
    """Images with their words, then the colors of their classes."""
    images, maps = [], []
    for one in shown:
        height = max(1, round(WIDTH * one.image.shape[0] / one.image.shape[1]))
        kind = cv2.INTER_AREA if one.image.shape[1] > WIDTH else cv2.INTER_LINEAR
        image = cv2.resize(one.image, (WIDTH, height), interpolation=kind)
        cv2.rectangle(
            image, (FRAME // 2, FRAME // 2), (WIDTH - FRAME // 2, height - FRAME // 2),
            one.frame, FRAME,
        )  # fmt: skip
        images.append(image)
        maps.append(pictures.color(pictures.resize(one.classes, height, WIDTH), classes))
    canvas, below = _side_by_side(images, width, LINE), _side_by_side(maps, width, GAP)
    for place, one in enumerate(shown):
        size = min(1.0, WIDTH / max(text_length(one.words), 1))
        write(canvas, one.words, _left(place), canvas.shape[0] - 6, size)
    return [canvas, below]


def _side_by_side(cells: Sequence[np.ndarray], width: int, space: int) -> np.ndarray:
    tallest = max(cell.shape[0] for cell in cells)
    canvas = np.full((tallest + space, width, 3), 255, np.uint8)
    for place, cell in enumerate(cells):
        canvas[: cell.shape[0], _left(place) : _left(place) + WIDTH] = cell
    return canvas


def _left(place: int) -> int:
    return GAP + place * (WIDTH + GAP) + (GAP if place else 0)


def _line(text: str, width: int, scale: float) -> np.ndarray:
    canvas = np.full((LINE + GAP, width, 3), 255, np.uint8)
    scale *= min(1.0, (width - 2 * GAP) / max(text_length(text, scale), 1))
    write(canvas, text, GAP, LINE, scale)
    return canvas
