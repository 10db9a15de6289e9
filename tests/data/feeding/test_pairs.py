"""Any source goes with any target: their common classes, and the configs that compose."""

import functools
from itertools import zip_longest
from pathlib import Path

import pytest

from uda_seg.cli.command_line import check
from uda_seg.commands.data_classes import Words, dropped, members, words_of
from uda_seg.config import conf_folder, shipped
from uda_seg.data.datasets.classes import CITYSCAPES, IDD_LEVEL_1, SPACES
from uda_seg.data.datasets.labels import LabelSpace, common

UNLABELLED = {"images", "video", "folder", "several"}
"""Their classes are nobody's, or a user's own."""


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_folder() / group).glob("*.yaml"))


@functools.cache
def words(group: str, name: str) -> Words:
    """Without any file: the datasets' classes know their names."""
    return words_of(shipped(group, name))


LABELLED = {
    group: [n for n in names(group) if n not in UNLABELLED] for group in ("source", "target")
}


@pytest.mark.parametrize("source", LABELLED["source"])
def test_a_source_has_classes_in_common_with_every_target(source: str) -> None:
    ours = words("source", source)
    for target in LABELLED["target"]:
        theirs = words("target", target)
        space = common(ours.classes.values(), theirs.classes.values())
        assert len(space) >= 6, (source, target)
        for side in (ours, theirs):
            kept = [members(space, side, place) for place in range(len(space))]
            assert all(kept), "a common class that one side has no id for"
            lost = dropped(space, side)
            assert len(lost) + sum(map(len, kept)) == len(side.classes)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("gta5", "cityscapes", SPACES["cityscapes_19"]),
        ("synthia", "cityscapes", SPACES["synthia_16"]),
        ("virtual_kitti", "kitti", SPACES["kitti_10"]),
        ("virtual_kitti_2", "kitti", SPACES["kitti_10"]),
        ("synthia", "camvid", SPACES["camvid_11"]),
        ("synthia", "camvid_32", SPACES["camvid_11"]),
        ("gta5", "camvid", SPACES["camvid_11"]),
        ("gta5", "idd_lite", IDD_LEVEL_1),
        ("synthia", "idd_lite", IDD_LEVEL_1),
        ("cityscapes", "idd_lite", IDD_LEVEL_1),
        ("camvid", "idd_lite", IDD_LEVEL_1),
        ("toytown", "idd_lite", IDD_LEVEL_1),
        ("cityscapes", "acdc", CITYSCAPES),
        ("cityscapes", "dark_zurich", CITYSCAPES),
        ("synscapes", "cityscapes", CITYSCAPES),
        ("urbansyn", "mapillary", CITYSCAPES),
        ("gta5", "bdd100k", CITYSCAPES),
    ],
)
def test_known_pairs(source: str, target: str, expected: tuple[str, ...]) -> None:
    sides = words("source", source), words("target", target)
    space = common(*(side.classes.values() for side in sides))
    assert set(space.classes) == set(expected)


def test_virtual_kitti_has_nobody_on_its_streets() -> None:
    """The one level-1 class of IDD that it lacks."""
    space = common(
        words("source", "virtual_kitti").classes.values(),
        words("target", "idd_lite").classes.values(),
    )
    assert set(IDD_LEVEL_1) - set(space.classes) == {"living things"}


def test_virtual_kittis_trees_and_vans_count() -> None:
    space = LabelSpace(SPACES["kitti_10"])
    ours = words("source", "virtual_kitti")
    shown = {name: members(space, ours, place) for place, name in enumerate(space.classes)}
    assert [word.split()[1] for word in shown["vegetation"]] == ["tree", "vegetation"]
    assert [word.split()[1] for word in shown["car"]] == ["car", "van"]


@pytest.mark.parametrize(
    ("source", "target"),
    list(
        zip_longest(
            *([n for n in names(group) if n != "several"] for group in ("source", "target")),
            fillvalue="toytown",
        )
    ),
)
def test_every_pair_composes(source: str, target: str, tmp_path: Path) -> None:
    needed = [
        f"{group}.root={tmp_path}"
        for group, name in (("source", source), ("target", target))
        if name in UNLABELLED
    ]
    config = check("train", [f"source={source}", f"target={target}", *needed]).config
    assert (config.source.name, config.target.name) == (source, target)
    assert config.run_name.startswith(f"adaptseg_{source}_to_{target}_")
