"""What was decoded decides: depth, channels, palettes, pages, compression, whatever the name."""

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from uda_seg.data.files.headers import orientation_of
from uda_seg.data.files.reading import read_colors, read_ids, read_rgb
from uda_seg.errors import DataError

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(0, 5, (11, 13)).astype(np.uint8)
COLORS = RANDOM.integers(0, 256, (11, 13, 3)).astype(np.uint8)


def tiff(array: np.ndarray, big: bool = False, **tags: int) -> bytes:
    """Any numbers, any channels, which neither OpenCV nor Pillow writes; one strip."""
    kinds = {"u": 1, "i": 2, "f": 3, "c": 6}
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    body, head, place, entry = array.tobytes(), 16 if big else 8, *("QQ" if big else "II")
    known = {
        "subfile": (254, 0), "width": (256, width), "height": (257, height),
        "bits": (258, 8 * array.itemsize), "compression": (259, 1), "photometric": (262, 1),
        "strip": (273, head), "orientation": (274, 1), "samples": (277, channels),
        "rows": (278, height), "bytes": (279, len(body)), "extra": (338, 0),
        "kind": (339, kinds[array.dtype.kind]),
    }  # fmt: skip
    values = [(tag, tags.get(name, value)) for name, (tag, value) in known.items()]
    values = [v for v in values if v[0] != 338 or "extra" in tags]
    start = b"II+\0\x08\0\0\0" if big else b"II*\0"
    entries = b"".join(struct.pack(f"<HH{entry}{entry}", t, 4, 1, v) for t, v in values)
    count = struct.pack("<Q" if big else "<H", len(values))
    return start + struct.pack(f"<{place}", head + len(body)) + body + count + entries + bytes(8)


