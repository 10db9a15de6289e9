"""Class statistics: counted once, counted anew where files change, kept whole."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import write_camvid
from data.datasets.test_real import there
from PIL import Image

from uda_seg.data.cache.stores import Address
from uda_seg.data.checking import statistics
from uda_seg.data.checking.examination import NOTES, Finding
from uda_seg.data.checking.statistics import (
    ClassStatistics,
    Records,
    class_pixels,
    examine_all,
)
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import ConfigError, DataError

SPACE = LabelSpace(("road", "sky", "bicyclist"))
BOTH = {"image", "label"}
FOUND = Finding(0, (4, 5), {3: 20})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that were opened."""
    names: list[str] = []
    read = CamVid.read

    def noted(self: CamVid, index: int, fields: set[str]):
        names.append(self.name(index))
        return read(self, index, fields)

    monkeypatch.setattr(CamVid, "read", noted)
    return names


def expected(root: Path) -> np.ndarray:
    labels = [np.asarray(Image.open(p)) for p in sorted((root / "trainannot").iterdir())]
    return np.array([[(label == i).sum() for i in (3, 0, 10)] for label in labels])


def test_pixels_are_counted_once(camvid: Path, tmp_path: Path, reads: list[str]) -> None:
    dataset = CamVid(str(camvid), "train")
    counted = class_pixels(dataset, SPACE, tmp_path / "cache")
    np.testing.assert_array_equal(counted.pixels, expected(camvid))
    assert len(reads) == 3
    again = class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    np.testing.assert_array_equal(again.pixels, counted.pixels)
    assert len(reads) == 3
    other = class_pixels(dataset, LabelSpace(("sky",)), tmp_path / "cache")
    np.testing.assert_array_equal(other.pixels[:, 0], counted.pixels[:, 1])
    assert len(reads) == 3  # raw ids are kept: another label space costs nothing


def test_processes_count_the_same(camvid: Path, tmp_path: Path) -> None:
    told: list[int] = []
    dataset = CamVid(str(camvid), "train")
    counted = class_pixels(dataset, SPACE, tmp_path / "cache", 2, lambda: told.append(1))
    np.testing.assert_array_equal(counted.pixels, expected(camvid))
    assert len(told) == 3


def test_what_changed_on_disk_is_counted_again_alone(
    camvid: Path, tmp_path: Path, reads: list[str]
) -> None:
    class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    reads.clear()
    path = camvid / "trainannot" / "001.png"
    Image.new("L", (64, 48), 3).save(path)
    os.utime(path, ns=(1, 1))
    counted = class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    assert reads == ["train/001.png"]
    assert counted.pixels[1].tolist() == [48 * 64, 0, 0]


def test_a_lost_permission_is_noticed(
    camvid: Path, tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    reads.clear()
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "002.png")
    class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    assert reads == ["train/002.png"]


def test_what_is_kept_is_not_mistaken_for_something_else(camvid: Path, tmp_path: Path) -> None:
    class Other(CamVid):
        """Labels could be read in another way."""

    def address(dataset: Dataset, fields: set[str]) -> Address:
        records = Records(dataset, fields, tmp_path / "cache")
        records.known(0)
        found = records.addresses[0]
        assert found is not None
        return found

    kinds, splits = (CamVid, Other), ("train", "val")
    every = [
        address(k(str(camvid), s), f) for k in kinds for s in splits for f in (BOTH, {"image"})
    ]
    assert len({one.digest for one in every}) == 8
    relative = CamVid(os.path.relpath(camvid), "train")
    assert address(relative, BOTH) == every[0]


def test_a_killed_count_goes_on_where_it_was(tmp_path: Path, reads: list[str]) -> None:
    root = write_camvid(tmp_path / "camvid", count=6)
    dataset = CamVid(str(root), "train")
    going = examine_all(dataset, range(6), BOTH, 0, Records(dataset, BOTH, tmp_path / "cache"))
    for _ in range(4):
        next(going)  # and no more: what is counted is kept at once
    reads.clear()
    counted = class_pixels(CamVid(str(root), "train"), SPACE, tmp_path / "cache")
    assert reads == ["train/004.png", "train/005.png"]
    np.testing.assert_array_equal(counted.pixels, expected(root))


