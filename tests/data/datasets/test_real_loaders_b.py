"""Genuine files of Cityscapes and Mapillary Vistas, when UDA_SEG_REAL_DATA names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest

from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.labels import LabelMapper, common
from uda_seg.data.datasets.mapillary import Mapillary, Mapillary2
from uda_seg.data.files.label_ids import divide_ids, whole
from uda_seg.data.files.reading import read_ids

pytestmark = pytest.mark.real


def there(name: str) -> Path:
    """Skips when the files are not at hand."""
    if "UDA_SEG_REAL_DATA" not in os.environ:
        pytest.skip("genuine data: set UDA_SEG_REAL_DATA to the folder that holds it")
    path = Path(os.environ["UDA_SEG_REAL_DATA"]) / name
    if not path.exists():
        pytest.skip(f"genuine data: {path} is not there")
    return path


def test_cityscapes_label_ids_agree_with_its_own_train_ids() -> None:
    """The sample is shrunk, and its two labels differ in single pixels at edges."""
    root = there("samples/cityscapes")
    dataset = Cityscapes(str(root), "val")
    sample = dataset.read(0, {"image", "label"})
    assert sample.image.shape == (128, 256, 3)
    assert sample.label is not None
    space = common(CITYSCAPES, dataset.classes.values())
    encoded = LabelMapper(space, dataset)(sample.label, sample.name)
    assert space.classes == CITYSCAPES
    (own,) = root.glob("gtFine/val/*/*_labelTrainIds.png")
    assert (encoded == read_ids(own)).mean() > 0.995


def test_cityscapes_instance_ids_are_divided_to_its_label_ids() -> None:
    folder = there("samples/cityscapes")
    (instances,) = folder.glob("gtFine/val/*/*_instanceIds.png")
    (labels,) = folder.glob("gtFine/val/*/*_labelIds.png")
    ids = read_ids(instances)
    assert ids.max() > 24000
    assert (
        divide_ids(whole(instances, ids), 1000, small_too=False) == read_ids(labels)
    ).mean() > 0.99


@pytest.mark.parametrize(
    ("kind", "release", "labels"),
    [(Mapillary, "v1.2", "labels"), (Mapillary2, "v2.0", "v2.0/labels")],
)
def test_mapillarys_releases_name_one_picture_alike(
    kind: type[Mapillary], release: str, labels: str, tmp_path: Path
) -> None:
    """The sample, 100x100 pixels of a wall with a lamp post, is put into the official folders."""
    sample = there("samples/mapillary")
    for place, part in (("images", "images"), (labels, release)):
        folder = tmp_path / "training" / place
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.symlink_to(sample / part)
    dataset = kind(str(tmp_path), "training")
    read = dataset.read(0, {"image", "label"})
    assert read.label is not None
    names = {{**dataset.classes, **dataset.void}[i] for i in np.unique(read.label).tolist()}
    assert names == {"building", "pole", "street light"}
    space = common(CITYSCAPES, dataset.classes.values())
    encoded = LabelMapper(space, dataset)(read.label, read.name)
    shares = [(encoded == CITYSCAPES.index(name)).mean() for name in ("building", "pole")]
    assert shares[0] > shares[1] > 0
