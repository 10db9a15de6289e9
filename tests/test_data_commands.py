"""`data classes` and `data draw` as a user calls them."""

import subprocess
from pathlib import Path

import pytest
from test_cli import run_python

MAIN = "from uda_seg.__main__ import main; main()"


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return run_python(MAIN, *words)


@pytest.mark.parametrize(
    ("pair", "classes", "expected"),
    [
        ("source=gta5 target=cityscapes", 19, ["mIoU 19", "mIoU 16", "mIoU 13", "mIoU 7"]),
        ("source=synthia target=cityscapes", 16, ["16 terrain", "mIoU 16", "mIoU 13"]),
        ("source=virtual_kitti target=kitti", 10, ["mIoU 10", "3 tree", "14 van"]),
        ("source=synthia target=camvid", 11, ["17 rider", "mIoU 11"]),
        ("source=gta5 target=idd_lite", 7, ["7 road", "mIoU IDD 7"]),
        ("source=synthia target=idd_lite", 7, ["living things"]),
        ("source=synthia target=cityscapes label_space=synthia_13", 13, ["mIoU 13"]),
    ],
)
def test_common_classes_without_any_file(pair: str, classes: int, expected: list[str]) -> None:
    answer = call("data", "classes", *pair.split())
    assert answer.returncode == 0, answer.stderr
    assert f": {classes} classes" in answer.stdout
    said = " ".join(answer.stdout.split())
    for words in expected:
        assert words in said, answer.stdout
    assert list(Path().iterdir()) == []  # nothing is written


def test_a_drawn_dataset_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    words = ["data", "draw", "layout=cityscapes", "length=[2,1]", "size=[32,64]", "workers=0"]
    root = tmp_path / "data" / "cityscapes"
    answer = call(*words, f"data_root={tmp_path / 'data'}")
    assert answer.returncode == 0, answer.stderr
    assert f"data check source=cityscapes source.root={root}" in answer.stdout.replace(
        "target", "source"
    )
    images = [p.parts[-3] for p in sorted(root.glob("leftImg8bit/*/*/*.png"))]
    assert images == ["train", "train", "val"]
    again = call(*words, f"root={root}")
    assert again.returncode == 2
    assert "is not empty; give another root=" in again.stderr
    assert sorted(p.name for p in root.parent.iterdir()) == ["cityscapes"]


def test_a_second_word_is_asked_for() -> None:
    answer = call("data")
    assert answer.returncode == 2
    assert "data classes: Print what" in answer.stderr
    assert "data draw" in call("--help").stdout


def test_an_unknown_layout_is_answered_with_the_known_ones() -> None:
    answer = call("data", "draw", "layout=gta6")
    assert answer.returncode == 2
    assert "layout=gta6: unknown, did you mean gta5? choose from" in answer.stderr
