"""Mapillary Vistas: two releases, whose config files say what an id is called."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.mapillary import Mapillary, Mapillary2
from uda_seg.data.datasets.mapillary_names import (
    CITYSCAPES_WORDS,
    FINER,
    NAMES_1_2,
    NAMES_2_0,
    WORDS,
)
from uda_seg.data.datasets.writing import save_image, save_palette
from uda_seg.errors import DataError

# lhoyer/HRDA, tools/convert_datasets/mapillary.py: id of release 1.2 -> train id.
HRDA = {
    13: 0, 24: 0, 41: 0, 2: 1, 15: 1, 17: 2, 6: 3, 3: 4, 45: 5, 47: 5, 48: 6, 50: 7, 30: 8, 29: 9,
    27: 10, 19: 11, 20: 12, 21: 12, 22: 12, 55: 13, 61: 14, 54: 15, 58: 16, 57: 17, 52: 18,
}  # fmt: skip


def vistas(root: Path, labels: str, ids: list[int]) -> Path:
    save_image(root / "training/images/a.jpg", np.zeros((4, 8, 3), np.uint8))
    label = np.tile(np.array(ids, np.uint8), (4, 8 // len(ids)))
    save_palette(root / "training" / labels / "a.png", label, np.zeros((256, 3)))
    return root


def config(*labels: dict[str, Any]) -> str:
    return json.dumps({"labels": list(labels), "version": "1.2"})


def test_release_1_2_has_the_fields_nineteen_classes() -> None:
    ours = {
        identifier: CITYSCAPES.index(name)
        for identifier, name in Mapillary.classes.items()
        if name in CITYSCAPES
    }
    assert ours == HRDA


@pytest.mark.parametrize(("kind", "count"), [(Mapillary, 66), (Mapillary2, 124)])
def test_every_id_has_one_meaning_and_all_classes_are_there(kind: type, count: int) -> None:
    assert sorted([*kind.classes, *kind.void]) == list(range(count))
    assert set(CITYSCAPES) <= set(kind.classes.values())


def test_tables_hold_names_that_exist() -> None:
    assert {name for names in WORDS.values() for name in names} <= set(NAMES_1_2)
    assert {name for names in FINER.values() for name in names} <= set(NAMES_2_0)
    assert set(FINER) <= set(NAMES_1_2)


def test_a_name_of_both_releases_is_the_same_class_in_both() -> None:
    both = set(NAMES_1_2) & set(NAMES_2_0)
    assert len(both) > 50
    for name in both:
        told = {
            kind.classes.get(list(kind.names).index(name), "void")
            for kind in (Mapillary, Mapillary2)
        }
        assert told == {CITYSCAPES_WORDS.get(name, "void")}


@pytest.mark.parametrize("labels", ["labels", "v1.2/labels"])
def test_labels_lie_where_either_package_has_them(tmp_path: Path, labels: str) -> None:
    sample = Mapillary(str(vistas(tmp_path, labels, [13, 65])), "training").read(0, {"label"})
    assert sample.label is not None
    assert sample.label[0, :2].tolist() == [13, 65]


def test_releases_do_not_read_each_others_labels(tmp_path: Path) -> None:
    vistas(tmp_path, "v1.2/labels", [13])
    (told,) = Mapillary2(str(tmp_path), "training").missing({"label"})
    assert "v2.0/labels/a.png" in told


def test_the_config_file_has_the_last_word(tmp_path: Path) -> None:
    road = {"name": "construction--flat--road", "readable": "Road"}
    marking = {"name": "marking--general", "readable": "Lane Marking - General"}
    strange = {"name": "object--teapot", "readable": "Teapot"}
    vistas(tmp_path, "labels", [0])
    (tmp_path / "config.json").write_text(config(strange, marking, road))
    dataset = Mapillary(str(tmp_path), "training")
    assert dataset.classes == {1: "road", 2: "road"}
    assert dataset.void == {0: "teapot"}
    assert dataset.own_names == {1: "lane marking - general"}
    assert len(Mapillary.classes) > 2, "the class itself stays as it was"


@pytest.mark.parametrize("text", ["", "[]", '{"labels": [1]}', '{"labels": [{"readable": "Sky"}]}'])
def test_a_broken_config_file_is_named(tmp_path: Path, text: str) -> None:
    vistas(tmp_path, "v2.0/labels", [0])
    (tmp_path / "config_v2.0.json").write_text(text)
    with pytest.raises(DataError, match=r"config_v2.0.json: is (no config file|empty)"):
        Mapillary2(str(tmp_path), "training")


def test_testing_is_pictures_alone(tmp_path: Path) -> None:
    save_image(tmp_path / "testing/images/a.jpg", np.zeros((4, 8, 3), np.uint8))
    assert not Mapillary(str(tmp_path), "testing").has_labels
