"""Genuine files. UDA_SEG_REAL_DATA names a folder that holds them, such as `camvid/`."""

import os
from pathlib import Path

import numpy as np
import pytest

from uda_seg.data.datasets.camvid import CLASSES, CamVid
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.labels import common
from uda_seg.data.feeding.data_module import EvaluationSet
from uda_seg.networks.pretrained import load_pretrained

pytestmark = pytest.mark.real
REAL = Path(os.environ.get("UDA_SEG_REAL_DATA", ""))


def there(name: str) -> Path:
    """Skips when the files are not at hand."""
    if "UDA_SEG_REAL_DATA" not in os.environ:
        pytest.skip("genuine data: set UDA_SEG_REAL_DATA to the folder that holds it")
    if not (REAL / name).exists():
        pytest.skip(f"genuine data: {REAL / name} is not there")
    return REAL / name


@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_camvid_is_read_whole(split: str, count: int) -> None:
    dataset = CamVid(str(there("camvid")), split)
    assert len(dataset) == count
    seen: set[int] = set()
    for index in range(0, count, 10):
        sample = dataset.read(index, {"image", "label"})
        assert sample.label is not None
        assert sample.image.shape == (360, 480, 3)
        seen |= set(np.unique(sample.label).tolist())
    assert set(CLASSES) <= seen <= {*CLASSES, 11}


def test_camvids_sky_is_above_its_road() -> None:
    """Ids and names belong together: sky and road lie where they lie in a street."""
    dataset = CamVid(str(there("camvid")), "val")
    space = common(CITYSCAPES, dataset.classes.values())
    pictures = EvaluationSet(dataset, [90, 120], space)
    labels = np.stack([pictures[i][1].numpy() for i in range(0, len(dataset), 10)])
    rows = {
        name: np.nonzero(labels == space.classes.index(name))[1].mean() for name in space.classes
    }
    assert rows["sky"] < rows["building"] < rows["sidewalk"]
    assert rows["building"] < rows["car"] < rows["road"]


def test_genuine_weights_fill_the_small_encoder() -> None:
    from uda_seg.networks.backbones import TimmEncoder

    path = there("weights/tf_efficientnet_lite0.pth")
    encoder = TimmEncoder("tf_efficientnet_lite0", 8, -2)
    report = load_pretrained(encoder.body, encoder.name, str(path))
    assert "165 of 165" in report, report
