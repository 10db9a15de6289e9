"""Bytes of picture files to arrays: what was decoded decides, not what the file is called.

PNGs of 8 bits are decoded by kornia-rs (a GTA5 image in 16 ms; imagecodecs 28, OpenCV 35, Pillow
42), palettes to their indices; everything else, and whatever that refuses, by OpenCV, which refuses
truncated files. Pillow is left with palettes, which OpenCV would turn into colors, with TIFFs of
few bits, which OpenCV cannot read, and with TIFFs that have alpha, by which it would multiply.
"""

import re
from pathlib import Path

import cv2
import numpy as np
from kornia_rs.io import decode_image_png_u8

from uda_seg.data.files.headers import (
    MOST_PIXELS,
    Form,
    form_of,
    open_with_pillow,
    orientation_of,
    turn,
)
from uda_seg.errors import DataError

FORMAT = 2
"""Version of all that is kept: to be raised when files are decoded to other pixels."""
_END = b"IEND\xaeB`\x82"
"""The end of a PNG."""
_STORED = cv2.IMREAD_UNCHANGED
_RGB = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def image_of(path: Path, code: np.ndarray, upright: bool) -> np.ndarray:
    """(H, W, 3) uint8 RGB; grey is given three equal channels, an alpha channel is dropped.

    Args:
        path: for messages.
        code: (n,) uint8, the file.
        upright: turn it as its EXIF says.

    Raises:
        DataError: it is no whole image of 8 bits a channel with one, three or four channels.
    """
    form = form_of(code)
    _check_alone(path, form, "an image")
    _check_channels(path, form)
    image = _fast(code, form, "rgb") if form.colors == "rgb" and form.channels == 3 else None
    if image is None:
        image = _decode(path, code, _RGB) if form.kind == "JPEG" else _as_rgb(path, code, form)
    return turn(image, orientation_of(code)) if upright else image


def ids_of(path: Path, code: np.ndarray, upright: bool) -> np.ndarray:
    """(H, W) of a mask, as stored: a palette gives its indices, a bit is 0 or 1.

    Args:
        path: for messages.
        code: (n,) uint8, the file.
        upright: turn it as its own EXIF says.

    Raises:
        DataError: it is no whole image, its compression changes ids, or it has colors or alpha
            where ids should be.
    """
    form = form_of(code)
    _check_alone(path, form, "a mask")
    _check_lossless(path, form)
    label = _ids(path, code, form)
    return turn(label, orientation_of(code)) if upright else label


def colors_of(path: Path, code: np.ndarray, upright: bool) -> np.ndarray:
    """(H, W, 3) uint8 RGB of a mask whose colors are its classes; raises as `image_of`."""
    _check_lossless(path, form_of(code))
    return image_of(path, code, upright)


def decode_raw(path: Path, code: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, channels in RGB order), in the file's own numbers."""
    form = form_of(code)
    if (form.kind, form.channels, form.bits, form.colors) == ("TIFF", 4, 8, "rgb"):
        return _by_pillow(path, code)
    if form.kind in ("PGM", "PPM") and code[1] in b"23":
        return _decode_letters(path, code, form)
    raw = _decode(path, code, _STORED)
    if raw.ndim == 3 and raw.shape[2] >= 3:
        raw = raw[..., [2, 1, 0, *range(3, raw.shape[2])]]
    return raw


def _as_rgb(path: Path, code: np.ndarray, form: Form) -> np.ndarray:
    grey = _is_small(form) and form.colors == "grey"
    image = _by_pillow(path, code, "L") if grey else decode_raw(path, code)
    if image.dtype != np.uint8:
        raise DataError(f"{path}: {_depth(image)}")
    if image.ndim == 2:
        image = image[..., None]
    image = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, 2)
    if form.largest < 255:  # of a PGM or PPM
        image = np.rint(image * (255 / form.largest)).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(image)


def _ids(path: Path, code: np.ndarray, form: Form) -> np.ndarray:
    if form.kind == "PNG" and form.channels == 1:
        fast = _fast(code, form, "mono")
        if fast is not None:
            return fast[..., 0]
    if form.colors == "palette" or _is_small(form):
        label = _by_pillow(path, code).astype(np.uint8)
    else:
        _check_channels(path, form)
        label = _one_channel(path, decode_raw(path, code))
    if form.colors == "grey" and form.bits < 8 and label.max() > 1:
        label = label // (255 // (2**form.bits - 1))  # the decoder stretched them to 255
    return label


def _is_small(form: Form) -> bool:
    """Whether a TIFF has 2 or 4 bits or a palette, which OpenCV does not read as they are."""
    return form.kind == "TIFF" and form.channels == 1 and form.bits <= 8 and not form.signed


def _one_channel(path: Path, raw: np.ndarray) -> np.ndarray:
    """The ids of a mask that was saved with three equal channels, as WebP always is."""
    if raw.ndim == 2:
        return raw
    colors, alpha = raw[..., :3], raw[..., 3:]
    if (colors != colors[..., :1]).any():
        raise DataError(
            f"{path}: has {raw.shape[2]} channels, but a label has one, with ids; is it the "
            "dataset's color picture, or a screenshot? (`folder` reads painted masks: `colors`)"
        )
    if alpha.size and (alpha != alpha.max()).any():
        raise DataError(
            f"{path}: has transparent pixels, which have no id; save it without alpha, and give "
            "those an id of their own"
        )
    return np.ascontiguousarray(colors[..., 0])


