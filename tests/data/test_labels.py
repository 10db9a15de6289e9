"""Common classes by name, and the look-up tables that follow from them."""

import numpy as np
import pytest

from uda_seg.batch import IGNORE
from uda_seg.data.camvid import CLASSES as CAMVID
from uda_seg.data.classes import CITYSCAPES
from uda_seg.data.labels import LabelSpace, common, label_space
from uda_seg.errors import ConfigError

SYNTHIA = (
    "sky building road sidewalk fence vegetation pole car sign pedestrian bicycle motorcycle "
    "light rider bus wall"
).split()


def test_the_same_classes_are_all_common_in_cityscapes_order() -> None:
    assert common(reversed(CITYSCAPES), CITYSCAPES).classes == CITYSCAPES


def test_synthia_and_cityscapes_share_sixteen() -> None:
    shared = common(SYNTHIA, CITYSCAPES).classes
    assert set(CITYSCAPES) - set(shared) == {"terrain", "truck", "train"}
    assert list(shared) == [name for name in CITYSCAPES if name in shared]


def test_camvid_sees_rider_and_bicycle_as_one() -> None:
    space = common(CITYSCAPES, CAMVID.values())
    assert len(space) == 11
    assert "bicyclist" in space.classes
    table = space.lookup(dict(enumerate(CITYSCAPES)))
    bicyclist = space.classes.index("bicyclist")
    assert table[CITYSCAPES.index("rider")] == bicyclist == table[CITYSCAPES.index("bicycle")]
    assert table[CITYSCAPES.index("train")] == IGNORE


def test_every_id_nobody_named_is_ignored() -> None:
    table = LabelSpace(("road", "sky")).lookup({7: "road", 23: "Sky", 8: "sidewalk"})
    assert table[7] == 0
    assert table[23] == 1
    assert (np.delete(table, [7, 23]) == IGNORE).all()


def test_a_chosen_label_space_keeps_its_order_and_is_checked() -> None:
    assert label_space(["sky", "road"], CITYSCAPES, CITYSCAPES).classes == ("sky", "road")
    with pytest.raises(ConfigError, match="tram not common.*choose from road"):
        label_space(["tram"], CITYSCAPES, CITYSCAPES)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no class in common"):
        common(["moon"], ["sun"])
