"""One sample looked at: nothing is raised, and what is wrong is named."""

from pathlib import Path

import numpy as np
import pytest
from conftest import write_camvid
from PIL import Image

from uda_seg.data.checking.class_overlap import amounts, names_of
from uda_seg.data.checking.examination import examinations, examine, pixels_of, unnamed_ids
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.toytown import ToyTown
from uda_seg.images.contact_sheet import COLUMNS, GAP, WIDTH, Shown, contact_sheet
from uda_seg.images.pictures import color_of

BOTH = {"image", "label"}


def test_size_and_pixels_are_those_of_the_files(camvid: Path) -> None:
    finding = examine(CamVid(str(camvid), "train"), 1, BOTH)
    label = np.asarray(Image.open(camvid / "trainannot" / "001.png"))
    assert finding.size == (48, 64)
    assert finding.problem is None
    assert finding.seconds > 0
    assert finding.pixels == {i: n for i in range(12) if (n := int((label == i).sum()))}


def test_sixteen_bit_ids_are_counted() -> None:
    assert pixels_of(np.array([[7, 300], [300, 65535]], np.uint16)) == {7: 1, 300: 2, 65535: 1}


def test_labels_that_were_not_asked_for_are_not_opened(camvid: Path) -> None:
    (camvid / "trainannot" / "000.png").write_bytes(b"no image")
    finding = examine(CamVid(str(camvid), "train"), 0, {"image"})
    assert (finding.problem, finding.pixels) == (None, {})


def test_a_mistake_of_any_kind_is_told_and_not_raised(
    camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = CamVid(str(camvid), "train")
    (camvid / "train" / "000.png").write_bytes(b"no image")
    assert "000.png: is not a whole image file" in (examine(dataset, 0, BOTH).problem or "")

    def fail(path: Path) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(dataset, "read_label", fail)
    assert examine(dataset, 1, BOTH).problem == "train/001.png: ZeroDivisionError: by nothing"


def test_ids_without_a_name_are_told_with_the_labels_path(camvid: Path) -> None:
    path = camvid / "trainannot" / "000.png"
    label = np.asarray(Image.open(path)).copy()
    label[0, :2] = 77, 200
    Image.fromarray(label).save(path)
    dataset = CamVid(str(camvid), "train")
    message = unnamed_ids(dataset, examine(dataset, 0, BOTH)) or ""
    assert f"{path}: the label holds ids 77, 200, for which CamVid has no name" in message
    assert unnamed_ids(dataset, examine(dataset, 1, BOTH)) is None


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("L", "grey.png", ("grey",)),
        ("LA", "both.png", ("alpha", "grey")),
        ("RGBA", "alpha.png", ("alpha",)),
        ("P", "palette.png", ("palette",)),
        ("RGB", "plain.png", ()),
        ("L", "grey.jpg", ("grey",)),
        ("RGB", "plain.jpg", ()),
    ],
)
def test_notes_of_unusual_images(tmp_path: Path, mode: str, name: str, expected: tuple) -> None:
    (tmp_path / "train").mkdir()
    Image.new(mode, (32, 16)).save(tmp_path / "train" / name)
    finding = examine(CamVid(str(tmp_path), "train"), 0, {"image"})
    assert (finding.notes, finding.problem) == (expected, None)


def test_an_exif_rotation_is_noted(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    picture, exif = Image.new("RGB", (32, 16)), Image.Exif()
    exif[274] = 6
    picture.save(tmp_path / "train" / "turned.jpg", exif=exif)
    finding = examine(CamVid(str(tmp_path), "train"), 0, {"image"})
    assert (finding.notes, finding.size) == (("turned",), (16, 32))


@pytest.mark.parametrize("workers", [0, 2])
def test_processes_find_the_same_in_the_same_order(tmp_path: Path, workers: int) -> None:
    root = write_camvid(tmp_path / "many", count=5)
    (root / "train" / "003.png").write_bytes(b"no image")
    dataset = CamVid(str(root), "train")
    alone = [examine(dataset, index, BOTH) for index in (4, 3, 1)]
    found = list(examinations(dataset, [4, 3, 1], BOTH, workers))
    for finding in (*alone, *found):
        finding.seconds = 0
    assert found == alone
    assert list(examinations(dataset, [], BOTH, workers)) == []


def test_drawn_scenes_can_be_looked_at_too() -> None:
    dataset = ToyTown("toytown", "train", {"train": 2}, [32, 64], 0)
    finding = examine(dataset, 1, BOTH)
    assert finding.size == (32, 64)
    assert sum(finding.pixels.values()) == 32 * 64
    assert unnamed_ids(dataset, finding) is None


def test_amounts_are_shares_of_all_pixels(camvid: Path) -> None:
    names = names_of(CamVid(str(camvid), "train"), LabelSpace(("road", "sky")))
    assert names[9] == "person"
    held = amounts([{3: 30, 11: 10}, {3: 20, 0: 40}], {0: "sky", 3: "road", 9: "person"})
    assert held["road"].share == 0.5
    assert (held["road"].images, held["sky"].images, held["person"].images) == (2, 1, 0)
    assert amounts([], {0: "sky"}) == {}


def test_the_contact_sheet_takes_images_of_any_size_and_keeps_their_shape() -> None:
    tall = Shown("tall", np.tile(np.uint8([9, 200, 31]), (600, 30, 1)), None)
    wide = Shown("Straße/" + "x" * 99, np.zeros((5, 10, 3), np.uint8), np.zeros((5, 10), np.uint8))
    sheet = contact_sheet("title", [("train", [tall]), ("val", [wide] * 3), ("none", [])], ["road"])
    assert sheet.shape[1] == COLUMNS * (WIDTH + GAP) + GAP
    assert sheet.dtype == np.uint8
    rows, columns = np.nonzero((sheet == [9, 200, 31]).all(2))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (WIDTH, 16)
    mixed = [round(0.6 * part) for part in color_of("road")]  # over black
    assert (sheet == mixed).all(2).sum() >= 3 * WIDTH * WIDTH // 2
