"""Pictures of images, labels and maps, in NumPy: colors, overlays, captioned grids."""

import colorsys
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from uda_seg.runs import files

# Colors of the Cityscapes labels (cityscapesScripts, helpers/labels.py), which the field uses for
# every dataset with these classes.
CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
IGNORED = (0, 0, 0)
BOUNDARY = (255, 255, 0)
"""RGB of lines between regions: yellow, which streets have little of."""
GAP = 4
"""Pixels between the cells of a grid."""
CAPTION = 18
"""Pixels of a caption's line."""


def color_of(name: str) -> tuple[int, int, int]:
    """RGB of a class: Cityscapes' own, else a hue that follows from the name alone."""
    if name in CITYSCAPES:
        return CITYSCAPES[name]
    number = zlib.crc32(name.encode())  # hash() differs from process to process
    red, green, blue = colorsys.hsv_to_rgb(number % 360 / 360, 0.55 + number // 360 % 4 / 10, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def palette(classes: Sequence[str]) -> np.ndarray:
    """(256, 3) uint8 RGB of every id; ids that are no class are black."""
    colors = np.full((256, 3), IGNORED, np.uint8)
    colors[: len(classes)] = [color_of(name) for name in classes]
    return colors


def color(label: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(H, W) ids, 255 ignored, to (H, W, 3) uint8 RGB."""
    return np.take(palette(classes), label.astype(np.uint8), axis=0)  # a quarter of indexing


def overlay(
    image: np.ndarray, label: np.ndarray, classes: Sequence[str], opacity: float
) -> np.ndarray:
    """The image (H, W, 3) uint8 under the colors of a label (H, W); ignored pixels stay bare."""
    below, above = np.ascontiguousarray(image), color(label, classes)
    mixed = cv2.addWeighted(below, 1 - opacity, above, opacity, 0)
    ignored = label >= len(classes)
    if ignored.any():
        mixed[ignored] = image[ignored]
    return mixed


def heat(values: np.ndarray) -> np.ndarray:
    """A map (H, W) in [0, 1] to (H, W, 3) uint8 RGB: violet is 0, yellow 1, grey not finite."""
    finite = np.isfinite(values)
    scaled = np.where(finite, values, 0).clip(0, 1) * 255
    picture = cv2.applyColorMap(scaled.round().astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.where(finite[..., None], cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8(128))


def boundaries(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The image (H, W, 3) uint8 with a line where regions (H, W), superpixels say, meet."""
    edges = np.zeros(ids.shape, bool)
    edges[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    edges[:-1] |= ids[1:] != ids[:-1]
    return np.where(edges[..., None], np.array(BOUNDARY, np.uint8), image)


def resize(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """By the nearest pixel: ids stay ids, and coarse maps show their cells."""
    if picture.shape[:2] == (height, width):
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST)


def grid(rows: Sequence[Sequence[np.ndarray]], captions: Sequence[str]) -> np.ndarray:
    """Pictures (H, W, 3) uint8 in rows on white, each scaled to the first one's size.

    Args:
        rows: may differ in length; what is missing stays white.
        captions: one a column, above the first row; an empty list leaves the line out.
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    top = CAPTION if captions else 0
    size = (top + len(rows) * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3)
    canvas = np.full(size, 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            y, x = top + i * (height + GAP), j * (width + GAP)
            canvas[y : y + height, x : x + width] = resize(picture, height, width)
    for j, caption in enumerate(captions):
        _write(canvas, caption, j * (width + GAP), width)
    return canvas


def _write(canvas: np.ndarray, text: str, left: int, width: int) -> None:
    """A caption's text, made smaller where its column is narrow."""
    font, size = cv2.FONT_HERSHEY_SIMPLEX, 0.45
    (length, _), _ = cv2.getTextSize(text, font, size, 1)
    size *= min(1.0, (width - 4) / max(length, 1))
    cv2.putText(canvas, text, (left + 2, CAPTION - 5), font, size, (0, 0, 0), 1, cv2.LINE_AA)


def save(path: Path, picture: np.ndarray) -> None:
    """Writes (H, W, 3) uint8 RGB, or (H, W) uint8 ids, as PNG, whole or not at all."""
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    files.write_bytes(path, cv2.imencode(".png", stored)[1].tobytes())
