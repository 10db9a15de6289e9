"""Labels whose classes are colors, turned into ids."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uda_seg.errors import DataError

Color = tuple[int, int, int]


class ColorTable:
    """A look-up of many colors at once, by a hash without collisions: a few operations a pixel.

    Args:
        ids: id of every RGB color; several colors may share one id.
    """

    def __init__(self, ids: Mapping[Color, int]) -> None:
        codes = np.array([_code(color) for color in ids], np.int64)
        self.slots = next(m for m in range(max(len(codes), 2), 1 << 24) if _unique(codes % m))
        self.codes = np.full(self.slots, -1, np.int32)
        self.ids = np.zeros(self.slots, np.uint8)
        self.codes[codes % self.slots] = codes
        self.ids[codes % self.slots] = list(ids.values())

    def __call__(self, picture: np.ndarray, path: Path) -> np.ndarray:
        """(H, W, 3) uint8 RGB to (H, W) uint8 ids.

        Raises:
            DataError: a color is not in the table; names the file, the color and where it is.
        """
        wide = picture.astype(np.int32)
        codes = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
        slots = codes % self.slots
        unknown = self.codes[slots] != codes
        if unknown.any():
            y, x = np.argwhere(unknown)[0]
            color = tuple(int(c) for c in picture[y, x])
            raise DataError(
                f"{path}: color {color} at row {y}, column {x} belongs to no class, as do "
                f"{unknown.sum()} of {unknown.size} pixels; was it resized or saved as JPEG?"
            )
        return self.ids[slots]


def _code(color: Color) -> int:
    red, green, blue = color
    return (red << 16) | (green << 8) | blue


def _unique(values: np.ndarray) -> bool:
    return len(np.unique(values)) == len(values)
