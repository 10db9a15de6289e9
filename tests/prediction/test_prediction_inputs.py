"""What is found, and what its predictions are called."""

from pathlib import Path

import pytest

from uda_seg.errors import ConfigError
from uda_seg.prediction.inputs import find

OUT = Path("out")


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def names(wanted: str) -> list[str]:
    return [item.name for item in find(wanted, OUT)]


def test_a_folder_keeps_its_folders_and_order() -> None:
    touch("in/b/2.JPG", "in/b/1.png", "in/a.mp4", "in/notes.txt", "in/.hidden/3.png", "in/.4.png")
    found = find("in", OUT)
    assert [item.name for item in found] == ["a", "b/1", "b/2"]
    assert [item.is_video for item in found] == [True, False, False]
    assert [item.path for item in found] == [
        Path("in/a.mp4"),
        Path("in/b/1.png"),
        Path("in/b/2.JPG"),
    ]


def test_a_file_is_taken_even_with_a_patterns_letters_in_its_name() -> None:
    touch("in/frame [1] Straße.png", "in/frame 1 Straße.png")
    assert names("in/frame [1] Straße.png") == ["frame [1] Straße"]


def test_a_patterns_fixed_folders_are_left_out_of_names(tmp_path: Path) -> None:
    touch("in/a/1.png", "in/a/b/2.png", "in/c.png", "in/c.txt")
    assert names("in/*/*.png") == ["a/1"]
    assert names("in/**/*.png") == ["a/1", "a/b/2", "c"]
    assert names(f"{tmp_path}/in/a/*") == ["1"]
    assert names("in/[ab]/?.png") == ["a/1"]


def test_endings_stay_only_where_two_names_would_be_one() -> None:
    touch("in/a.png", "in/A.jpg", "in/a.mp4", "in/b.png")
    assert sorted(names("in")) == ["A.jpg", "a", "a.png", "b"]
    touch("in/a.png.bmp")
    with pytest.raises(ConfigError, match="written to one name; rename one"):
        find("in", OUT)


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("nowhere.png", r"input=nowhere.png: is not there; give a picture, a video, a folder"),
        ("in/notes.txt", r"is neither of pictures \(.png .* or videos \(.mp4"),
        ("in/empty", r"input=in/empty: holds no pictures"),
        ("in/*.jpg", r"input=in/\*.jpg: matches no pictures"),
        ("in/*.txt", r"matches no pictures"),
    ],
)
def test_nothing_to_predict_is_told(wanted: str, complaint: str) -> None:
    touch("in/notes.txt", "in/empty/notes.txt", "in/a.png")
    with pytest.raises(ConfigError, match=complaint):
        find(wanted, OUT)


def test_links_are_followed_once_and_whatever_is_passed_over_is_said(caplog) -> None:
    touch("away/1.png", "away/deep/2.JPG", "away/deep/3.HEIC", "away/deep/4.npy", "in/own/0.png")
    touch("in/.ipynb_checkpoints/0-checkpoint.png", "in/__MACOSX/own/0.png", "in/own/._0.png")
    for name, to in [
        ("b", "../away"),
        ("a", "../away"),
        ("own/up", ".."),
        ("c", "gone"),
        ("d", "d"),
    ]:
        Path("in", name).symlink_to(to, target_is_directory=True)
    Path("in/own/9.png").symlink_to("nowhere.png")
    expected = ["a/1", "a/deep/2", "own/0", "own/9"]
    assert names("in") == names("in/**") == names("in/**/*") == expected
    assert names("in/**/*.png") == ["a/1", "own/0", "own/9"]
    assert names("in/a/*.PNG") == ["1"]
    for said in ("2 links (in/b, …)", "gone, where nothing is", "in .heic", "in .npy"):
        assert caplog.text.count(said) >= 1, said
    assert ".jpg: left out" not in caplog.text, "a pattern is what was asked for"
    with pytest.raises(ConfigError, match="would be predicted itself next time"):
        find("in", Path("away/deep/shown"))


def test_what_is_not_read_is_named() -> None:
    touch("in/1.heic", "in/2.HEIC", "in/.3.png")
    with pytest.raises(ConfigError, match=r"2 files with \.heic, 1 hidden.*convert"):
        find("in", OUT)
    with pytest.raises(ConfigError, match=r"input=in/1.heic: .heic is not read: convert"):
        find("in/1.heic", OUT)
    Path("in/gone").symlink_to("/nowhere")
    with pytest.raises(ConfigError, match="is a link to /nowhere, where nothing is"):
        find("in/gone", OUT)


@pytest.mark.parametrize("output", ["in", "in/out", "elsewhere/../in/out"])
def test_an_output_within_the_input_is_refused(output: str) -> None:
    touch("in/a.png", "elsewhere/b.png")
    for wanted in ("in", "in/**/*.png", "in/**"):
        with pytest.raises(ConfigError, match=r"output=.*would be predicted itself next time"):
            find(wanted, Path(output))
    assert [item.name for item in find("in/*.png", Path("in/out"))] == ["a"]


def test_a_pattern_that_matches_written_files_is_refused() -> None:
    touch("a/1.png", "out/color/1.png")
    assert names("*/1.png") == ["a/1"]
    with pytest.raises(ConfigError, match=r"matches what lies in output=out, such as out/color"):
        find("*/*/*.png", OUT)
