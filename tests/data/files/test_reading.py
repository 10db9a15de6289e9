"""Datasets read what lies on disk, open no more than they are asked for, and name what is wrong."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import write_camvid
from PIL import Image

from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.files.reading import read_ids, read_rgb
from uda_seg.errors import DataError


def test_camvid_reads_images_as_rgb_and_labels_as_indices(camvid: Path) -> None:
    dataset = CamVid(str(camvid), "train")
    sample = dataset.read(1, {"image", "label"})
    assert len(dataset) == 3
    assert sample.name == "train/001.png"
    np.testing.assert_array_equal(sample.image, np.asarray(Image.open(camvid / "train/001.png")))
    label = np.asarray(Image.open(camvid / "trainannot/001.png"))
    np.testing.assert_array_equal(sample.label, label)


def test_gta5_reads_palettes_as_indices(tmp_path: Path) -> None:
    label = np.uint8([[7, 8], [23, 0]]).repeat(8, 0).repeat(8, 1)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    picture = Image.fromarray(label, "P")
    picture.putpalette(list(np.random.default_rng(0).integers(0, 256, 768)))
    picture.save(tmp_path / "labels/00001.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "images/00001.png")
    np.testing.assert_array_equal(GTA5(str(tmp_path), "all").read(0, {"label"}).label, label)


def test_cityscapes_pairs_by_city_and_name(tmp_path: Path) -> None:
    for kind, suffix, mode in (
        ("leftImg8bit", "leftImg8bit", "RGB"),
        ("gtFine", "gtFine_labelIds", "L"),
    ):
        folder = tmp_path / kind / "val" / "ulm"
        folder.mkdir(parents=True)
        Image.new(mode, (32, 16), 7 if mode == "L" else (9, 8, 7)).save(
            folder / f"ulm_000000_000019_{suffix}.png"
        )
    sample = Cityscapes(str(tmp_path), "val").read(0, {"image", "label"})
    assert sample.label is not None
    assert (sample.label == 7).all()
    assert sample.image[0, 0].tolist() == [9, 8, 7]


def test_labels_are_opened_only_when_asked_for(camvid: Path) -> None:
    for path in (camvid / "trainannot").iterdir():
        path.write_bytes(b"not an image")
    dataset = CamVid(str(camvid), "train")
    assert dataset.read(0, {"image"}).label is None
    with pytest.raises(DataError, match=r"trainannot.000\.png: is not a whole image"):
        dataset.read(0, {"image", "label"})


def test_a_wrong_root_says_where_it_looked_and_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"elsewhere: none of the folders train .*target.root="):
        CamVid(str(tmp_path / "elsewhere"), "train")


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="CamVid: no images under"):
        CamVid(str(tmp_path), "train")


def test_a_label_of_another_size_is_refused(camvid: Path) -> None:
    Image.new("L", (10, 10)).save(camvid / "trainannot/000.png")
    with pytest.raises(
        DataError, match=r"000.png: is 10x10 pixels, but its image 000.png is 64x48"
    ):
        CamVid(str(camvid), "train").read(0, {"label"})


def test_a_missing_label_and_a_broken_image_are_named(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "broken")
    (root / "trainannot/001.png").unlink()
    (root / "train/002.png").write_bytes((root / "train/002.png").read_bytes()[:40])
    dataset = CamVid(str(root), "train")
    with pytest.raises(DataError, match=r"001.png: has no label at .*trainannot"):
        dataset.read(1, {"label"})
    with pytest.raises(DataError, match=r"002.png: is not a whole image"):
        dataset.read(2, {"image"})


def test_folders_with_any_letters_can_be_read(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "Straße 道路")
    assert CamVid(str(root), "val").read(0, {"image"}).image.shape == (48, 64, 3)


def png(bits: int, kind: int, ids: np.ndarray, filters: int = 0) -> bytes:
    """A PNG of a few bits a pixel, which neither OpenCV nor Pillow writes."""
    rows = [np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel() for row in ids]
    body = b"".join(bytes([filters]) + np.packbits(row).tobytes() for row in rows)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + check

    size = ids.shape[1].to_bytes(4, "big") + ids.shape[0].to_bytes(4, "big")
    palette = chunk(b"PLTE", bytes(range(3 << min(bits, 6)))) if kind == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + bytes([bits, kind, 0, 0, 0]))
        + palette
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("kind", [0, 3])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ids_of_any_depth_are_as_stored(tmp_path: Path, bits: int, kind: int) -> None:
    ids = np.random.default_rng(0).integers(0, min(1 << bits, 64), (11, 13), dtype=np.uint8)
    (tmp_path / "ids.png").write_bytes(png(bits, kind, ids))
    np.testing.assert_array_equal(read_ids(tmp_path / "ids.png"), ids)


def test_rows_of_a_palette_may_be_filtered(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).integers(0, 4, (11, 13), dtype=np.uint8)
    (tmp_path / "ids.png").write_bytes(png(8, 3, steps, filters=1))
    np.testing.assert_array_equal(read_ids(tmp_path / "ids.png"), steps.cumsum(1))


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_whatever_is_missing_or_changed_in_a_png_is_noticed(tmp_path: Path, mode: str) -> None:
    ids = np.random.default_rng(0).integers(0, 35, (20, 30), dtype=np.uint8)
    picture = Image.fromarray(ids if mode != "RGB" else np.stack([ids] * 3, -1))
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    path, read = tmp_path / "picture.png", read_rgb if mode == "RGB" else read_ids
    picture.save(path)
    whole = path.read_bytes()
    expected = read(path)
    np.testing.assert_array_equal(expected, np.asarray(picture))
    for end in (*range(8, len(whole), len(whole) // 40), len(whole) - 1, len(whole) - 13):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match="is not a whole image"):
            read(path)
    for place in range(30, len(whole) - 12, len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        try:
            np.testing.assert_array_equal(read(path), expected)
        except DataError:
            continue


def test_a_folder_that_may_not_be_listed_is_not_called_empty(
    camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs the tests may be allowed everything, so the system's refusal is played."""
    for path in (camvid / "train").iterdir():
        path.unlink()
    listed = os.scandir

    def refused(path: str) -> object:
        if str(path).endswith("train"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(DataError, match=r"train: may not be listed; .*chmod"):
        CamVid(str(camvid), "train")


def test_names_that_are_no_text_have_an_identity(camvid: Path) -> None:
    """Linux allows any bytes in a name."""
    image = camvid / "train" / "000.png"
    strange = Path(os.fsdecode(os.fsencode(image.parent) + b"/\xff.png"))
    try:
        image.rename(strange)
    except OSError:
        pytest.skip("this file system allows only text in names")
    (camvid / "trainannot" / "000.png").rename(camvid / "trainannot" / strange.name)
    dataset = CamVid(str(camvid), "train")
    assert len({dataset.identity(index) for index in range(3)}) == 3
