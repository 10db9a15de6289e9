"""`data classes` and `data draw` as a user calls them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome, compose

from uda_seg.commands import data_classes, data_draw
from uda_seg.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("pair", "classes", "expected"),
    [
        ("source=gta5 target=cityscapes", 19, ["mIoU 19", "mIoU 16", "mIoU 13", "mIoU 7"]),
        (
            "source=synthia target=cityscapes",
            16,
            ["void in synthia", "terrain", "mIoU 16", "mIoU 13"],
        ),
        ("source=virtual_kitti target=kitti", 10, ["mIoU 10", "3 tree", "14 van"]),
        ("source=synthia target=camvid", 11, ["17 rider", "mIoU 11"]),
        ("source=gta5 target=idd_lite", 7, ["7 road", "mIoU IDD 7"]),
        ("source=synthia target=idd_lite", 7, ["living things"]),
        ("source=synthia target=cityscapes label_space=synthia_13", 13, ["mIoU 13"]),
    ],
)
def test_common_classes_without_any_file(
    pair: str, classes: int, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data_classes.run(compose("data_classes", pair.split()), Path())
    answer = capsys.readouterr().out
    assert f": {classes} classes" in answer
    said = " ".join(answer.split())
    for words in expected:
        assert words in said, answer


def test_the_table_is_printed_and_nothing_written(command_line: Callable[..., Outcome]) -> None:
    answer = command_line("data", "classes", "source=synthia", "target=cityscapes")
    assert answer.returncode == 0, answer.stderr
    assert "synthia → cityscapes: 16 classes" in answer.stdout
    assert "dropped from cityscapes: 22 terrain, 27 truck, 31 train" in answer.stdout
    assert list(Path().iterdir()) == []


def test_a_drawn_dataset_is_there_whole_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["layout=cityscapes", "length=[2,1]", "size=[32,64]", "workers=0"]
    config = compose("data_draw", [*words, f"data_root={tmp_path / 'data'}"])
    data_draw.run(config, Path())
    root = tmp_path / "data" / "cityscapes"
    assert f"data check source=cityscapes source.root={root}" in capsys.readouterr().out
    images = [p.parts[-3] for p in sorted(root.glob("leftImg8bit/*/*/*.png"))]
    assert images == ["train", "train", "val"]
    with pytest.raises(DataError, match="root=.*: is there already; give another one"):
        data_draw.run(config, Path())
    assert sorted(p.name for p in root.parent.iterdir()) == ["cityscapes"]


def test_an_unknown_layout_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="layout=gta6: unknown, did you mean gta5"):
        data_draw.run(compose("data_draw", ["layout=gta6"]), Path())


def test_a_second_word_is_asked_for(command_line: Callable[..., Outcome]) -> None:
    answer = command_line("data")
    assert answer.returncode == 2
    assert "data classes: Print what" in answer.stderr
    assert "data draw" in command_line("--help").stdout