def test_two_processes_that_count_different_samples_keep_both(camvid: Path, tmp_path: Path) -> None:
    dataset = CamVid(str(camvid), "train")
    one, two = (Records(dataset, BOTH, tmp_path / "cache") for _ in range(2))
    list(examine_all(dataset, [0], BOTH, 0, one))
    list(examine_all(dataset, [2], BOTH, 0, two))
    third = Records(dataset, BOTH, tmp_path / "cache")
    assert [third.known(index) is not None for index in range(3)] == [True, False, True]
    entries = (tmp_path / "cache" / "CamVid" / "pixels_own_size").glob("*/*")
    assert [path.suffix for path in entries] == [".bin"] * 2


@pytest.mark.parametrize("damage", [lambda code: b"", lambda code: code[:-5]])
def test_a_damaged_entry_is_counted_anew(
    camvid: Path, tmp_path: Path, reads: list[str], damage: Callable[[bytes], bytes]
) -> None:
    dataset = CamVid(str(camvid), "train")
    counted = class_pixels(dataset, SPACE, tmp_path / "cache")
    path = next((tmp_path / "cache").rglob("*.bin"))
    path.write_bytes(damage(path.read_bytes()))
    reads.clear()
    again = class_pixels(dataset, SPACE, tmp_path / "cache")
    assert len(reads) == 1
    np.testing.assert_array_equal(again.pixels, counted.pixels)


def test_a_sample_that_cannot_be_read_holds_nothing_and_is_tried_again(
    camvid: Path, tmp_path: Path, reads: list[str]
) -> None:
    path = camvid / "train" / "001.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:40])
    counted = class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    assert counted.pixels.sum(1).tolist()[1] == 0
    assert (counted.pixels.sum(1) > 0).sum() == 2
    path.write_bytes(whole)
    reads.clear()
    class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "cache")
    assert reads == ["train/001.png"]


def test_a_sample_found_broken_is_forgotten(camvid: Path, tmp_path: Path) -> None:
    records = Records(CamVid(str(camvid), "train"), BOTH, tmp_path / "cache")
    assert records.known(1) is None
    records.add(Finding(1, (4, 5), {3: 20}))
    assert records.known(1) == Finding(1, (4, 5), {3: 20})
    records.add(Finding(1, problem="bits rot, and leave the date as it is"))
    assert records.known(1) is None


