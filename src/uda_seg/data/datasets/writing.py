"""Drawn samples written as a dataset's own files: the other direction of reading."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.labels import LabelSpace, common
from uda_seg.runs import files

VOID = 255
JPEG = [
    *(cv2.IMWRITE_JPEG_QUALITY, 100),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
"""No color is shared by neighboring pixels, so that small pictures stay what they are."""


def save_image(path: Path, image: np.ndarray) -> None:
    """(H, W, 3) uint8 RGB as PNG or JPEG (nearly lossless), by the name's ending."""
    _save(path, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def save_ids(path: Path, ids: np.ndarray) -> None:
    """(H, W) uint8 or uint16 as a grey PNG."""
    _save(path, ids)


def save_channels(path: Path, channels: np.ndarray) -> None:
    """(H, W, 3) uint8 or uint16, in RGB order, as PNG."""
    _save(path, channels[..., ::-1])


def save_palette(path: Path, ids: np.ndarray, colors: np.ndarray) -> None:
    """(H, W) uint8 as a palette PNG; colors (256, 3) uint8."""
    from PIL import Image

    picture = Image.fromarray(ids)
    picture.putpalette(colors.astype(np.uint8).tobytes())  # turns its mode into P
    with files.replacing(path) as file:
        picture.save(file, "png")


def raw_ids(label: np.ndarray, classes: Mapping[int, str], void: int) -> np.ndarray:
    """Cityscapes' train ids (H, W) to a dataset's raw ids, by name; `void` for what it has not.

    Several ids of one name (lanes and road, say) give the first of them.
    """
    space = common(CITYSCAPES, classes.values())
    table = np.full(256, void, np.uint16)
    ours = space.lookup(dict(enumerate(CITYSCAPES)))
    theirs = LabelSpace(space.classes).lookup(classes)
    for train_id in range(len(CITYSCAPES)):
        if ours[train_id] != VOID:
            table[train_id] = next(i for i in sorted(classes) if theirs[i] == ours[train_id])
    return table[label].astype(np.uint8 if table.max() < 256 else np.uint16)


def _save(path: Path, array: np.ndarray) -> None:
    options = JPEG if path.suffix.lower() in (".jpg", ".jpeg") else []
    code = cv2.imencode(path.suffix, np.ascontiguousarray(array), options)[1]
    files.write_bytes(path, code.tobytes())
