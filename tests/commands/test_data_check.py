"""`data check` finds what would break a run, names the file and the cure, and writes elsewhere."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import Outcome, compose, write_camvid
from PIL import Image
from rich.console import Console

from uda_seg.commands import data_check
from uda_seg.data.checking.split_check import SplitCheck
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.cityscapes import Cityscapes
from uda_seg.data.datasets.urbansyn import UrbanSyn
from uda_seg.data.datasets.writing import raw_ids, save_ids
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import CheckError
from uda_seg.report import data_check as report


def check(root: Path, *more: str, **target: object) -> dict:
    """Found in CamVid as the target of ToyTown, whose keys may differ; raises as the command."""
    folder = Path("run").resolve()
    words = [
        "target=camvid", f"target.root='{root}'", "workers=0", "pictures=1", "cache_root=cache",
        "source.length.train=3", "source.length.val=2", "source.size=[32,64]",
    ]  # fmt: skip
    try:
        config = compose("data_check", [*words, *more])
        config["target"].update(target)
        data_check.run(config, folder)
    finally:
        found = json.loads((folder / "check.json").read_text())
    return found


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and dates of everything below a folder, and of itself."""
    paths = [root, *sorted(root.rglob("*"))]
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]


def split_of(found: dict, domain: str, split: str) -> dict:
    return next(s for s in found["splits"] if (s["domain"], s["split"]) == (domain, split))


