"""What a walk finds, and what it says of all else."""

import os
from pathlib import Path

import pytest

from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.feeding.evaluation_set import EvaluationSet
from uda_seg.data.files.listing import walk
from uda_seg.data.files.reading import load
from uda_seg.data.files.spelling import Spelling, folder_of
from uda_seg.errors import DataError


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def link(name: str, to: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).symlink_to(to, target_is_directory=True)


def found(pattern: str = "**/*", folder: str = "in") -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk(Path(folder), pattern).files]


def test_patterns_say_how_deep_to_look() -> None:
    touch("in/a.png", "in/x/b.PNG", "in/x/y/c.jpg", "in/X2/y/d_rgb.Png")
    assert found() == ["X2/y/d_rgb.Png", "a.png", "x/b.PNG", "x/y/c.jpg"]
    assert found("*") == ["a.png"]
    assert found("*/*.png") == ["x/b.PNG"]
    assert found("x*/**/*.png") == ["X2/y/d_rgb.Png", "x/b.PNG"]
    assert found("**/y/*_RGB.png") == ["X2/y/d_rgb.Png"]
    assert found("[0-9]*/*") == []
    assert found(folder="nowhere") == []


def test_real_folders_keep_their_names_and_links_add_what_is_new() -> None:
    touch("in/z/1.png", "away/deep/2.png", "away/3.png")
    for name, to in [("a", "z"), ("b", "../away"), ("c", "../away"), ("z/self", "."), ("up", "..")]:
        link(f"in/{name}", to)
    link("away/back", "../in")
    listing = walk(Path("in"))
    assert found() == ["b/3.png", "b/deep/2.png", "z/1.png"]
    left_out = ["in/a", "in/b/back", "in/c", "in/up", "in/z/self"]
    assert sorted(map(str, listing.repeated)) == left_out
    assert found("*/*.png") == ["b/3.png", "z/1.png"]


def test_a_link_may_stand_for_a_level_that_a_layout_wants() -> None:
    touch("in/1.png")
    link("in/city", ".")
    assert found("*/*.png") == ["city/1.png"]


def test_links_that_lead_nowhere_are_named() -> None:
    touch("in/1.png", "in/2.png")
    link("in/drive", "/mnt/away")
    link("in/loop", "loop")
    os.symlink("gone.png", "in/3.png")
    os.symlink("gone.txt", "in/x.txt")
    listing = walk(Path("in"), "*")
    assert [path.name for path in listing.files] == ["1.png", "2.png", "3.png"]
    assert listing.broken == [Path("in/3.png")]
    with pytest.raises(DataError, match="in/3.png is a link to gone.png, where nothing is"):
        load(Path("in/3.png"))
    said = "\n".join(walk(Path("in")).remarks())
    assert "in/drive: is a link to /mnt/away, where nothing is" in said
    assert "in/loop: is a link" in said


def test_what_is_not_read_is_counted_and_named() -> None:
    touch("in/a/1.jpg", "in/a/2.HEIC", "in/b/3.heic", "in/a/4.png", "in/a/5.txt", "in/.git/6.avif")
    remarks = list(walk(Path("in"), "*/*.jpg").remarks())
    assert remarks == [
        "2 files (in/a/2.HEIC, …) in .heic: not read; convert to .png or .jpg",
        "1 file (in/a/4.png) in .png: left out, the layout has another",
    ]
    empty = walk(Path("in"), "*/*.webp").instead()
    assert "2 files with .heic" in empty
    assert "1 hidden" in empty


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="may list everything")
def test_a_folder_that_may_not_be_listed_stops_the_walk() -> None:
    touch("in/a/1.png", "in/b/2.png")
    Path("in/b").chmod(0)
    with pytest.raises(DataError, match="in/b: may not be listed; give yourself the right"):
        walk(Path("in"))
    Path("in/b").chmod(0o755)


def test_partners_are_found_by_any_spelling_but_never_taken_from_another() -> None:
    touch("r/Labels/A.PNG", "r/Labels/b.png", "r/Labels/C.png", "r/Labels/c.PNG", "r/Labels/d.png")
    wanted = [Path("r/labels", name) for name in ("a.png", "B.png", "b.png", "c.png", "e.png")]
    names = [path.name for path in Spelling(Path("r")).of(wanted) if path]
    assert names == ["A.PNG", "B.png", "b.png", "c.png", "e.png"]
    composed, apart = "Stra\u00dfe_\u00e4.png", "Stra\u00dfe_a\u0308.png"
    touch(f"r/Labels/{apart}")
    assert Spelling(Path("r")).one(Path("r/labels") / composed).name in (apart, composed)
    assert Spelling(Path("r")).one(Path("r/labels") / composed).is_file()


def test_folders_of_a_layout_are_found_by_any_spelling() -> None:
    touch("r/IMAGES/Train/1.png")
    assert folder_of("r", "images/train") == Path("r/IMAGES/Train")
    link("r/gone", "/nowhere")
    with pytest.raises(DataError, match="r/gone is a link to /nowhere, where nothing is"):
        folder_of("r", "gone/train")


def test_a_label_behind_a_broken_link_and_a_shared_one_are_named(camvid: Path) -> None:
    (camvid / "train/000.JPG").write_bytes((camvid / "train/000.png").read_bytes())
    (camvid / "trainannot/002.png").unlink()
    (camvid / "trainannot/002.png").symlink_to("gone.png")
    (camvid / "valannot").rename(camvid / "away")
    (camvid / "valannot").symlink_to("/mnt/away")
    train, val = (CamVid(str(camvid), split) for split in ("train", "val"))
    assert "images share a label (1 times)" in "\n".join(train.remarks())
    assert [said.split(": has")[1] for said in train.missing({"label"})] == [
        f" no label: {camvid / 'trainannot/002.png'} is a link to gone.png, where nothing is "
        "(is a disk not mounted?)"
    ]
    assert f"{camvid / 'valannot'} is a link to /mnt/away" in next(val.missing({"label"}))
    assert list(train.incomplete({"label"})) == ["train/002.png"]
    space = LabelSpace(tuple(val.classes.values()))
    with pytest.raises(DataError, match=r"leave_out=\[val/000.png\] leaves it out"):
        EvaluationSet(val, None, space)[0]
