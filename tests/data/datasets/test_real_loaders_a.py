"""Genuine files of GTA5, SYNTHIA, KITTI, CARLA and CamVid: ids mean what their names say."""

import os
from pathlib import Path

import numpy as np
import pytest

from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.camvid import split_of
from uda_seg.data.datasets.carla import CARLA
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.gta5 import GTA5
from uda_seg.data.datasets.kitti import KITTI
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.synthia import SYNTHIA
from uda_seg.data.files.reading import read_colors, read_ids
from uda_seg.errors import DataError
from uda_seg.images.pictures import color_of

pytestmark = pytest.mark.real


def there(name: str) -> Path:
    """Skips when the files are not at hand."""
    root = os.environ.get("UDA_SEG_REAL_DATA")
    if not root or not (Path(root) / name).exists():
        pytest.skip(f"genuine data: UDA_SEG_REAL_DATA names no folder with {name}")
    return Path(root) / name


def rows(label: np.ndarray, dataset: Dataset) -> dict[str, float]:
    """Mean row of every class, as a share of the height."""
    space = common(CITYSCAPES, dataset.classes.values())
    encoded = LabelMapper(space, dataset)(label, "genuine")
    means = {name: np.nonzero(encoded == i)[0] for i, name in enumerate(space.classes)}
    return {name: float(r.mean()) / len(label) for name, r in means.items() if r.size}


def read(dataset: Dataset) -> np.ndarray:
    label = dataset.read(0, {"label"}).label
    assert label is not None
    return label


def test_a_synthia_label_is_not_zeros_and_its_street_stands_upright() -> None:
    dataset = SYNTHIA(str(there("samples/synthia")), "all")
    label = read(dataset)
    assert label.shape == (760, 1280)
    assert {1, 2, 3, 6, 8} <= set(np.unique(label).tolist()) <= {*dataset.classes, *dataset.void}
    height = rows(label, dataset)
    assert height["sky"] < height["building"] < height["road"]
    assert height["sky"] < height["car"]
    told = list(dataset.missing({"label", "depth"}))
    assert len(told) == 1
    assert "has no depth" in told[0]


def test_a_carla_label_agrees_with_its_palette_and_stands_upright() -> None:
    root = there("samples/carla")
    dataset = CARLA(str(root), "all", "0.9.14")
    label = read(dataset)
    height = rows(label, dataset)
    assert height["sky"] < height["building"] < height["sidewalk"] < height["road"]
    colors = read_colors(next(root.glob("*_color.png")))
    for identifier in set(np.unique(label).tolist()) & set(range(1, 20)):
        expected = color_of(dataset.classes[identifier])
        assert (colors[label == identifier] == expected).all(), dataset.classes[identifier]


def test_cropped_kitti_images_are_refused_and_their_labels_stand_upright() -> None:
    dataset = KITTI(str(there("samples/kitti")), "training")
    assert len(dataset) == 2
    with pytest.raises(
        DataError, match=r"000000_10.png: is 1242x375 pixels, but its image .* is 1224x370"
    ):
        dataset.read(0, {"label"})
    for files in dataset.files:
        assert files.label is not None
        height = rows(read_ids(files.label), dataset)
        assert height["sky"] < height["building"] < height["car"] < height["road"]


def test_a_gta5_image_is_read_from_the_official_layout(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images/00001.png").symlink_to(there("samples/gta5") / "00000.png")
    dataset = GTA5(str(tmp_path), "all")
    image = dataset.read(0, {"image"}).image
    assert image.shape == (1052, 1914, 3)
    assert image.std() > 20
    assert len(list(dataset.missing({"label"}))) == 1


@pytest.mark.parametrize("split", ["train", "val"])
def test_camvids_split_by_drive_and_frame_is_segnets(split: str) -> None:
    root = there("camvid")
    names = [path.stem for path in (root / split).iterdir()]
    assert {split_of(name) for name in names} == {split}
