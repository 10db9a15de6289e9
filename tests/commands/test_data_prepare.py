"""`data prepare`: what training reads is kept before it begins, as often as one calls it."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import compose, write_camvid

from uda_seg.commands import data_prepare
from uda_seg.data.cache import fill_cache
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.errors import CheckError, ConfigError, DataError

SIZE = "[16,24]"


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def words(camvid: Path, *more: str) -> list[str]:
    roots = [f"{side}.root={camvid}" for side in ("source", "target")]
    sizes = [f"{side}.size={SIZE}" for side in ("source", "target")]
    return ["source=camvid", "target=camvid", *roots, *sizes, "cache_root=kept", *more]


def prepare(camvid: Path, *more: str) -> None:
    data_prepare.run(compose("data_prepare", words(camvid, "workers=0", *more)), Path())


def entries() -> dict[str, int]:
    """How many there are of each kind."""
    shelves = [path.parts[-3] for path in Path("kept").rglob("*.bin")]
    return {shelf: shelves.count(shelf) for shelf in sorted(set(shelves))}


@pytest.mark.parametrize("workers", [0, 2])
def test_all_that_training_reads_is_kept(
    camvid: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(camvid, f"workers={workers}")
    # 3 and 3 images; labels: of the source at the image's size, of validation at their own.
    assert entries() == {"image_24x16": 6, "label_24x16": 3, "label_own_size": 3}
    assert "source camvid train: 3 samples, 0 kept already, 3 to make, about 4 kB" in caplog.text
    assert "all is kept: train with cache=disk" in caplog.text
    before = {path: path.stat().st_mtime_ns for path in Path("kept").rglob("*.bin")}
    caplog.clear()
    prepare(camvid)
    assert before == {path: path.stat().st_mtime_ns for path in Path("kept").rglob("*.bin")}
    assert "target camvid val: 3 samples, 3 kept already, 0 to make" in caplog.text


def test_training_reads_what_was_prepared(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uda_seg.config import plain
    from uda_seg.data.datasets.bad_images import BadImages
    from uda_seg.data.feeding.data_module import DomainDataModule

    prepare(camvid)
    opened: list[int] = []
    read = CamVid.read

    def noted(self: CamVid, index: int, fields: set) -> object:
        opened.append(index)
        return read(self, index, fields)

    monkeypatch.setattr(CamVid, "read", noted)
    config = plain(compose("data_prepare", words(camvid)))
    nothing = BadImages(False, None)
    data = DomainDataModule(
        config["source"],
        config["target"],
        "source",
        True,
        (),
        None,
        1,
        0,
        0,
        nothing,
        "disk",
        "kept",
    )
    assert [data.source[i]["image"].shape for i in range(3)] == [(3, 16, 24)] * 3
    assert [data.target[i]["image"].shape for i in range(3)] == [(3, 16, 24)] * 3
    assert [tuple(data.pictures[i][1].shape) for i in range(3)] == [(48, 64)] * 3
    assert opened == []


def test_bad_files_are_named_at_the_end_and_the_others_kept(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (camvid / "train/001.png").write_bytes(b"<html>")
    (camvid / "valannot/002.png").unlink()
    with pytest.raises(CheckError, match="2 samples cannot be read") as caught:
        prepare(camvid)
    assert caught.value.exit_code == 1
    assert "train/001.png: is not a whole image" in caplog.text
    assert "val/002.png: has no label at" in caplog.text
    assert entries() == {"image_24x16": 4, "label_24x16": 2, "label_own_size": 2}


def test_a_disk_that_is_too_small_is_refused_before(
    camvid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = SimpleNamespace(free=fill_cache.SPARE + 5000)
    monkeypatch.setattr(fill_cache.shutil, "disk_usage", lambda _: little)
    with pytest.raises(ConfigError, match=r"cache_root=kept: about \d+ kB are needed.*clear=true"):
        prepare(camvid)
    assert entries() == {}


def test_a_disk_that_fills_up_ends_it(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DataError, match="cache_root=.*No space left on device.*cache=none"):
        prepare(camvid)


def test_clear_removes_only_entries_of_these_datasets(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(camvid)
    mine = [Path("kept/GTA5/image_24x16/ab/" + "a" * 64 + ".bin"), Path("kept/CamVid/notes.txt")]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    prepare(camvid, "clear=true")
    assert [path for path in sorted(Path("kept").rglob("*")) if path.is_file()] == sorted(mine)
    assert "CamVid: 8 kB freed" in caplog.text


def test_what_is_drawn_needs_no_cache(camvid: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_prepare.run(compose("data_prepare", ["source=toytown", "cache_root=kept"]), Path())
    assert "source toytown train: is drawn, not read: nothing to keep" in caplog.text
    with pytest.raises(ConfigError, match="nothing to prepare: give source="):
        data_prepare.run(compose("data_prepare", []), Path())


def test_members_of_several_share_entries_with_themselves(camvid: Path) -> None:
    prepare(camvid)
    before = entries()
    mixed = ["source=[camvid,toytown]", f"source.datasets.camvid.root={camvid}"]
    chosen = [*mixed, f"source.size={SIZE}", "cache_root=kept", "workers=0"]
    data_prepare.run(compose("data_prepare", chosen), Path())
    assert entries() == before


@pytest.mark.slow
def test_it_goes_on_after_being_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    camvid = write_camvid(tmp_path / "camvid", count=300, size=(96, 128))
    command = [sys.executable, "-m", "uda_seg", "data", "prepare", *words(camvid)]
    process = subprocess.Popen(command, start_new_session=True)
    deadline = time.monotonic() + 120
    while sum(entries().values()) < 40 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = entries()
    assert 0 < sum(kept.values()) < 1200
    prepare(camvid)
    assert entries() == {"image_24x16": 600, "label_24x16": 300, "label_own_size": 300}
    assert "source camvid train: 300 samples, 0 kept already" not in caplog.text
