"""`data check` on broken datasets: each mistake is named with its file and cure, and ends in 1."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import write_camvid
from test_data_check import check, empty, rewrite, split_of

from uda_seg.errors import CheckError


def stranger(label: np.ndarray) -> np.ndarray:
    label[3, 4] = 77
    return label


def sixteen_bits(path: Path) -> None:
    path.write_bytes(cv2.imencode(".png", np.zeros((48, 64, 3), np.uint16))[1].tobytes())


def as_jpeg(path: Path) -> None:
    path.write_bytes(cv2.imencode(".jpg", np.zeros((48, 64), np.uint8))[1].tobytes())


BROKEN = {
    "truncated image": (
        "val/001.png", lambda p: p.write_bytes(p.read_bytes()[:-200]),
        "val/001.png: is not a whole image file; unpack it again",
    ),
    "text named png": (
        "val/001.png", lambda p: p.write_text("<html>Please log in first</html>"),
        "val/001.png: is not a whole image file; it holds text: was a download page",
    ),
    "empty file": (
        "val/001.png", lambda p: p.write_bytes(b""), "val/001.png: is empty; unpack it again",
    ),
    "16 bits": ("val/001.png", sixteen_bits, "val/001.png: has 16 bits a channel; .* convert it"),
    "other size": (
        "valannot/001.png", rewrite(lambda label: label[:40]),
        "valannot/001.png: is 64x40 pixels, but its image 001.png is 64x48; take both",
    ),
    "stranger": (
        "valannot/001.png", rewrite(stranger),
        "valannot/001.png: the label holds ids 77, for which CamVid has no name; is it another",
    ),
    "ids as JPEG": (
        "valannot/001.png", as_jpeg, "valannot/001.png: is a mask saved as JPEG, .* again as PNG",
    ),
    "colors for ids": (
        "valannot/001.png", rewrite(lambda label: np.stack([label, label, 255 - label], -1)),
        "valannot/001.png: has 3 channels, but a label has one, with ids",
    ),
    "missing label": (
        "valannot/001.png", lambda p: p.unlink(),
        "val/001.png: has no label at .*valannot/001.png; unpack the labels",
    ),
    "training image": (
        "train/002.png", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 40),
        "train/002.png: is not a whole image file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_with_its_cure(
    camvid: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    place, damage, message = BROKEN[kind]
    damage(camvid / place)
    with pytest.raises(CheckError, match="1 problem that breaks a run"):
        check(camvid)
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if re.search(message, line)], said
    assert "1 problem" in said
    listed = Path("run/leave_out_target.txt").read_text()
    assert listed == place.replace("annot", "") + "\n"


def test_its_list_passes_the_check_and_what_is_passed_over_is_noted(camvid: Path) -> None:
    (camvid / "valannot/001.png").unlink()
    (camvid / "train/002.heic").write_bytes(b"")
    with pytest.raises(CheckError):
        check(camvid)
    found = check(camvid, "target.leave_out=run/leave_out_target.txt")
    notes = "\n".join(note for split in found["splits"] for note in split["notes"])
    assert "1 of 3 samples are left out by name" in notes
    assert "1 file (" in notes
    assert "002.heic) in .heic: not read" in notes
    assert "are trained on" not in notes


def test_splits_that_are_the_same_files_are_noted(camvid: Path) -> None:
    shutil.rmtree(camvid / "val")
    (camvid / "val").symlink_to("train", target_is_directory=True)
    notes = [note for split in check(camvid)["splits"] for note in split["notes"]]
    assert [note for note in notes if "all 3 images that are scored (val) are trained on" in note]


def test_missing_labels_are_found_beyond_the_limit(camvid: Path) -> None:
    (camvid / "valannot" / "002.png").unlink()
    with pytest.raises(CheckError):
        check(camvid, "limit=1")
    found = json.loads(Path("run/check.json").read_text())
    assert split_of(found, "target", "val")["looked_at"] == 1
    assert split_of(found, "target", "val")["missing"] == 1


def test_many_problems_are_listed_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_camvid(tmp_path / "camvid", count=9)
    for path in (root / "valannot").iterdir():
        path.unlink()
    with pytest.raises(CheckError, match="9 problems"):
        check(root)
    assert "and 4 more problems, see problems.txt" in capsys.readouterr().out
    assert len(Path("run/problems.txt").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: root.rename(root.with_name("away")), r"none of the folders train .*set sou"),
        (lambda root: empty(root / "val"), r"CamVid: no images under .*; set source.root="),
    ],
)
def test_a_dataset_that_cannot_be_opened_does_not_hide_the_other(
    camvid: Path, capsys: pytest.CaptureFixture[str], prepare: Callable, message: str
) -> None:
    prepare(camvid)
    with pytest.raises(CheckError):
        check(camvid)
    said = capsys.readouterr().out
    assert re.search(message, said), said
    found = json.loads(Path("run/check.json").read_text())
    assert split_of(found, "source", "train")["looked_at"] == 3
    assert split_of(found, "target", "val")["samples"] is None
    assert Path("run/source.png").is_file()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_without_permission_is_named(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (camvid / "val" / "001.png").chmod(0)
    with pytest.raises(CheckError):
        check(camvid)
    assert "val/001.png: may not be read; give yourself the right: chmod" in capsys.readouterr().out


def test_a_refused_permission_is_named(
    camvid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, for users such as root whom no permission stops."""
    genuine = np.fromfile

    def refuse(path: Path, *arguments: object, **options: object) -> np.ndarray:
        if str(path).endswith("val/001.png"):
            raise PermissionError(13, "Permission denied", str(path))
        return genuine(path, *arguments, **options)

    monkeypatch.setattr(np, "fromfile", refuse)
    with pytest.raises(CheckError):
        check(camvid)
    assert "val/001.png: may not be read; give yourself the right: chmod" in capsys.readouterr().out
