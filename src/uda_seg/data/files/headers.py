"""What a picture file says about itself before any pixel is decoded; its name does not count."""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_PIXELS = 2**28
"""More is a broken header; OpenCV says so without trying."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 274
"""EXIF's tag; 1 is upright."""
_MOST_PAGES = 10_000
_GREY, _RGB, _PALETTE = 0, 2, 3
"""Kinds of PNG."""


@dataclass(frozen=True)
class Form:
    """
    Attributes:
        kind: the format as people call it; empty where it is not one of those below.
        bits: of a channel; 8 where the format knows no other.
        channels: as the file counts them, alpha included; 0 where that is left to the decoder.
        colors: "grey", "palette", "rgb" or "cmyk"; empty where that is left to the decoder.
        floats: whether its numbers are floating-point.
        signed: whether its whole numbers may be negative.
        lossy: whether its compression changes pixels.
        frames: pages of a TIFF, pictures of an animation.
        largest: the number that is white, of a PGM or PPM.
        size: (width, height) of a PNG, PGM or PPM.
    """

    kind: str = ""
    bits: int = 8
    channels: int = 0
    colors: str = ""
    floats: bool = False
    signed: bool = False
    lossy: bool = False
    frames: int = 1
    largest: int = 255
    size: tuple[int, int] = (0, 0)


def form_of(code: np.ndarray) -> Form:
    """What a file's bytes say; a broken header gives what could be read of it."""
    start = code[:16].tobytes()
    try:
        if start.startswith(_SIGNATURE):
            return _png(code)
        if start.startswith(b"\xff\xd8\xff"):
            return Form("JPEG", lossy=True)
        if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(code)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _webp(code)
        if start[:2] == b"BM":
            bits = int.from_bytes(code[28:30].tobytes(), "little")
            return Form("BMP", bits=min(bits, 8), colors="palette" if bits <= 8 else "rgb")
        if start[:4] == b"GIF8":
            frames = getattr(open_with_pillow(code), "n_frames", 1)
            return Form("GIF", colors="palette", frames=frames)
        if start[4:12] in (b"ftypavif", b"ftypavis"):
            return Form("AVIF", lossy=True, frames=1 + (start[11:12] == b"s"))
        if re.match(rb"P[1-6]\s", start):
            return _pnm(code)
    except (struct.error, LookupError, ValueError, OSError, SyntaxError):
        pass  # the decoder says what is wrong with it
    return Form()


def orientation_of(code: np.ndarray) -> int:
    """How EXIF says a picture is to be turned, 1 (not at all) to 8.

    Always 1 for a TIFF, where it belongs to the format: every decoder turns it.
    """
    if code[:2].tobytes() in (b"II", b"MM"):
        return 1
    try:
        from PIL import Image

        stored, exif = open_with_pillow(code).info.get("exif"), Image.Exif()
        if stored:
            exif.load(stored)
        found = exif.get(_ORIENTATION, 1)
    except Exception:  # EXIF is written by anyone, and Pillow raises almost anything
        return 1
    return found if found in range(1, 9) else 1


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turns and mirrors (H, W, …) as an EXIF orientation says."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)


def open_with_pillow(code: np.ndarray) -> Any:
    """The image, of which Pillow reads the header now and pixels when asked for."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # satellite pictures are no attack
    return Image.open(io.BytesIO(code.tobytes()))


def _png(code: np.ndarray) -> Form:
    width, height, bits, kind = struct.unpack(">IIBB", code[16:26].tobytes())
    colors = {_GREY: "grey", _PALETTE: "palette", 4: "grey", _RGB: "rgb", 6: "rgb"}[kind]
    channels = {_GREY: 1, _PALETTE: 1, 4: 2, _RGB: 3, 6: 4}[kind]
    frames, at = 1, 8
    while at + 12 <= len(code):
        length, name = struct.unpack(">I4s", code[at : at + 8].tobytes())
        if name == b"acTL":
            frames = int.from_bytes(code[at + 8 : at + 12].tobytes(), "big")
        if name == b"IDAT" or frames > 1:
            break
        at += 12 + length
    return Form("PNG", bits, channels, colors, frames=frames, size=(width, height))


def _webp(code: np.ndarray) -> Form:
    at, lossy, frames = 12, False, 0
    while at + 8 <= len(code):
        name, length = struct.unpack("<4sI", code[at : at + 8].tobytes())
        lossy |= name == b"VP8 "
        frames += name == b"ANMF"
        at += 8 + length + length % 2
    return Form("WebP", lossy=lossy, frames=max(frames, 1))


def _pnm(code: np.ndarray) -> Form:
    start = code[:4096].tobytes()
    if start[1:2] in b"14":
        return Form("PBM", bits=1, colors="grey")
    numbers = re.sub(rb"#[^\n]*", b" ", start[2:]).split(maxsplit=3)
    width, height, largest = (int(number) for number in numbers[:3])
    kind, colors = ("PGM", "grey") if start[1:2] in b"25" else ("PPM", "rgb")
    bits = 8 if largest < 256 else 16
    return Form(kind, bits, colors=colors, largest=largest, size=(width, height))


_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 258, 259, 262
_SAMPLES, _EXTRA, _SAMPLE_FORMAT = 277, 338, 339
_REDUCED_OR_MASK = 1 | 4
"""A page that is a smaller version of another, or says where it is transparent."""
_COLORS = {0: "grey", 1: "grey", 3: "palette", 5: "cmyk"}
_JPEG = (6, 7)
_ALPHA = (1, 2)


def _tiff(code: np.ndarray) -> Form:
    pages = list(_pages(code))
    first = pages[0]
    whole = [page for page in pages[1:] if not page.get(_SUBFILE, 0) & _REDUCED_OR_MASK]
    sample = first.get(_SAMPLE_FORMAT, 1)
    channels, colors = first.get(_SAMPLES, 1), _COLORS.get(first.get(_PHOTOMETRIC, 1), "rgb")
    if (channels, colors) == (2, "grey") and first.get(_EXTRA, 0) not in _ALPHA:
        colors = ""
    return Form(
        "TIFF",
        bits=first.get(_BITS, 1),
        channels=channels,
        colors=colors,
        floats=sample in (3, 6),
        signed=sample == 2,
        lossy=first.get(_COMPRESSION, 1) in _JPEG,
        frames=1 + len(whole),
    )


def _pages(code: np.ndarray) -> Iterator[dict[int, int]]:
    """The tags of every page that hold a number, the first of several."""
    head = code[:16].tobytes()
    order = "<" if head[:2] == b"II" else ">"
    big = 43 in (head[2], head[3])
    place, count, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    formats = {1: "B", 3: "H", 4: "I", 16: "Q"}

    def number(kind: str, at: int) -> int:
        size = struct.calcsize(order + kind)
        return struct.unpack(order + kind, code[at : at + size].tobytes())[0]

    at, seen = number(place, 8 if big else 4), set[int]()
    while at and at not in seen and len(seen) < _MOST_PAGES:
        seen.add(at)
        tags = number(count, at)
        first = at + struct.calcsize(order + count)
        page = {}
        for start in range(first, first + tags * entry, entry):
            kind = formats.get(number("H", start + 2))
            if kind is not None:
                amount = number(place, start + 4)
                value = start + 4 + struct.calcsize(order + place)
                if amount * struct.calcsize(order + kind) > struct.calcsize(order + place):
                    value = number(place, value)  # they lie elsewhere
                page[number("H", start)] = number(kind, value)
        yield page
        at = number(place, first + tags * entry)
