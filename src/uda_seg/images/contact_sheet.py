"""Samples of a dataset on one picture: images beside their labels, and what the colors mean."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from uda_seg.images import pictures
from uda_seg.images.legend import FONT, GAP, LINE, legend, plain, text_length, write

COLUMNS = 4
WIDTH = 320
"""Pixels of a cell."""
OPACITY = 0.6


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
    parts = [_line(title, width, 0.6), legend(classes, width, bare=["ignored: bare"])]
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
        write(canvas, _shorten(name, WIDTH), left, height + LINE - 6)
    return canvas


def _line(text: str, width: int, size: float) -> np.ndarray:
    canvas = np.full((LINE + GAP, width, 3), 255, np.uint8)
    cv2.putText(canvas, plain(text), (GAP, LINE), FONT, size, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def _shorten(text: str, width: int) -> str:
    """The end of a name tells more than its beginning."""
    whole, cut = text, text
    while text_length(cut) > width and len(whole) > 1:
        whole = whole[1:]
        cut = f"...{whole}"
    return cut