@pytest.mark.parametrize("method", ["save", "load", "remove"])
def test_a_cache_that_fails_later_costs_its_counts_alone(
    camvid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, method: str,
) -> None:  # fmt: skip
    """A prepared one may be read-only, and a disk may fill up."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    class_pixels(CamVid(str(camvid), "val"), SPACE, tmp_path / "cache")  # the folder is there
    if method == "save":
        monkeypatch.setattr("os.replace", fails)
    elif method == "load":
        monkeypatch.setattr(np, "fromfile", lambda path, *_: fails() if ".bin" in path.name else 0)
    else:
        monkeypatch.setattr(Path, "unlink", fails)
    records = Records(CamVid(str(camvid), "train"), BOTH, tmp_path / "cache")
    for index in range(3):
        assert records.known(index) is None
        records.add(Finding(index, problem="broken") if method == "remove" else FOUND)
    assert caplog.text.count("class statistics cannot be kept: cache_root=") == 1
    assert "Read-only file system" in caplog.text


def test_kept_notes_are_read_as_they_were_meant(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = CamVid(str(camvid), "train")
    records = Records(dataset, BOTH, tmp_path / "cache")
    records.known(0)
    noted = Finding(0, (4, 5), {3: 20}, ("grey", "turned"))
    records.add(noted)
    assert Records(dataset, BOTH, tmp_path / "cache").known(0) == noted
    monkeypatch.setattr(statistics, "NOTES", {"new": "", **NOTES})
    assert Records(dataset, BOTH, tmp_path / "cache").known(0) is None


def test_nothing_is_kept_inside_the_dataset(camvid: Path) -> None:
    with pytest.raises(ConfigError, match="cache_root=.*lies inside the dataset's folder"):
        class_pixels(CamVid(str(camvid), "train"), SPACE, camvid / "cache")


def test_a_folder_that_cannot_be_written_is_told_once(
    camvid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    counted = class_pixels(CamVid(str(camvid), "train"), SPACE, tmp_path / "file")
    np.testing.assert_array_equal(counted.pixels, expected(camvid))
    assert caplog.text.count("class statistics cannot be kept") == 1


def test_drawn_scenes_are_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def town(seed: int) -> ToyTown:
        return ToyTown("toytown", "train", {"train": 2}, [32, 64], seed)

    counted = class_pixels(town(0), LabelSpace(("road",)), tmp_path / "cache")
    assert (counted.pixels > 0).all()
    other = class_pixels(town(1), LabelSpace(("road",)), tmp_path / "cache")
    assert not np.array_equal(other.pixels, counted.pixels)
    monkeypatch.delattr(ToyTown, "read")
    again = class_pixels(town(0), LabelSpace(("road",)), tmp_path / "cache")
    np.testing.assert_array_equal(again.pixels, counted.pixels)


def test_findings_of_drawn_scenes_are_not_kept(tmp_path: Path) -> None:
    """By `data check`, which draws a few."""
    dataset = ToyTown("toytown", "train", {"train": 2}, [32, 64], 0)
    records = Records(dataset, BOTH, tmp_path / "cache")
    list(examine_all(dataset, [0, 1], BOTH, 0, records))
    assert not (tmp_path / "cache").exists()


def test_samples_that_cannot_be_read_are_told(camvid: Path, tmp_path: Path) -> None:
    (camvid / "trainannot" / "001.png").write_bytes(b"no picture")
    told: list[tuple[int, str]] = []
    counted = class_pixels(
        CamVid(str(camvid), "train"), SPACE, tmp_path / "cache",
        unreadable=lambda index, error: told.append((index, str(error))),
    )  # fmt: skip
    assert [index for index, _ in told] == [1]
    assert "001.png" in told[0][1]
    assert not counted.pixels[1].any()
    assert counted.pixels[[0, 2]].any()


def test_a_dataset_without_labels_is_refused(camvid: Path, tmp_path: Path) -> None:
    dataset = CamVid(str(camvid), "train")
    dataset.has_labels = False
    with pytest.raises(DataError, match="CamVid: has no labels"):
        class_pixels(dataset, SPACE, tmp_path)


def test_rare_classes_are_likelier() -> None:
    pixels = np.array([[60, 0, 20, 0], [0, 20, 0, 0]])
    counted = ClassStatistics(("road", "sky", "car", "train"), pixels)
    np.testing.assert_allclose(counted.frequencies(), [0.6, 0.2, 0.2, 0])
    weights = np.exp((1 - np.array([0.6, 0.2, 0.2])) / 0.5)  # the paper's formula
    found = counted.rare_class_probabilities(0.5)
    np.testing.assert_allclose(found[:3], weights / weights.sum())
    assert found[3] == 0  # no sample could be drawn for it
    assert np.isfinite(counted.rare_class_probabilities(1e-4)).all()
    assert [h.tolist() for h in counted.holders()] == [[0], [1], [0], []]
    assert [h.tolist() for h in counted.holders(least=30)] == [[0], [], [], []]
    empty = ClassStatistics(("road",), np.zeros((2, 1), np.int64))
    assert empty.rare_class_probabilities(0.01).tolist() == [0]


@pytest.mark.real
def test_genuine_camvid_is_counted(tmp_path: Path) -> None:
    root = there("camvid")
    before = sorted(root.rglob("*")), root.stat().st_mtime_ns
    counted = class_pixels(CamVid(str(root), "val"), SPACE, tmp_path / "cache", workers=2)
    assert counted.pixels.shape == (101, 3)
    road, sky, bicyclist = counted.frequencies()
    assert road > sky > bicyclist > 0.01
    assert len(counted.holders()[0]) == 101
    assert (sorted(root.rglob("*")), root.stat().st_mtime_ns) == before