def by_pillow(picture: Image.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    picture.save(file, kind, **options)
    return file.getvalue()


def by_opencv(ending: str, array: np.ndarray) -> bytes:
    return cv2.imencode(ending, array)[1].tobytes()


def painted() -> Image.Image:
    picture = Image.fromarray(IDS)
    picture.putpalette(RANDOM.integers(0, 256, 768).tolist())
    return picture


def pnm(kind: str, largest: int, array: np.ndarray) -> bytes:
    return f"{kind}\n# a comment\n13 11\n{largest}\n".encode() + array.tobytes()


def spelled(array: np.ndarray) -> bytes:
    return b" ".join(b"%d" % number for number in array.ravel())


def packed(bits: int) -> bytes:
    rows = np.unpackbits((IDS % (1 << bits))[..., None], axis=2)[..., 8 - bits :]
    body = np.packbits(rows.reshape(11, -1), axis=1)
    return tiff(body, bits=bits, width=13)


THOUSANDS = IDS * np.uint16(1000)
NEGATIVE = IDS.astype(np.int64) - 2
LOSSLESS = {"lossless": True}
MASKS = {
    "bmp": (by_pillow(IDS, "BMP"), IDS),
    "bmp, palette": (by_pillow(painted(), "BMP"), IDS),
    "bmp, a bit": (by_pillow(IDS > 2, "BMP"), IDS > 2),
    "gif": (by_pillow(painted(), "GIF"), IDS),
    "png of three equal channels": (by_pillow(np.stack([IDS] * 3, -1), "PNG"), IDS),
    "png with opaque alpha": (by_pillow(Image.fromarray(IDS).convert("LA"), "PNG"), IDS),
    "webp": (by_pillow(IDS, "WEBP", **LOSSLESS), IDS),
    "pbm": (by_pillow(IDS > 2, "PPM"), IDS > 2),
    "pgm": (pnm("P5", 255, IDS), IDS),
    "pgm, few": (pnm("P5", 4, IDS), IDS),
    "pgm, letters": (b"P2\n# all\n13 11 4\n" + spelled(IDS), IDS),
    "pgm, 16 bits": (
        pnm("P5", 65535, THOUSANDS.astype(">u2")),
        THOUSANDS,
    ),
    "tiff, palette": (by_pillow(painted(), "TIFF", compression="tiff_lzw"), IDS),
    "tiff, a bit": (by_pillow(IDS > 2, "TIFF", compression="group4"), IDS > 2),
    "tiff, 2 bits": (packed(2), IDS % 4),
    "tiff, 4 bits": (packed(4), IDS),
    "tiff, int8": (tiff(NEGATIVE.astype(np.int8)), NEGATIVE),
    "tiff, int16": (tiff(NEGATIVE.astype(np.int16)), NEGATIVE),
    "tiff, uint16": (tiff(THOUSANDS), THOUSANDS),
    "tiff, int32": (tiff(NEGATIVE.astype(np.int32) * 70000), NEGATIVE * 70000),
    "tiff, uint32": (tiff(IDS * np.uint32(10**9)), IDS * np.int64(10**9)),
    "tiff, float32": (tiff(NEGATIVE.astype(np.float32)), NEGATIVE),
    "tiff, float64": (tiff(NEGATIVE.astype(np.float64)), NEGATIVE),
    "big tiff": (tiff(IDS, big=True), IDS),
    "big tiff, int16": (tiff(NEGATIVE.astype(np.int16), big=True), NEGATIVE),
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_hold_the_numbers_that_were_saved(tmp_path: Path, kind: str) -> None:
    code, expected = MASKS[kind]
    (tmp_path / "mask.png").write_bytes(code)  # the name does not count
    np.testing.assert_array_equal(read_ids(tmp_path / "mask.png"), expected)


RGBA = np.dstack([COLORS, IDS * 60])
GREY = np.stack([IDS] * 3, -1)
IMAGES = {
    "jpeg": (by_pillow(IDS * 0 + 9, "JPEG", quality=100), GREY * 0 + 9),
    "webp": (by_pillow(RGBA, "WEBP", exact=True, **LOSSLESS), COLORS),
    "bmp": (by_pillow(COLORS, "BMP"), COLORS),
    "ppm": (by_pillow(COLORS, "PPM"), COLORS),
    "pgm, few": (pnm("P5", 3, IDS.clip(0, 3)), GREY.clip(0, 3) * 85),
    "ppm, letters": (b"P3 13 11 255 " + spelled(COLORS), COLORS),
    "tiff": (by_pillow(COLORS, "TIFF"), COLORS),
    "tiff, alpha": (by_pillow(RGBA, "TIFF"), COLORS),
    "tiff, grey and alpha": (by_pillow(Image.fromarray(IDS).convert("LA"), "TIFF"), GREY),
    "tiff, cmyk": (by_pillow(Image.fromarray(COLORS).convert("CMYK"), "TIFF"), COLORS),
    "tiff, 4 bits": (packed(4), GREY * 17),
    "tiff, a bit": (by_pillow(IDS > 2, "TIFF"), (GREY > 2) * 255),
    "big tiff": (tiff(COLORS, big=True, photometric=2), COLORS),
    "png, grey and alpha": (by_pillow(Image.fromarray(IDS).convert("LA"), "PNG"), GREY),
    "png, a bit": (by_pillow(Image.fromarray(IDS > 2), "PNG"), (GREY > 2) * 255),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_images_hold_the_colors_that_were_saved(tmp_path: Path, kind: str) -> None:
    code, expected = IMAGES[kind]
    (tmp_path / "image.png").write_bytes(code)
    np.testing.assert_array_equal(read_rgb(tmp_path / "image.png"), expected)


def several_pages(**options: Any) -> bytes:
    pages = {"save_all": True, "append_images": [Image.fromarray(255 - COLORS)]}
    return by_pillow(Image.fromarray(COLORS), options.pop("kind"), **pages, **options)


TWELVE = COLORS.astype(np.uint16) * 16
NO_IMAGES = {
    "png, 16 bits": (by_opencv(".png", TWELVE), "has 16 bits .* multiply 16 -depth 8, if all use"),
    "tiff, 16 bits": (tiff(TWELVE, photometric=2), "has 16 bits a channel; images must have 8"),
    "full 16 bits": (tiff(IDS * np.uint16(16000)), ".* ImageMagick: mogrify -depth 8$"),
    "pgm, 16 bits": (pnm("P5", 4095, TWELVE[..., 0].astype(">u2")), "has 16 bits a channel"),
    "ppm, 16 bits": (pnm("P6", 4095, TWELVE.astype(">u2")), "has 16 bits a channel"),
    "tiff, int8": (tiff(IDS.astype(np.int8)), "has signed 8 bits"),
    "tiff, int32": (tiff(IDS.astype(np.int32)), "has signed 32 bits"),
    "tiff, float32": (tiff(COLORS.astype(np.float32), photometric=2), "holds floating-point"),
    "tiff, float16": (tiff(IDS.astype(np.float16)), "holds floating-point numbers of 16 bits"),
    "tiff, 2 channels": (tiff(RGBA[..., :2]), "has 2 channels and does not say"),
    "tiff, 3 channels": (tiff(COLORS), "has 3 channels and does not say which are red"),
    "tiff, 5 channels": (tiff(np.dstack([RGBA, IDS])), "has 5 channels and does not say"),
    "tiff, pages": (several_pages(kind="TIFF"), r"holds 2 pictures \(TIFF\), but an image is one"),
    "animated webp": (several_pages(kind="WEBP", **LOSSLESS), r"holds 2 pictures \(WebP\)"),
    "animated png": (several_pages(kind="PNG"), r"holds 2 pictures \(PNG\)"),
    "animated gif": (several_pages(kind="GIF"), r"holds 2 pictures \(GIF\)"),
    "nothing": (b"BM", "is not a whole image"),
    "half a tiff": (tiff(COLORS)[:60], "is not a whole image"),
}


@pytest.mark.parametrize("kind", NO_IMAGES)
def test_what_is_no_image_of_8_bits_is_refused_with_a_cure(tmp_path: Path, kind: str) -> None:
    code, message = NO_IMAGES[kind]
    (tmp_path / "image.png").write_bytes(code)
    with pytest.raises(DataError, match=f"image.png: {message}"):
        read_rgb(tmp_path / "image.png")


NO_MASKS = {
    "jpeg": (by_pillow(IDS, "JPEG"), "is a mask saved as JPEG, .* export the masks again as PNG"),
    "webp": (by_pillow(IDS, "WEBP", quality=90), "is a mask saved as lossy WebP"),
    "jpeg in tiff": (by_pillow(COLORS, "TIFF", compression="jpeg"), "TIFF compressed as JPEG"),
    "pages": (several_pages(kind="TIFF"), "holds 2 pictures"),
}


@pytest.mark.parametrize("kind", NO_MASKS)
@pytest.mark.parametrize("read", [read_ids, read_colors])
def test_what_changes_ids_is_refused(tmp_path: Path, read: Any, kind: str) -> None:
    code, message = NO_MASKS[kind]
    (tmp_path / "mask.png").write_bytes(code)
    with pytest.raises(DataError, match=f"mask.png: .*{message}"):
        read(tmp_path / "mask.png")
    if kind != "pages":
        assert read_rgb(tmp_path / "mask.png").shape == (11, 13, 3)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (by_pillow(COLORS, "PNG"), "has 3 channels, but a label has one"),
        (by_pillow(np.dstack([GREY, IDS * 60]), "PNG"), "has transparent pixels, which have no id"),
        (tiff(np.dstack([RGBA, IDS])), "has 5 channels"),
    ],
)
def test_ids_are_one_channel(tmp_path: Path, code: bytes, message: str) -> None:
    (tmp_path / "mask.png").write_bytes(code)
    with pytest.raises(DataError, match=message):
        read_ids(tmp_path / "mask.png")


def test_smaller_versions_within_a_tiff_are_no_pages(tmp_path: Path) -> None:
    """As in cloud-optimised GeoTIFFs."""
    whole, small = tiff(IDS), tiff(IDS[:4], subfile=1)
    shift = len(whole)
    fields = len(whole) - 8 - 12 * 12  # entries of the first
    assert struct.unpack("<H", whole[fields - 2 : fields])[0] == 12
    later = shift + struct.unpack("<I", small[4:8])[0]
    path = tmp_path / "mask.tif"
    path.write_bytes(whole[:-8] + struct.pack("<I", later) + bytes(4) + small)
    np.testing.assert_array_equal(read_ids(path), IDS)
    path.write_bytes(whole[:-8] + struct.pack("<I", later) + bytes(4) + tiff(IDS[:4]))
    with pytest.raises(DataError, match="holds 2 pictures"):
        read_ids(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_exif_turns_images_and_masks_when_asked(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[274] = orientation
    options = LOSSLESS if kind == "WEBP" else {}
    path = tmp_path / "image"
    path.write_bytes(by_pillow(COLORS, kind, exif=exif, **options))
    plain = tmp_path / "plain"
    plain.write_bytes(by_pillow(COLORS, kind, **options))
    upright = ImageOps.exif_transpose(Image.open(path))
    assert orientation_of(np.fromfile(path, np.uint8)) == orientation
    np.testing.assert_array_equal(read_rgb(path), read_rgb(plain))
    difference = read_rgb(path, upright=True).astype(int) - np.asarray(upright)
    assert np.abs(difference).max() <= (4 if kind == "JPEG" else 0)
    if kind == "PNG":
        path.write_bytes(by_pillow(IDS, kind, exif=exif))
        upright = ImageOps.exif_transpose(Image.open(path))
        np.testing.assert_array_equal(read_ids(path), IDS)
        np.testing.assert_array_equal(read_ids(path, upright=True), np.asarray(upright))


def test_broken_exif_turns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(by_pillow(COLORS, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert read_rgb(path, upright=True).shape == (11, 13, 3)
