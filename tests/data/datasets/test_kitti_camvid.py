"""What is special to KITTI and to CamVid's two forms; the rest is tested by their YAMLs."""

from pathlib import Path

import numpy as np
import pytest

from uda_seg.data.datasets.base import Sample
from uda_seg.data.datasets.camvid import BLEMISHED, COLORS, VOID, WORDS, CamVid, CamVid32, split_of
from uda_seg.data.datasets.classes import SPACES
from uda_seg.data.datasets.kitti import KITTI
from uda_seg.data.datasets.writing import save_channels, save_ids, save_image
from uda_seg.errors import DataError

IMAGE = np.zeros((8, 16, 3), np.uint8)


def test_kittis_testing_images_have_no_labels(tmp_path: Path) -> None:
    save_image(tmp_path / "data_semantics/testing/image_2/000000_10.png", IMAGE)
    dataset = KITTI(str(tmp_path), "testing")
    assert not dataset.has_labels
    assert dataset.read(0, {"image"}).label is None
    with pytest.raises(DataError, match=r"000000_10.png: has no label"):
        dataset.read(0, {"label"})


def test_kittis_cropped_images_are_refused(tmp_path: Path) -> None:
    save_image(tmp_path / "training/image_2/000000_10.png", IMAGE)
    save_ids(tmp_path / "training/semantic/000000_10.png", np.full((9, 17), 7, np.uint8))
    dataset = KITTI(str(tmp_path), "training")
    assert dataset.has_labels
    with pytest.raises(DataError, match=r"semantic.*is 17x9 pixels, but its image .* is 16x8"):
        dataset.read(0, {"label"})


LABEL_COLORS = """
64 128 64 Animal, 192 0 128 Archway, 0 128 192 Bicyclist, 0 128 64 Bridge, 128 0 0 Building,
64 0 128 Car, 64 0 192 CartLuggagePram, 192 128 64 Child, 192 192 128 Column_Pole, 64 64 128 Fence,
128 0 192 LaneMkgsDriv, 192 0 64 LaneMkgsNonDriv, 128 128 64 Misc_Text, 192 0 192 MotorcycleScooter,
128 64 64 OtherMoving, 64 192 128 ParkingBlock, 64 64 0 Pedestrian, 128 64 128 Road,
128 128 192 RoadShoulder, 0 0 192 Sidewalk, 192 128 128 SignSymbol, 128 128 128 Sky,
64 128 192 SUVPickupTruck, 0 0 64 TrafficCone, 0 64 64 TrafficLight, 192 64 128 Train,
128 128 0 Tree, 192 128 192 Truck_Bus, 64 0 64 Tunnel, 192 192 0 VegetationMisc, 0 0 0 Void,
64 192 0 Wall
"""
"""The dataset's label_colors.txt."""


def test_camvids_colors_are_those_of_its_list() -> None:
    ours = {word: rgb for words in WORDS.values() for word, rgb in words.items()} | {
        "Void": COLORS[VOID]
    }
    rows = [row.split() for row in LABEL_COLORS.replace("\n", " ").split(",")]
    assert ours == {word: (int(r), int(g), int(b)) for r, g, b, word in rows}


def test_camvids_words_are_32_and_group_to_the_eleven_classes() -> None:
    assert len(set(COLORS)) == len(COLORS) == 32
    assert set(CamVid32.classes.values()) == set(CamVid.classes.values())
    assert set(CamVid32.classes.values()) == set(SPACES["camvid_11"])
    words = {CamVid32.own_names.get(i, name): name for i, name in CamVid32.classes.items()}
    assert words["MotorcycleScooter"] == "bicyclist"
    assert words["LaneMkgsDriv"] == "road"
    assert words["TrafficLight"] == "traffic sign"
    assert words["Truck_Bus"] == "car"


def write_camvid_32(root: Path, *names: str, color: tuple[int, int, int] = (64, 0, 128)) -> None:
    for name in names:
        save_image(root / f"701_StillsRaw_full/{name}.png", IMAGE)
        label = np.full(IMAGE.shape, color, np.uint8)
        save_channels(root / f"LabeledApproved_full/{name}_L.png", label)


def test_every_color_of_camvid_is_read_as_its_word(tmp_path: Path) -> None:
    write_camvid_32(tmp_path, "0006R0_f00930")
    rows = np.array(COLORS, np.uint8).reshape(4, 8, 3).repeat(2, 0).repeat(2, 1)
    save_channels(tmp_path / "LabeledApproved_full/0006R0_f00930_L.png", rows)
    save_image(tmp_path / "701_StillsRaw_full/0006R0_f00930.png", np.zeros_like(rows))
    label = CamVid32(str(tmp_path), "train").read(0, {"label"}).label
    assert label is not None
    np.testing.assert_array_equal(label[::2, ::2].ravel(), np.arange(32))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("0001TP_006690", "train"),
        ("0001TP_008520", "train"),
        ("0001TP_008550", "test"),
        ("0006R0_f03930", "train"),
        ("0016E5_07920", "train"),
        ("0016E5_07959", "val"),
        ("0016E5_08159", "val"),
        ("0016E5_08190", "train"),
        ("Seq05VD_f00000", "test"),
        ("0016E5_07959_L", None),
        ("holiday_01", None),
    ],
)
def test_segnets_split_follows_from_drive_and_frame(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_lists_go_before_segnets_split(tmp_path: Path) -> None:
    write_camvid_32(tmp_path, "0001TP_006690", "0016E5_07959", "Seq05VD_f00000")
    assert CamVid32(str(tmp_path), "val").name(0) == "701_StillsRaw_full/0016E5_07959.png"
    (tmp_path / "val.txt").write_text("Seq05VD_f00000.png\n0001TP_006690.png\n")
    assert len(CamVid32(str(tmp_path), "val")) == 2
    (tmp_path / "val.txt").write_text("Seq05VD_f00030\n")
    with pytest.raises(DataError, match=r"val.txt: names 1 images, of which 1 are not there"):
        CamVid32(str(tmp_path), "val")


def test_frames_of_no_drive_need_a_list(tmp_path: Path) -> None:
    write_camvid_32(tmp_path, "0001TP_006690", "mine")
    with pytest.raises(DataError, match=r"mine.png .*write the names of each split into test.txt"):
        CamVid32(str(tmp_path), "test")


def test_the_blemished_label_is_read_and_no_other(tmp_path: Path) -> None:
    write_camvid_32(tmp_path, BLEMISHED, "Seq05VD_f02640", color=(26, 26, 0))
    dataset = CamVid32(str(tmp_path), "test")
    label = dataset.read(0, {"label"}).label
    assert label is not None
    assert (label == VOID).all()
    with pytest.raises(DataError, match=r"f02640_L.png: color \(26, 26, 0\) .*no class"):
        dataset.read(1, {"label"})


def test_camvid_packed_anew_is_read_too(tmp_path: Path) -> None:
    save_image(tmp_path / "val/0016E5_07959.png", IMAGE)
    save_channels(tmp_path / "val_labels/0016E5_07959_L.png", IMAGE)
    label = CamVid32(str(tmp_path), "val").read(0, {"label"}).label
    assert label is not None
    assert (label == VOID).all()


def test_the_other_form_of_camvid_is_recognised(tmp_path: Path) -> None:
    CamVid.write_sample(tmp_path, "val", 0, Sample(IMAGE, np.zeros((8, 16), np.uint8)))
    assert len(CamVid(str(tmp_path), "val")) == 1
    with pytest.raises(DataError, match=r"holds CamVid's 11-class form \(valannot\)"):
        CamVid32(str(tmp_path), "val")