def _check_alone(path: Path, form: Form, what: str) -> None:
    if form.frames > 1:
        raise DataError(
            f"{path}: holds {form.frames} pictures ({form.kind}), but {what} is one; save the one "
            "that is meant as a file of its own"
        )


def _check_lossless(path: Path, form: Form) -> None:
    if form.lossy:
        kind = {"WebP": "lossy WebP", "TIFF": "TIFF compressed as JPEG"}.get(form.kind, form.kind)
        raise DataError(
            f"{path}: is a mask saved as {kind}, which changes ids and colors along every edge; "
            "export the masks again as PNG (to convert this file does not bring them back)"
        )


def _check_channels(path: Path, form: Form) -> None:
    """Refuses a TIFF whose decoder would quietly leave channels out."""
    known = {"": [0], "grey": [0, 1, 2], "palette": [0, 1], "rgb": [0, 3, 4], "cmyk": [4]}
    if form.channels not in known[form.colors]:
        raise DataError(
            f"{path}: has {form.channels} channels and does not say which are red, green and blue; "
            "choose: gdal_translate -b 1 -b 2 -b 3 -co PHOTOMETRIC=RGB, or -b 1 for a mask"
        )
    if form.kind == "TIFF" and form.floats and form.bits not in (32, 64):
        raise DataError(
            f"{path}: holds floating-point numbers of {form.bits} bits, which nothing here reads; "
            "convert it to 8 bits: gdal_translate -ot Byte"
        )


def _depth(image: np.ndarray) -> str:
    """What is wrong with an image that has not 8 bits, and the cure."""
    if image.dtype.kind == "f":
        return (
            "holds floating-point numbers; images must have 8 bits a channel: convert it, say "
            "with gdal_translate -ot Byte -scale, with one range for all files"
        )
    bits, signed = 8 * image.itemsize, "signed " if image.dtype.kind == "i" else ""
    used = max(int(image.max()).bit_length(), 8)
    how = "mogrify -depth 8"
    if used < bits == 16:
        how = (
            f"mogrify -evaluate multiply {2 ** (16 - used)} -depth 8, if all use {used} bits as "
            f"this one does, whose largest number is {image.max()}"
        )
    return (
        f"has {signed}{bits} bits a channel; images must have 8: convert it, say with ImageMagick: "
        f"{how}"
    )


def _fast(code: np.ndarray, form: Form, mode: str) -> np.ndarray | None:
    """(H, W, channels) of a PNG of 8 bits a channel; None where the others shall judge."""
    if form.kind != "PNG" or form.bits != 8 or form.size[0] * form.size[1] > MOST_PIXELS:
        return None
    if code[-8:].tobytes() != _END:  # its pixels may be there, but the file was cut
        return None
    try:
        return decode_image_png_u8(code.tobytes(), form.size[::-1], mode)
    except Exception:  # all that it raises, for whatever reason
        return None


def _decode(path: Path, code: np.ndarray, flags: int) -> np.ndarray:
    try:
        picture = cv2.imdecode(code, flags)
    except cv2.error as error:  # absurd sizes in a broken header
        raise DataError(
            f"{path}: is not a whole image file ({error.err}); {_cure(code)}"
        ) from error
    if picture is None:
        raise DataError(f"{path}: is not a whole image file; {_cure(code)}")
    return picture


def _by_pillow(path: Path, code: np.ndarray, mode: str | None = None) -> np.ndarray:
    if form_of(code).kind == "PNG" and code[-8:].tobytes() != _END:  # it would read what is there
        raise DataError(f"{path}: is not a whole image file (it ends too early); {_cure(code)}")
    try:
        with open_with_pillow(code) as picture:
            return np.array(picture.convert(mode) if mode else picture)
    except Exception as error:  # whatever it raises
        raise DataError(f"{path}: is not a whole image file ({error}); {_cure(code)}") from error


def _decode_letters(path: Path, code: np.ndarray, form: Form) -> np.ndarray:
    """Reads a PGM or PPM whose numbers are written in letters, which OpenCV would stretch."""
    numbers = re.sub(rb"#[^\n]*", b" ", code.tobytes()).split()[4:]
    shape = (form.size[1], form.size[0], 1 if form.kind == "PGM" else 3)
    try:
        picture = np.array(numbers, np.uint8 if form.bits == 8 else np.uint16).reshape(shape)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: is not a whole image file ({error}); unpack it again") from error
    return picture[..., 0] if form.kind == "PGM" else picture


def _cure(code: np.ndarray) -> str:
    """A download page saved under an image's name is a common mistake."""
    if code[:512].max() < 128 and (code[:512] > 8).all():
        return "it holds text: was a download page or a list saved under an image's name?"
    return "unpack it again"
