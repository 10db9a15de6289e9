"""What `predict` refuses, and what a broken file, a full disk or too little memory does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import settings, write_clip, write_run, write_street, written

from uda_seg.commands.predict import run
from uda_seg.errors import CheckError, ConfigError, DataError
from uda_seg.images import pictures
from uda_seg.prediction.store import OutputError
from uda_seg.prediction.work import Work
from uda_seg.runs import lock


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    return write_street(tmp_path / "in")


def test_an_input_is_never_overwritten(trained, street, tmp_path):
    out = tmp_path / "out"
    run(settings(trained, street / "a.png", out), tmp_path)
    before = (out / "overlay/a.png").read_bytes()
    with pytest.raises(ConfigError, match=r"overlay/a\.png is an input, and would be overwritten"):
        run(settings(trained, out / "overlay/a.png", out, overwrite=True), tmp_path)
    assert (out / "overlay/a.png").read_bytes() == before


def test_a_broken_picture_does_not_stop_the_others(trained, street, tmp_path, caplog):
    (street / "broken.jpg").write_bytes(b"<html>not found</html>")
    caplog.set_level("INFO")
    with pytest.raises(CheckError, match="1 of 4 inputs cannot be read, listed above; all others"):
        run(settings(trained, street, tmp_path / "out"), tmp_path)
    assert "3 of 4 inputs predicted, 3 images in" in caplog.text
    assert "broken.jpg: is not a whole image file; it holds text" in caplog.text
    assert len(list((tmp_path / "out/ids").rglob("*.png"))) == 3
    with pytest.raises(DataError, match=r"broken\.jpg: is not a whole image file"):
        run(settings(trained, street / "broken.jpg", tmp_path / "one"), tmp_path)


def test_a_broken_video_leaves_nothing_half_written(trained, tmp_path, caplog):
    whole = write_clip(tmp_path / "in/whole.mkv", list(range(30)))
    code = bytearray(whole.read_bytes())
    middle = len(code) // 2
    code[middle : middle + 3000] = bytes(3000)
    (tmp_path / "in/damaged.mkv").write_bytes(code)
    (tmp_path / "in/text.mp4").write_text("no video")
    with pytest.raises(CheckError, match="2 of 3 inputs cannot be read"):
        run(settings(trained, tmp_path / "in", tmp_path / "out", write=["color"]), tmp_path)
    assert "damaged.mkv" in caplog.text
    assert "text.mp4: the file cannot be decoded" in caplog.text
    assert written(tmp_path / "out/color") == ["whole.mp4"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"write": []}, r"write=\[\]: nothing would be written"),
        ({"size": [24]}, r"size=\[24\]: must be height, width, like \[512,1024\], or own"),
        ({"size": "large"}, r"size=large: must be"),
        ({"opacity": 1.5}, r"opacity=1.5: must be 0 to 1"),
        ({"compare": "nowhere"}, r"compare=nowhere: .* is not there"),
        ({"output": "shown.mp4"}, r"output=shown.mp4: is a file's name; give a folder"),
        ({"codec": "h262", "input": "clip.mp4"}, r"codec=h262: this PyAV .*pip install"),
        ({"ids": "cityscapes", "checkpoint": "camvid"}, r"Cityscapes has no bicyclist"),
        ({"input": "nowhere"}, r"input=nowhere: is not there"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    trained, street, tmp_path, changes, complaint
):
    (tmp_path / "clip.mp4").write_text("")
    write_run(tmp_path / "camvid", classes=["road", "bicyclist"])
    config = settings(trained, street, "out", **changes)
    with pytest.raises(ConfigError, match=complaint):
        run(config, tmp_path)
    assert not Path("out").exists()
    assert not Path("shown.mp4").exists()


def test_windows_for_whole_images_are_refused(trained, street, tmp_path):
    own = settings(trained, street, tmp_path / "out")
    own["inference"]["window"] = 8
    with pytest.raises(ConfigError, match="inference.window: would do nothing, whole images"):
        run(own, tmp_path)
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_told_with_its_cures(trained, street, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Work, "pictures", full)
    with pytest.raises(ConfigError, match=r"does not suffice; take batch_size=1, .*mode=slide"):
        run(settings(trained, street, tmp_path / "out"), tmp_path)


def test_a_full_disk_stops_at_once_and_leaves_no_line(trained, street, tmp_path, monkeypatch):
    def full(path: Path, picture: np.ndarray) -> None:
        if path.name != "legend.png":
            raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    run(settings(trained, street / "a.png", out, write=["ids"]), tmp_path)
    monkeypatch.setattr(pictures, "save", full)
    with pytest.raises(OutputError, match=r"b\.png: cannot be written \(No space left on device\)"):
        run(settings(trained, street / "drive", out, write=["ids"]), tmp_path)
    assert len((out / "predictions.jsonl").read_text().splitlines()) == 1


def test_two_processes_do_not_write_into_one_folder(trained, street, tmp_path, monkeypatch):
    def taken(handle: int) -> None:
        raise BlockingIOError

    out = tmp_path / "out"
    with monkeypatch.context() as another:
        another.setattr(lock, "_take", taken)
        another.setattr(lock.lock, "__defaults__", (0.0, "hydra.run.dir"))
        with pytest.raises(ConfigError, match=r"another run .*name another folder \(output=\)"):
            run(settings(trained, street / "a.png", out), tmp_path)
    assert [path.name for path in out.iterdir()] == [lock.NAME]
    run(settings(trained, street / "a.png", out), tmp_path)  # what a killed process leaves
    assert not (out / lock.NAME).exists()
