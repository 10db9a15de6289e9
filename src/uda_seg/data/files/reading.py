"""Files of a dataset opened and read; what is wrong with one is said with its name."""

from pathlib import Path

import numpy as np

from uda_seg.data.files.decoding import colors_of, decode_raw, ids_of, image_of
from uda_seg.data.files.spelling import broken_link, broken_part
from uda_seg.errors import DataError

PICTURES = tuple(".png .jpg .jpeg .jpe .jfif .bmp .tif .tiff .webp .ppm .pgm".split())
"""Names of picture files end so, in small or capital letters."""


def load(path: Path) -> np.ndarray:
    """The bytes of a file (`cv2.imread` cannot open every non-ASCII path).

    Raises:
        DataError: it is missing, unreadable, empty or no file.
    """
    try:
        code = np.fromfile(path, np.uint8)
    except PermissionError as error:
        raise DataError(f"{path}: may not be read; give yourself the right: chmod +r") from error
    except FileNotFoundError as error:
        broken = broken_part(path)
        if broken is not None:
            raise DataError(f"{path}: is not there: {broken} {broken_link(broken)}") from error
        raise DataError(f"{path}: is not there; unpack the dataset again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not code.size:
        raise DataError(f"{path}: is empty; unpack it again")
    return code


def read_rgb(path: Path, upright: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 RGB; grey is given three equal channels, an alpha channel is dropped.

    Args:
        path: an image file.
        upright: turn it as its EXIF says. Not for images with labels that are not turned.

    Raises:
        DataError: it is no whole image, or has more than 8 bits a channel, of which half would be
            lost.
    """
    return image_of(path, load(path), upright)


def read_ids(path: Path, upright: bool = False) -> np.ndarray:
    """(H, W) ids in the file's own numbers; a palette gives its indices.

    Raises:
        DataError: it is no whole image, its compression is lossy, or it has colors or alpha where
            ids should be.
    """
    return ids_of(path, load(path), upright)


def read_colors(path: Path, upright: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a label whose colors are its classes, exactly as stored."""
    return colors_of(path, load(path), upright)


def read_raw(path: Path) -> np.ndarray:
    """(H, W) or (H, W, channels in RGB order), in the file's own numbers."""
    return decode_raw(path, load(path))