def rewrite(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        Image.fromarray(change(np.asarray(Image.open(path)).copy())).save(path)

    return apply


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_a_good_pair_passes_and_nothing_is_written_into_its_folder(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listing(camvid)
    found = check(camvid)
    assert listing(camvid) == before
    said = capsys.readouterr().out
    assert "ok" in said
    assert "problem" not in said
    assert "dropped from toytown, as the other has no such class: wall, traffic light" in said
    train, val = (split_of(found, "target", split) for split in ("train", "val"))
    assert (train["samples"], train["labels"], train["sizes"]) == (3, "left", "64x48")
    assert (val["looked_at"], val["labels"], val["problems"]) == (3, "opened", [])
    assert train["images_per_second"]["1"] > 0
    labels = [np.asarray(Image.open(p)) for p in (camvid / "valannot").iterdir()]
    share = np.mean([(label == 3).mean() for label in labels])
    assert found["amounts"]["target"]["road"]["share"] == pytest.approx(share)
    assert found["amounts"]["source"]["road"]["images"] == 3
    assert cv2.imread("run/target.png").shape[1] == cv2.imread("run/source.png").shape[1]
    assert "<svg xmlns" in Path("run/classes.svg").read_text()
    assert not Path("run/problems.txt").exists()


def test_a_second_check_remembers_and_says_so(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first = check(camvid)
    assert "kept from an earlier check" not in caplog.text
    second = check(camvid)
    assert "have not changed: target camvid train 3, target camvid val 3 (refresh" in caplog.text
    assert second["amounts"] == first["amounts"]
    assert split_of(second, "target", "val")["known_already"] == 3
    assert split_of(second, "source", "train")["known_already"] == 0  # it lies nowhere
    third = check(camvid, "refresh=true")
    assert split_of(third, "target", "val")["known_already"] == 0
    Image.new("L", (9, 9)).save(camvid / "valannot" / "002.png")
    with pytest.raises(CheckError):
        check(camvid)


def test_the_targets_training_labels_stay_closed(camvid: Path) -> None:
    for path in (camvid / "trainannot").iterdir():
        path.write_bytes(b"no image")
    (camvid / "trainannot" / "000.png").unlink()
    train = split_of(check(camvid), "target", "train")
    assert (train["labels"], train["looked_at"], train["problems"]) == ("left", 3, [])


def test_unusual_but_usable_images_are_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_camvid(tmp_path / "Straße 道路", count=12)
    for number, mode in enumerate(["L", "RGBA", "P"]):
        path = root / "val" / f"{number:03}.png"
        Image.open(path).convert(mode).save(path)
    Image.new("RGB", (80, 60)).save(root / "train" / "003.png")
    check(root)
    said = capsys.readouterr().out
    assert "grey images, read as three equal channels: 1 (val/000.png)" in said
    assert "alpha channel, which is dropped: 1 (val/001.png)" in said
    assert "palette images, read in their palette's colors: 1 (val/002.png)" in said
    assert "odd sizes: 80x60 1 (train/003.png)" in said
    assert "2: 64x48 … 80x60" in said


def test_sizes_that_make_no_batch_are_a_problem(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "camvid", count=1)
    for number in range(1, 200):
        Image.new("RGB", (30 + number, 20)).save(root / "train" / f"{number:03}.png")
    found = check(root)
    assert split_of(found, "target", "train")["sizes"] == "200: 31x20 … 64x48"
    assert split_of(found, "target", "train")["notes"] == []  # none of them is odd
    with pytest.raises(CheckError):
        check(root, size=None)
    found = json.loads(Path("run/check.json").read_text())
    assert "200 sizes, which make no batch together: set target.size=[h,w]" in str(found)
    check(root, "target.augment.crop=[16,16]", size=None)


def test_classes_that_do_not_go_together_are_a_problem(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckError):
        check(camvid, "label_space=[road,train]")
    said = capsys.readouterr().out
    assert "label_space: train not common to source and target" in said
    assert "■ pole" in said  # classes are counted all the same
    assert check(camvid, "label_space=[sky,road]")["classes"] == ["sky", "road"]


def test_a_class_that_no_label_holds_is_noted_of_a_target_and_a_problem_of_a_source(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (camvid / "valannot").iterdir():
        rewrite(lambda label: np.where(label == 10, 3, label).astype(np.uint8))(path)
    (note,) = split_of(check(camvid), "target", "val")["notes"]
    assert note.startswith(
        "no label that was opened (all 3) holds bicyclist. Ids found that do not"
    )
    for path in (camvid / "trainannot").iterdir():
        rewrite(lambda label: np.where(label == 10, 3, label).astype(np.uint8))(path)
    with pytest.raises(CheckError):
        both("camvid", camvid)
    assert "source camvid train: no label that was opened (all 3) holds bicyc" in (
        capsys.readouterr().out
    )


def test_labels_of_another_numbering_are_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    town = ToyTown("toytown", "train", {"train": 4}, [48, 80], 0)
    for number in range(4):
        sample = town.read(number, {"image", "label"})
        assert sample.label is not None
        UrbanSyn.write_sample(tmp_path / "us", "all", number, sample)
        label = tmp_path / "us/ss" / f"ss_{number + 1:04d}.png"
        save_ids(label, raw_ids(sample.label, Cityscapes.classes, 0))
    with pytest.raises(CheckError):
        both("urbansyn", tmp_path / "us")
    shown = capsys.readouterr().out
    assert shown.count("the labels look like Cityscapes' labelIds, which UrbanSyn does not") == 1
    assert "no label that was opened" not in shown


def test_a_target_needs_no_labels_but_a_source_does(
    camvid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CamVid, "has_labels", False)
    for kind in ("train", "val"):
        empty(camvid / f"{kind}annot")
    found = check(camvid)
    assert split_of(found, "target", "val")["labels"] == "none"
    assert "has no labels: nothing can be scored on it" in capsys.readouterr().out
    with pytest.raises(CheckError):
        both("camvid", camvid)
    assert "source=camvid: has no labels at split train, and a run" in capsys.readouterr().out


def both(source: str, root: Path, *more: str) -> None:
    words = [f"source={source}", f"source.root={root}", "target=toytown", "target.length.train=2"]
    words += ["target.length.val=2", "target.size=[32,64]", "workers=0", "cache_root=cache"]
    data_check.run(compose("data_check", [*words, *more]), Path("run").resolve())


def test_the_sources_validation_split_breaks_no_run(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (camvid / "val" / "001.png").write_bytes(b"no image")
    both("camvid", camvid)
    said = capsys.readouterr().out
    assert "val/001.png: is not a whole image" in said
    assert "but no run" in said
    (camvid / "trainannot" / "001.png").write_bytes(b"no image")
    with pytest.raises(CheckError, match="1 problem "):
        both("camvid", camvid)


def test_depth_is_looked_at_when_asked_for(
    camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(camvid, "depth=true")
    with pytest.raises(CheckError):
        both("camvid", camvid, "depth=true")
    assert "source=camvid: has no depth, but depth=true" in capsys.readouterr().out


def test_hundreds_of_dropped_classes_do_not_fill_the_terminal() -> None:
    names = [f"thing {number}" for number in range(200)]
    held = {name: {"share": 1e-7, "images": 1} for name in ["road", *names]}
    found = {
        "source": "a", "target": "b", "classes": ["road"], "labels": {"source": 2, "target": 0},
        "dropped": {"source": names, "target": []}, "amounts": {"source": held, "target": {}},
    }  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.class_table(found))
    said = console.export_text()
    assert "thing 9" in said
    assert "thing 10" not in said
    assert "and 190 more" in said
    assert "<0.001" in said
    assert report.chart(found).count("thing ") == 200


def test_problems_of_a_split_stand_in_one_order() -> None:
    one = SplitCheck("source", "x", "train", frozenset(), True, unfit=["a"], missing=["b"])
    one.unusable, one.unnamed = ["c"], ["d"]
    assert one.problems == ["a", "b", "c", "d"]


def test_the_command_line_ends_in_1_without_a_traceback(
    camvid: Path, command_line: Callable[..., Outcome]
) -> None:
    Path("nothing").mkdir()
    words = ["data", "check", "source=camvid", "target=camvid", f"source.root={camvid}"]
    words += ["target.root=nothing", "cache_root=cache", "workers=2", "run_name=checked"]
    answer = command_line(*words)
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "uda-seg: 2 problems that break runs: listed above" in answer.stderr
    assert answer.stdout.count("nothing: none of the folders") == 2
    assert len(list(Path("outputs/checked").glob("*/source.png"))) == 1
    assert len(list(Path("cache/CamVid/pixels_own_size").glob("*/*.bin"))) == 6
