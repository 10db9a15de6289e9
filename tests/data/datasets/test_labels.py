"""Common classes by name, and the look-up tables that follow from them."""

from collections.abc import Iterable

import numpy as np
import pytest

from uda_seg.batch import IGNORE
from uda_seg.data.checking.class_overlap import did_you_mean, misspelt
from uda_seg.data.datasets.camvid import CLASSES as CAMVID
from uda_seg.data.datasets.classes import CITYSCAPES, MERGES, canonical
from uda_seg.data.datasets.labels import LabelSpace, common, label_space
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


def test_words_are_merged_only_where_a_side_knows_no_finer() -> None:
    wheels = ["road", "bicycle", "bicyclist"]
    assert common(wheels, wheels).classes == ("road", "bicyclist", "bicycle")
    assert common(wheels, ["road", "bicyclist"]).classes == ("road", "bicyclist")
    assert common(wheels, CITYSCAPES).classes == ("road", "bicycle")


@pytest.mark.parametrize("merged", MERGES)
def test_every_merge_needs_a_side_with_the_coarse_word_alone(merged: str) -> None:
    parts = [canonical(part) for part in MERGES[merged]]
    both = {"sky", merged, parts[0]}
    assert set(common(both, both).classes) == both
    assert set(common(both, {"sky", *parts}).classes) == {"sky", parts[0]}
    for ours, theirs in ((both, {"sky", merged}), ({"sky", merged}, {"sky", *parts})):
        for space in (common(ours, theirs), common(theirs, ours)):
            assert set(space.classes) == {"sky", merged}
            assert {space.place(part) for part in parts} == {space.place(merged)}
    chosen = label_space(["sky", merged, parts[0]], both, both)
    assert [chosen.place(name) for name in (merged, parts[0])] == [1, 2]
    assert all(chosen.place(part) == IGNORE for part in parts[1:])


def test_a_misspelt_class_is_told_and_words_of_the_field_are_not() -> None:
    def slips(source: Iterable[str], target: Iterable[str]) -> list[tuple[str, ...]]:
        source, target = list(source), list(target)
        return list(misspelt(source, target, common(source, target)))

    slip = ("target", "bulding", "source", "building")
    assert slips(["road", "building"], ["road", "bulding"]) == [slip]
    assert slips(["road", "bulding"], ["road", "building"]) == [
        ("source", "bulding", "target", "building")
    ]
    assert slips(["road", "traffic-light"], CITYSCAPES) == [
        ("source", "traffic-light", "target", "traffic light")
    ]
    # One of several datasets: the target's building is a common class all the same.
    assert slips(["road", "building", "bulding"], CITYSCAPES) == [
        ("source", "bulding", "target", "building")
    ]
    assert slips(SYNTHIA, CITYSCAPES) == slips(CITYSCAPES, CAMVID.values()) == []
    with pytest.raises(ConfigError, match="building: did you mean bulding"):
        common(["building"], ["bulding"])
    assert did_you_mean(*slip) == (
        "target: class 'bulding' is dropped, as the source has no such class; did you mean "
        "'building', which the source has?"
    )


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no class in common"):
        common(["moon"], ["sun"])
