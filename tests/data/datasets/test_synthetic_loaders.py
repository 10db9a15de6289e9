"""What is special to GTA5, SYNTHIA, Virtual KITTI and CARLA; the rest is tested by their YAMLs."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from uda_seg.data.datasets.base import Sample
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.carla import CARLA
from uda_seg.data.datasets.classes import CITYSCAPES, SPACES
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.datasets.kitti import KITTI
from uda_seg.data.datasets.labels import LabelMapper, common, label_space
from uda_seg.data.datasets.synthia import SYNTHIA
from uda_seg.data.datasets.virtual_kitti import COLORS, IDS, VirtualKITTI, VirtualKITTI2
from uda_seg.data.datasets.writing import save_channels, save_ids, save_image, save_palette
from uda_seg.errors import DataError

IMAGE = np.zeros((8, 16, 3), np.uint8)
ROAD = np.zeros((8, 16), np.uint8)
"""Train ids: all road."""


def write_gta5(root: Path, *numbers: int, label: np.ndarray | None = None) -> None:
    label = np.full((8, 16), 7, np.uint8) if label is None else label
    for number in numbers:
        save_image(root / f"images/{number:05d}.png", IMAGE)
        save_palette(root / f"labels/{number:05d}.png", label, np.zeros((256, 3)))


def stems(dataset: GTA5) -> list[int]:
    return [int(files.image.stem) for files in dataset.files]


def test_gta5s_official_split_is_read_from_its_matlab_file(tmp_path: Path) -> None:
    write_gta5(tmp_path, 1, 2, 3, 4)
    lists = {"trainIds": [[1], [4]], "valIds": [[3]], "testIds": [[2]]}
    (tmp_path / "read_mapping").mkdir()
    savemat(tmp_path / "read_mapping/split.mat", lists)
    assert stems(GTA5(str(tmp_path), "train")) == [1, 4]
    assert stems(GTA5(str(tmp_path), "val")) == [3]
    assert stems(GTA5(str(tmp_path), "all")) == [1, 2, 3, 4]


def test_gta5s_split_can_be_a_list_of_names(tmp_path: Path) -> None:
    write_gta5(tmp_path, 1, 2, 3)
    (tmp_path / "train.txt").write_text("00003.png\n\nimages/00001.png labels/00001.png\n")
    assert stems(GTA5(str(tmp_path), "train")) == [1, 3]


def test_gta5_asks_for_a_split_that_nothing_tells(tmp_path: Path) -> None:
    write_gta5(tmp_path, 1)
    with pytest.raises(DataError, match=r"val split; put split.mat there.*train_split=all"):
        GTA5(str(tmp_path), "val")
    (tmp_path / "val.txt").write_text("\n")
    with pytest.raises(DataError, match=r"val.txt: names no image"):
        GTA5(str(tmp_path), "val")
    (tmp_path / "split.mat").write_bytes(b"not from MATLAB" * 40)
    with pytest.raises(DataError, match=r"split.mat: has no readable list valIds"):
        GTA5(str(tmp_path), "val")


def test_gta5_says_which_images_of_a_split_are_not_there(tmp_path: Path) -> None:
    write_gta5(tmp_path, 1)
    savemat(tmp_path / "split.mat", {"trainIds": [[1], [2], [24966]]})
    with pytest.raises(DataError, match=r"names 3 images, .* 2 are not there \(00002, 24966\)"):
        GTA5(str(tmp_path), "train")


def test_gta5s_label_may_be_off_by_a_few_pixels_only(tmp_path: Path) -> None:
    label = np.full((98, 199), 7, np.uint8)
    label[49:] = 23
    write_gta5(tmp_path, 1, label=label)
    save_image(tmp_path / "images/00001.png", np.zeros((100, 200, 3), np.uint8))
    read = GTA5(str(tmp_path), "all").read(0, {"label"}).label
    assert read is not None
    assert read.shape == (100, 200)
    assert (read[:50] == 7).all()
    assert (read[50:] == 23).all()
    save_image(tmp_path / "images/00001.png", np.zeros((98, 256, 3), np.uint8))
    with pytest.raises(DataError, match="is 199x98 pixels, but its image 00001.png is 256x98"):
        GTA5(str(tmp_path), "all").read(0, {"label"})


def test_gta5s_licence_plates_are_known_and_do_not_count(tmp_path: Path) -> None:
    write_gta5(tmp_path, 1, label=np.full((8, 16), 34, np.uint8))
    dataset = GTA5(str(tmp_path), "all")
    label = dataset.read(0, {"label"}).label
    assert label is not None
    space = common(dataset.classes.values(), dataset.classes.values())
    assert (LabelMapper(space, dataset)(label, "") == 255).all()


def write_synthia(root: Path) -> np.ndarray:
    label = np.zeros((8, 16, 3), np.uint16)
    label[..., 0] = np.arange(16) + 7
    label[..., 1] = 300
    save_image(root / "RGB/0000000.png", IMAGE)
    save_channels(root / "GT/LABELS/0000000.png", label)
    return label[..., 0]


def test_synthias_class_is_the_first_of_three_wide_channels(tmp_path: Path) -> None:
    label = write_synthia(tmp_path / "RAND_CITYSCAPES")
    sample = SYNTHIA(str(tmp_path), "all").read(0, {"label"})
    assert sample.label is not None
    np.testing.assert_array_equal(sample.label, label)
    assert sample.name == "RAND_CITYSCAPES/RGB/0000000.png"


def test_synthias_depth_is_in_centimetres_in_any_channel(tmp_path: Path) -> None:
    write_synthia(tmp_path)
    depth = np.full((8, 16), 1234, np.uint16)
    depth[0], depth[1] = 0, 65535
    save_channels(tmp_path / "Depth/0000000.png", np.stack([depth] * 3, -1))
    read = SYNTHIA(str(tmp_path), "all").read(0, {"depth"}).depth
    assert read is not None
    assert read.dtype == np.float32
    np.testing.assert_allclose(read[:3, 0], [0, 655.35, 12.34], rtol=1e-6)
    save_ids(tmp_path / "Depth/Depth/0000000.png", depth)
    read = SYNTHIA(str(tmp_path), "all").read(0, {"depth"}).depth
    assert read is not None
    assert read[2, 0] == pytest.approx(12.34)


def test_synthias_colors_and_converted_labels_are_refused(tmp_path: Path) -> None:
    write_synthia(tmp_path)
    label, depth = tmp_path / "GT/LABELS/0000000.png", tmp_path / "Depth/Depth/0000000.png"
    for save, what in ((save_image, IMAGE), (save_ids, ROAD)):
        save(label, what)
        with pytest.raises(DataError, match=r"LABELS.*8 bits and [13] channels.*GT/COLOR"):
            SYNTHIA(str(tmp_path), "all").read(0, {"label"})
    save_ids(depth, ROAD)
    with pytest.raises(DataError, match="8 bits, but depth in centimetres has 16"):
        SYNTHIA(str(tmp_path), "all").read(0, {"depth"})


def test_synthia_has_the_fields_classes_and_a_name_for_every_id() -> None:
    names = SYNTHIA.classes.values()
    assert common(names, CITYSCAPES).classes == SPACES["synthia_16"]
    assert label_space("synthia_13", names, CITYSCAPES).classes == SPACES["synthia_13"]
    assert len(common(names, CamVid.classes.values())) == 11
    assert {*SYNTHIA.classes, *SYNTHIA.void} == set(range(23))


def write_virtual_kitti(
    root: Path, encoding: str | None, scene: str = "0001", variation: str = "clone"
) -> None:
    colors = np.zeros((8, 16, 3), np.uint8)
    colors[:4], colors[4:6], colors[6:] = (1, 2, 3), (4, 5, 6), (0, 0, 0)
    save_image(root / f"rgb/{scene}/{variation}/00000.png", IMAGE)
    save_channels(root / f"scenegt/{scene}/{variation}/00000.png", colors)
    if encoding is not None:
        name = f"{scene}_{variation}_scenegt_rgb_encoding.txt"
        (root / "scenegt" / name).write_text(f"Category(:id) r g b\n{encoding}")


def test_virtual_kitti_names_colors_scene_by_scene(tmp_path: Path) -> None:
    write_virtual_kitti(tmp_path, "Sky 1 2 3\nVan:7 4 5 6\n")
    write_virtual_kitti(tmp_path, "Tree 1 2 3\nCar:12 4 5 6\n", "0002")
    write_virtual_kitti(tmp_path, "Road 1 2 3\nTruck:3 4 5 6\n", variation="fog")
    dataset = VirtualKITTI(str(tmp_path), "all")
    labels = [dataset.read(index, {"label"}).label for index in range(3)]
    rows = [[dataset.own_names.get(int(i), (dataset.classes | dataset.void)[int(i)])
             for i in label[[0, 4, 6], 0]] for label in labels if label is not None]  # fmt: skip
    assert rows == [
        ["sky", "van", "undefined"],
        ["road", "truck", "undefined"],
        ["tree", "car", "undefined"],
    ]


@pytest.mark.parametrize(
    ("encoding", "complaint"),
    [
        (None, r"0001_clone_scenegt_rgb_encoding.txt: is not there"),
        ("Sky 1 2 3\n", r"00000.png: color \(4, 5, 6\) at row 4, column 0 belongs to no class"),
        ("Sky 1 2 3\nTram:0 4 5 6\n", r"encoding.txt: line 3 names 'Tram', .* none of Undefined"),
        ("Sky 1 2\n", r"encoding.txt: line 2 is 'Sky 1 2', not a name and three numbers"),
        ("Sky one 2 3\n", r"encoding.txt: line 2 is 'Sky one 2 3', not a name"),
    ],
)
def test_virtual_kittis_wrong_encodings_are_named(
    encoding: str | None, complaint: str, tmp_path: Path
) -> None:
    write_virtual_kitti(tmp_path, encoding)
    dataset = VirtualKITTI(str(tmp_path), "all")
    with pytest.raises(DataError, match=complaint):
        dataset.read(0, {"label"})
    told = list(dataset.missing({"label"}))
    assert bool(told) == (encoding is None)
    assert all(re.search(complaint, message) for message in told)


def test_a_changed_encoding_makes_another_sample(tmp_path: Path) -> None:
    """What is kept of its labels hangs on that text as on the picture."""
    write_virtual_kitti(tmp_path, "Sky 1 2 3\nVan:7 4 5 6\n")
    write_virtual_kitti(tmp_path, "Sky 1 2 3\nVan:7 4 5 6\n", "0002")
    before = [VirtualKITTI(str(tmp_path), "all").identity(index) for index in range(2)]
    text = tmp_path / "scenegt" / "0001_clone_scenegt_rgb_encoding.txt"
    text.write_text("Road 1 2 3\nVan:7 4 5 6\n")
    after = [VirtualKITTI(str(tmp_path), "all").identity(index) for index in range(2)]
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_virtual_kittis_variations_are_splits(tmp_path: Path) -> None:
    for variation in ("clone", "fog", "15-deg-left"):
        write_virtual_kitti(tmp_path, "", variation=variation)
    assert len(VirtualKITTI(str(tmp_path), "all")) == 3
    assert VirtualKITTI(str(tmp_path), "fog").name(0) == "rgb/0001/fog/00000.png"
    with pytest.raises(DataError, match="no split 'foggy': did you mean fog"):
        VirtualKITTI(str(tmp_path), "foggy")


@pytest.mark.parametrize("merged", [False, True])
def test_virtual_kitti_2_is_read_with_its_archives_apart_or_merged(
    merged: bool, tmp_path: Path
) -> None:
    for part, kind, prefix, suffix in (
        ("rgb", "rgb", "rgb", "jpg"),
        ("classSegmentation", "classSegmentation", "classgt", "png"),
        ("depth", "depth", "depth", "png"),
    ):
        folder = tmp_path if merged else tmp_path / f"vkitti_2.0.3_{part}"
        for camera in (0, 1):
            path = folder / f"Scene20/rain/frames/{kind}/Camera_{camera}/{prefix}_00003.{suffix}"
            if part == "depth":
                save_ids(path, np.full((8, 16), 250, np.uint16))
            else:
                save_channels(path, np.full((8, 16, 3), COLORS["Tree"], np.uint8))
    dataset = VirtualKITTI2(str(tmp_path), "all")
    assert len(dataset) == 2
    assert list(dataset.missing({"label", "depth"})) == []
    sample = dataset.read(1, {"label", "depth"})
    assert "Camera_1" in sample.name
    assert sample.label is not None
    assert sample.depth is not None
    assert (sample.label == IDS["Tree"]).all()
    assert (sample.depth == np.float32(2.5)).all()


def test_virtual_kitti_and_kitti_share_the_ten_classes_of_the_field() -> None:
    for dataset in (VirtualKITTI, VirtualKITTI2):
        assert (
            common(dataset.classes.values(), KITTI.classes.values()).classes == SPACES["kitti_10"]
        )


def test_carlas_lines_are_road_and_folders_may_be_nested(tmp_path: Path) -> None:
    CARLA.write_sample(tmp_path / "Town01/day", "all", 0, Sample(IMAGE, ROAD))
    CARLA.write_sample(tmp_path, "all", 0, Sample(IMAGE, ROAD))
    path = tmp_path / "Town01/day/ToyTown_000000_labelIds.png"
    save_ids(path, np.full((8, 16), 24, np.uint8))
    dataset = CARLA(str(tmp_path), "all", "0.9.14")
    space = common(["road", "sky"], dataset.classes.values())
    labels = [dataset.read(index, {"label"}).label for index in range(2)]
    assert sorted(np.unique(np.stack([x for x in labels if x is not None]))) == [1, 24]
    for label in labels:
        assert label is not None
        assert (LabelMapper(space, dataset)(label, "") == space.classes.index("road")).all()


def test_a_palette_keeps_its_indices_in_the_file(tmp_path: Path) -> None:
    """Drawn GTA5 labels are palette PNGs, as the genuine ones are."""
    GTA5.write_sample(tmp_path, "all", 0, Sample(IMAGE, ROAD))
    path = next((tmp_path / "labels").iterdir())
    assert cv2.imread(str(path)).tolist()[0][0] == [128, 64, 128]
    assert path.read_bytes()[25] == 3, "a palette"


def test_drawn_splits_of_gta5_are_listed_once(tmp_path: Path) -> None:
    for split, number in (("train", 0), ("train", 1), ("train", 1), ("val", 0)):
        GTA5.write_sample(tmp_path, split, number, Sample(IMAGE, ROAD))
    assert len(GTA5(str(tmp_path), "train")) == 2
    assert len(GTA5(str(tmp_path), "val")) == 1
    assert len(GTA5(str(tmp_path), "all")) == 3
