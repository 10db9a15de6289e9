"""Samples of a dataset on one picture: images beside their labels, and what the colours mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from uda_seg.data import pictures

COLUMNS = 4
WIDTH = 320
"""Pixels of a cell."""
GAP = 8
LINE = 20
"""Pixels of a line of text."""
OPACITY = 0.6
_FONT, _SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


@dataclass
class Shown:
    """A sample on the sheet."""

    name: str
    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    label: np.ndarray | None
    """(H, W) uint8 classes, 255 ignored; None when it was not opened."""


def contact_sheet(
    title: str, groups: Sequence[tuple[str, Sequence[Shown]]], classes: Sequence[str]
) -> np.ndarray:
    """
    Args:
        title: the first line.
        groups: a heading and its samples; images of any sizes, none is cut or stretched.
        classes: names of the labels' ids.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    width = COLUMNS * (WIDTH + GAP) + GAP
    parts = [_line(title, width, 0.6), _legend(classes, width)]
    for heading, samples in groups:
        parts.append(_line(heading, width, 0.5))
        cells = [cell for sample in samples for cell in _cells(sample, classes)]
        for start in range(0, len(cells), COLUMNS):
            parts.append(_row(cells[start : start + COLUMNS], width))
    return np.vstack(parts)


def _cells(sample: Shown, classes: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """The image, and the label over it, made small enough for a cell."""
    scale = min(WIDTH / sample.image.shape[1], WIDTH / sample.image.shape[0])
    height, width = (max(1, round(side * scale)) for side in sample.image.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    image = cv2.resize(sample.image, (width, height), interpolation=how)
    cells = [(sample.name, image)]
    if sample.label is not None:
        label = pictures.resize(sample.label, height, width)
        cells.append(("", pictures.overlay(image, label, classes, OPACITY)))
    return cells


def _row(cells: Sequence[tuple[str, np.ndarray]], width: int) -> np.ndarray:
    tallest = max(picture.shape[0] for _, picture in cells)
    canvas = np.full((tallest + LINE + GAP, width, 3), 255, np.uint8)
    for place, (name, picture) in enumerate(cells):
        left = GAP + place * (WIDTH + GAP)
        height, wide = picture.shape[:2]
        canvas[:height, left : left + wide] = picture
        _write(canvas, _shortened(name, WIDTH), left, height + LINE - 6)
    return canvas


def _legend(classes: Sequence[str], width: int) -> np.ndarray:
    """A swatch and a name each, in as many lines as they need."""
    places, x, y = [], GAP, 0
    for name in (*classes, "ignored: bare"):
        length = LINE + _length(name) + 2 * GAP
        if x + length > width and x > GAP:
            x, y = GAP, y + LINE
        places.append((name, x, y))
        x += length
    canvas = np.full((y + LINE + GAP, width, 3), 255, np.uint8)
    for name, x, y in places:
        if name in classes:
            canvas[y + 4 : y + LINE - 2, x : x + 14] = pictures.colour_of(name)
        else:
            cv2.rectangle(canvas, (x, y + 4), (x + 13, y + LINE - 3), (128, 128, 128), 1)
        _write(canvas, name, x + LINE, y + LINE - 6)
    return canvas


def _line(text: str, width: int, size: float) -> np.ndarray:
    canvas = np.full((LINE + GAP, width, 3), 255, np.uint8)
    cv2.putText(canvas, _plain(text), (GAP, LINE), _FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _write(canvas: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(canvas, _plain(text), (x, y), _FONT, _SIZE, (60, 60, 60), 1, cv2.LINE_AA)


def _shortened(text: str, width: int) -> str:
    """The end of a name tells more than its beginning."""
    whole, cut = text, text
    while _length(cut) > width and len(whole) > 1:
        whole = whole[1:]
        cut = f"...{whole}"
    return cut


def _length(text: str) -> int:
    return cv2.getTextSize(_plain(text), _FONT, _SIZE, 1)[0][0]


def _plain(text: str) -> str:
    """OpenCV's font has the letters of ASCII."""
    return text.encode("ascii", "replace").decode()
