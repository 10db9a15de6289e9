"""Samples that are left out by name, whatever the dataset."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uda_seg.config import conf_folder, shipped
from uda_seg.data.datasets.leaving_out import leave_out, read_names
from uda_seg.data.datasets.opening import open_split
from uda_seg.data.datasets.writing import save_ids, save_image
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import ConfigError, DataError

IMAGE, LABEL = np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4), np.uint8)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name in ("a", "b", "c d"):
            save_image(tmp_path / f"bdd/images/10k/{split}/{name}.jpg", IMAGE)
            save_ids(tmp_path / f"bdd/labels/sem_seg/masks/{split}/{name}.png", LABEL)
    return tmp_path / "bdd"


def names(root: Path, leave_out: Any, split: str = "val") -> list[str]:
    dataset = open_split(
        {**shipped("target", "bdd100k"), "root": str(root), "leave_out": leave_out}, split
    )
    return [Path(dataset.name(index)).stem for index in range(len(dataset))]


def test_every_dataset_in_files_has_the_key() -> None:
    for path in [p for side in ("source", "target") for p in conf_folder().glob(f"{side}/*.yaml")]:
        if "toytown" not in path.stem:
            assert shipped(path.parent.name, path.stem)["leave_out"] is None


def test_names_may_be_spelt_in_many_ways(root: Path) -> None:
    assert names(root, None) == names(root, []) == ["a", "b", "c d"]
    for name in (
        "images/10k/val/a.jpg",
        "images/10k/val/a",
        "./images/10k/val/A.JPG",
        "images\\10k\\val\\a.jpg",
        str(root / "images/10k/val/a.jpg"),
        "labels/sem_seg/masks/val/a.png",
    ):
        assert names(root, [name]) == ["b", "c d"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_serves_all_splits(root: Path, tmp_path: Path, encoding: str) -> None:
    text = "# of the first package\r\n\r\nimages/10k/val/c d.jpg\tits message: x\r\n"
    (tmp_path / "out.txt").write_bytes((text + "images/10k/train/b.jpg\r\n").encode(encoding))
    assert names(root, str(tmp_path / "out.txt")) == ["a", "b"]
    assert names(root, str(tmp_path / "out.txt"), "train") == ["a", "c d"]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["a.jpg"], r"a.jpg is no file of bdd100k, did you mean images/10k/val/a.jpg\?"),
        (["images/10k/vall/a.jpg"], r"did you mean images/10k/val/a.jpg\?"),
        (["images/10k/val/q.png"], "q.png is no file of bdd100k, did you mean images/10k/val/"),
        (["%$&"], "whose samples are called like images/10k/val/a.jpg"),
        ("none.txt", r"leave_out=none.txt: there is no such file; give a text file"),
        ([f"images/10k/val/{name}.jpg" for name in ("a", "b", "c d")], "leaves none of the 3"),
    ],
)
def test_names_that_mean_nothing_are_refused(root: Path, given: Any, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        names(root, given)


def test_a_file_that_names_nothing_is_refused_with_its_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("\nimages/10k/val/a.jpg\nb.jpg\n")
    with pytest.raises(DataError, match=r"out.txt, line 3: b.jpg is no file of bdd100k"):
        names(root, str(tmp_path / "out.txt"))
    for given in (3, [3], {"a": 1}, True):
        with pytest.raises(ConfigError, match="leave_out="):
            read_names(given)


def test_several_sort_names_to_their_members(root: Path) -> None:
    members = {"bdd100k": {**shipped("target", "bdd100k"), "root": str(root)}}
    members["images"] = {**shipped("target", "images"), "root": str(root / "images/10k/val")}
    both = {**shipped("target", "several"), "datasets": members, "leave_out": ["images/a.jpg"]}
    dataset = open_split(both, "val")
    assert [dataset.name(index) for index in range(len(dataset))] == [
        *(f"bdd100k/images/10k/val/{name}.jpg" for name in ("a", "b", "c d")),
        "images/b.jpg",
        "images/c d.jpg",
    ]
    assert "images: 1 of 3 samples are left out by name" in list(dataset.remarks())
    with pytest.raises(DataError, match="must begin with one of bdd100k, images"):
        open_split({**both, "leave_out": ["a.jpg"]}, "val")


def test_what_is_drawn_has_no_samples_to_leave_out() -> None:
    town = ToyTown("toytown", "val", {"val": 2}, [32, 64], 0)
    with pytest.raises(DataError, match="x.png is no file of town"):
        leave_out(town, {"x.png": "leave_out=x.png"}, "town")
    with pytest.raises(ConfigError, match="leave_out: ToyTown is drawn"):
        leave_out(town, {town.name(0): "leave_out"}, "town")
