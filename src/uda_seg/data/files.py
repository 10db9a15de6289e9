"""Bytes on disk to arrays; whatever can be wrong with a file is said in one message, with its name.

PNGs of 8 bits are decoded by kornia-rs (a GTA5 image in 16 ms; imagecodecs 28, OpenCV 35, Pillow
42), palettes to their indices; everything else, and whatever that refuses, by OpenCV, which refuses
truncated files. Pillow is left with palettes of fewer bits, which OpenCV would turn into colours.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from kornia_rs.io import decode_image_png_u8

from uda_seg.data.spelling import broken_link
from uda_seg.errors import DataError

PICTURES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
)
"""Names of picture files end so, in small or capital letters."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 2**28
"""More is a broken header; OpenCV says so without trying."""
_END = b"IEND\xaeB`\x82"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6


@dataclass(frozen=True)
class Header:
    """What a PNG says about itself before any pixel is decoded."""

    width: int
    height: int
    bits: int
    kind: int
    interlaced: bool

    @property
    def palette(self) -> bool:
        return self.kind == _PALETTE

    @property
    def grey(self) -> bool:
        return self.kind in (_GREY, _GREY_ALPHA)

    @property
    def alpha(self) -> bool:
        return self.kind in (_GREY_ALPHA, _RGB_ALPHA)


def header_of(code: np.ndarray) -> Header | None:
    """Of the bytes of a PNG; None for any other kind of file."""
    start = code[:29].tobytes()
    if len(start) < 29 or not start.startswith(_SIGNATURE):
        return None
    width, height = (int.from_bytes(start[at : at + 4], "big") for at in (16, 20))
    return Header(width, height, start[24], start[25], start[28] != 0)


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
        broken = f"{broken_link(path)}; mend the link" if path.is_symlink() else ""
        cure = broken or "is not there; unpack the dataset again"
        raise DataError(f"{path}: {cure}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if not code.size:
        raise DataError(f"{path}: is empty; unpack it again")
    return code


def read_rgb(path: Path, upright: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 RGB; grey is given three equal channels, an alpha channel is dropped.

    Args:
        path: an image file.
        upright: turn it as its EXIF says. Not for images with labels, which are not turned.

    Raises:
        DataError: it is no whole image, or has 16 bits a channel, of which half would be lost.
    """
    code = load(path)
    header = header_of(code)
    if header is not None and header.bits == 16:
        raise DataError(
            f"{path}: has 16 bits a channel; images must have 8: convert it, say with ImageMagick: "
            "mogrify -depth 8"
        )
    if header is not None and header.kind == _RGB and not upright:
        fast = _fast(code, header, "rgb")
        if fast is not None:
            return fast
    flags = cv2.IMREAD_COLOR_RGB | (0 if upright else cv2.IMREAD_IGNORE_ORIENTATION)
    return _decoded(path, code, flags)


def read_ids(path: Path) -> np.ndarray:
    """(H, W) uint8 or uint16 ids of an index PNG; a palette gives its indices.

    Raises:
        DataError: it is no whole image, or has colours or alpha where ids should be.
    """
    code = load(path)
    header = header_of(code)
    if header is not None and header.kind in (_GREY, _PALETTE):
        fast = _fast(code, header, "mono")
        if fast is not None:
            return fast[..., 0]
        if header.palette:
            return _palette_indices(path, code)
    label = _decoded(path, code, cv2.IMREAD_UNCHANGED)
    if label.ndim != 2:
        raise DataError(
            f"{path}: has {label.shape[2]} channels, but a label has one, with ids; is it the "
            "dataset's colour picture, or a screenshot?"
        )
    if header is not None and header.bits < 8:
        label //= 255 // (2**header.bits - 1)  # OpenCV stretched them to 255
    return label


def read_colours(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a label whose colours are its classes, exactly as stored."""
    return _decoded(path, load(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def read_raw(path: Path) -> np.ndarray:
    """(H, W) or (H, W, channels in RGB order), in the file's own 8 or 16 bits."""
    raw = _decoded(path, load(path), cv2.IMREAD_UNCHANGED)
    if raw.ndim == 3 and raw.shape[2] >= 3:
        raw = raw[..., [2, 1, 0, *range(3, raw.shape[2])]]
    return raw


def _fast(code: np.ndarray, header: Header, mode: str) -> np.ndarray | None:
    """(H, W, channels) of a PNG of 8 bits a channel; None where the others shall judge."""
    if header.bits != 8 or header.width * header.height > _MOST_PIXELS:
        return None
    if code[-8:].tobytes() != _END:  # its pixels may be there, but the file was cut
        return None
    try:
        return decode_image_png_u8(code.tobytes(), (header.height, header.width), mode)
    except Exception:  # all that it raises, for whatever reason
        return None


def _decoded(path: Path, code: np.ndarray, flags: int) -> np.ndarray:
    try:
        picture = cv2.imdecode(code, flags)
    except cv2.error as error:  # absurd sizes in a broken header
        raise DataError(
            f"{path}: is not a whole image file ({error.err}); {_cure(code)}"
        ) from error
    if picture is None:
        raise DataError(f"{path}: is not a whole image file; {_cure(code)}")
    return picture


def _palette_indices(path: Path, code: np.ndarray) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    if code[-8:].tobytes() != _END:  # Pillow would read what is there
        raise DataError(f"{path}: is not a whole image file (it ends too early); {_cure(code)}")
    try:
        with Image.open(io.BytesIO(code.tobytes())) as picture:
            return np.array(picture)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: is not a whole image file ({error}); unpack it again") from error


def _cure(code: np.ndarray) -> str:
    """A download page saved under an image's name is a common mistake."""
    if code[:512].max() < 128 and (code[:512] > 8).all():
        return "it holds text: was a download page or a list saved under an image's name?"
    return "unpack it again"
