"""What the colors of classes mean, as a strip of swatches and names."""

from collections.abc import Sequence

import cv2
import numpy as np

from uda_seg.images import pictures

GAP = 8
LINE = 20
"""Pixels of a line of text."""
FONT, SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42


def legend(
    classes: Sequence[str], width: int, bare: Sequence[str] = (), scale: float = 1
) -> np.ndarray:
    """
    Args:
        classes: a swatch and a name each, in as many lines as they need.
        width: pixels of the strip.
        bare: further words, each beside an empty swatch.
        scale: of swatches and letters, for large pictures.

    Returns:
        (height, width, 3) uint8 RGB on white.
    """
    gap, line = round(GAP * scale), round(LINE * scale)
    places, x, y = [], gap, 0
    for name in (*classes, *bare):
        length = line + text_length(name, scale) + 2 * gap
        if x + length > width and x > gap:
            x, y = gap, y + line
        places.append((name, x, y))
        x += length
    canvas = np.full((y + line + gap, width, 3), 255, np.uint8)
    side = round(14 * scale)
    for place, (name, x, y) in enumerate(places):
        top = y + line - round(2 * scale) - side
        if place < len(classes):
            canvas[top : top + side, x : x + side] = pictures.color_of(name)
        else:
            cv2.rectangle(canvas, (x, top), (x + side - 1, top + side - 1), (128, 128, 128), 1)
        write(canvas, name, x + line, y + line - round(6 * scale), scale)
    return canvas


def write(canvas: np.ndarray, text: str, x: int, y: int, scale: float = 1) -> None:
    """Dark grey letters whose line ends at the left x, y."""
    thickness, color = max(1, int(scale)), (60, 60, 60)
    cv2.putText(canvas, plain(text), (x, y), FONT, SIZE * scale, color, thickness, cv2.LINE_AA)


def text_length(text: str, scale: float = 1) -> int:
    """Pixels."""
    thickness = max(1, int(scale))
    return cv2.getTextSize(plain(text), FONT, SIZE * scale, thickness)[0][0]


def plain(text: str) -> str:
    """OpenCV's font has the letters of ASCII."""
    return text.encode("ascii", "replace").decode()
