"""`predict` as a whole: pictures, videos, a second start, and what is refused."""

import json
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import compose
from tiny_run import (
    CLASSES,
    SIZE,
    frames_of,
    picture,
    settings,
    write_clip,
    write_picture,
    write_run,
    write_street,
    written,
    yaml_of,
)

from uda_seg.cli.command_line import check
from uda_seg.commands.predict import run
from uda_seg.config import build
from uda_seg.data.files.reading import read_ids, read_rgb
from uda_seg.errors import ConfigError
from uda_seg.images import pictures
from uda_seg.images.legend import LINE
from uda_seg.images.scaling import resize_image
from uda_seg.prediction.look import GAP
from uda_seg.prediction.predictor import Predictor
from uda_seg.prediction.work import Work

KINDS = ["color", "entropy", "ids", "overlay"]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


@pytest.fixture
def street(tmp_path: Path) -> Path:
    return write_street(tmp_path / "in")


def expected_ids(trained: Path, image: np.ndarray) -> np.ndarray:
    """By a plain loop."""
    network = build(yaml_of("backbone/tiny.yaml") | {"depth_head": False, "width": 8}, classes=4)
    state = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    network.load_state_dict({name[15:]: value for name, value in state.items()})
    small = torch.from_numpy(resize_image(image, SIZE)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        logits = network.eval()(small, "target").logits
    up = torch.nn.functional.interpolate(logits, image.shape[:2], mode="bilinear")
    return up[0].argmax(0).numpy()


def test_a_folder_of_pictures_without_the_training_data(trained, street, tmp_path, caplog):
    before = {p: p.read_bytes() for p in street.rglob("*.png")}
    with caplog.at_level("INFO"):
        run(settings(trained, street, tmp_path / "out"), tmp_path)
    names = ("a.png", "drive/b.png", "drive/c.png")
    assert written(tmp_path / "out") == sorted(
        [f"{kind}/{name}" for kind in KINDS for name in names]
        + ["legend.png", "prediction.json", "predictions.jsonl"]
    )
    used = set()
    for name in names:
        image, ids = read_rgb(street / name), read_ids(tmp_path / "out/ids" / name)
        np.testing.assert_array_equal(ids, expected_ids(trained, image))
        colors = read_rgb(tmp_path / "out/color" / name)
        np.testing.assert_array_equal(colors, pictures.color(ids, CLASSES))
        assert read_rgb(tmp_path / "out/entropy" / name).shape == image.shape
        used |= set(np.unique(ids))
    assert len(used) > 1
    assert before == {p: p.read_bytes() for p in street.rglob("*.png")}
    told = json.loads((tmp_path / "out/prediction.json").read_text())
    assert [(c["id"], c["name"]) for c in told["classes"]] == list(enumerate(CLASSES))
    assert "3 of 3 inputs predicted, 3 images in" in caplog.text
    assert "images a second" in caplog.text


def test_neither_batches_nor_threads_nor_windows_change_what_is_predicted(
    trained, street, tmp_path
):
    ways = {
        "one": {"batch_size": 1, "workers": 0},
        "many": {"batch_size": 3, "workers": 3},
        "cityscapes": {"ids": "cityscapes"},
    }
    for name, changes in ways.items():
        run(settings(trained, street, tmp_path / name, **changes), tmp_path)
    for name in ("a.png", "drive/b.png"):
        one, many, city = (read_ids(tmp_path / way / "ids" / name) for way in ways)
        np.testing.assert_array_equal(one, many)
        np.testing.assert_array_equal(np.array([7, 11, 23, 26])[one], city)
    own = settings(trained, street, tmp_path / "own", size="own")
    run(own, tmp_path)
    for key, value in (("mode", "slide"), ("window", [48, 64]), ("stride", [24, 32])):
        own["inference"][key] = value
    own["output"] = str(tmp_path / "slide")
    run(own, tmp_path)
    ids = {way: read_ids(tmp_path / way / "ids/drive/b.png") for way in ("one", "own", "slide")}
    assert (ids["own"] == ids["slide"]).mean() > 0.8  # windows end otherwise than the picture
    assert (ids["own"] != ids["one"]).any()
    np.testing.assert_array_equal(
        read_ids(tmp_path / "own/ids/a.png"), read_ids(tmp_path / "slide/ids/a.png")
    )  # a single window


def test_a_second_start_does_only_what_is_missing(trained, street, tmp_path, caplog, monkeypatch):
    out, asked = tmp_path / "out", []
    plain = Work.pictures
    monkeypatch.setattr(
        Work, "pictures",
        lambda self, items, told: asked.append([i.name for i in items]) or plain(self, items, told),
    )  # fmt: skip
    run(settings(trained, street, out, write=["ids"]), tmp_path)
    with caplog.at_level("INFO"):
        run(settings(trained, street, out, write=["ids"]), tmp_path)
    assert "3 inputs were predicted before" in caplog.text
    (out / "ids/a.png").unlink()
    write_picture(street / "drive/b.png", seed=7)
    lines = (out / "predictions.jsonl").read_text()
    (out / "predictions.jsonl").write_text(lines + '{"name": "cut o')
    run(settings(trained, street, out, write=["ids"]), tmp_path)
    image = read_rgb(street / "drive/b.png")
    np.testing.assert_array_equal(read_ids(out / "ids/drive/b.png"), expected_ids(trained, image))
    run(settings(trained, street, out, write=["ids", "color"]), tmp_path)
    run(settings(trained, street, out, write=["ids", "color"]), tmp_path)
    every = ["a", "drive/b", "drive/c"]
    assert asked == [every, every[:2], every]


def test_other_settings_and_other_files_are_not_mixed(trained, street, tmp_path):
    out = tmp_path / "out"
    run(settings(trained, street / "a.png", out), tmp_path)
    with pytest.raises(ConfigError, match=r"other settings \(opacity was 0.5, is 0.7\); give"):
        run(settings(trained, street / "a.png", out, opacity=0.7), tmp_path)
    other = write_run(tmp_path / "other", seed=1)
    with pytest.raises(ConfigError, match=r"checkpoint was .*run/check.* is .*other/check"):
        run(settings(other, street / "a.png", out), tmp_path)
    moved = tmp_path / "moved"
    trained.rename(moved)
    run(settings(moved, street / "drive", out), tmp_path)  # the same file elsewhere will do
    write_picture(tmp_path / "b.png")
    with pytest.raises(ConfigError, match=r"holds predictions of .*drive/b.png under the name of"):
        run(settings(moved, tmp_path / "b.png", out), tmp_path)
    before = read_ids(out / "ids/a.png")
    run(settings(other, street / "a.png", out, overwrite=True), tmp_path)
    assert (read_ids(out / "ids/a.png") != before).any()
    with pytest.raises(ConfigError, match=r"holds files that predict did not write"):
        run(settings(other, street / "a.png", street / "drive", overwrite=True), tmp_path)


def test_a_video_becomes_videos_of_its_size_and_times(trained, tmp_path):
    before = write_run(tmp_path / "before", seed=3, classes=["road", "bicyclist"])
    times = [0, 1, 2, 5, 6]
    clip = write_clip(tmp_path / "in/drive/clip.mp4", times)
    config = settings(trained, tmp_path / "in", tmp_path / "out", compare=str(before))
    run(config, tmp_path)
    found = {
        kind: frames_of(tmp_path / "out" / kind / f"drive/clip.{'mkv' if kind == 'ids' else 'mp4'}")
        for kind in [*KINDS, "comparison"]
    }
    seconds = [Fraction(time, 25) for time in times]
    for kind, frames in found.items():
        assert [time for time, _ in frames] == seconds, kind
    decoded = [picture for _, picture in frames_of_input(clip)]
    for (_, ids), image in zip(found["ids"], decoded, strict=True):
        np.testing.assert_array_equal(ids, expected_ids(trained, image))
    assert found["overlay"][0][1].shape == (48, 64, 3)
    assert found["comparison"][0][1].shape[1] == 2 * 64 + GAP
    difference = abs(found["color"][2][1].astype(int) - pictures.color(found["ids"][2][1], CLASSES))
    assert np.median(difference) < 6
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.m*")}
    run(config, tmp_path)
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}
    assert not [name for name in written(tmp_path / "out") if name.endswith(".part")]


def frames_of_input(path: Path) -> list[tuple[None, np.ndarray]]:
    from uda_seg.data.datasets.video import Video

    video = Video(str(path), "all", 1)
    return [(None, video.read(place, {"image"}).image) for place in range(len(video))]


def test_before_beside_after(trained, street, tmp_path):
    before = write_run(tmp_path / "before", seed=1)
    config = settings(trained, street / "a.png", tmp_path / "out", compare=str(before), write=[])
    run(config, tmp_path)
    drawn = read_rgb(tmp_path / "out/comparison/a.png")
    assert drawn.shape[1] == 3 * 64 + 2 * GAP
    image = read_rgb(street / "a.png")
    cell = slice(LINE, LINE + 48)
    np.testing.assert_array_equal(drawn[cell, :64], image)
    np.testing.assert_array_equal(
        drawn[cell, -64:], pictures.overlay(image, expected_ids(trained, image), CLASSES, 0.5)
    )
    np.testing.assert_array_equal(
        drawn[cell, 68:132], pictures.overlay(image, expected_ids(before, image), CLASSES, 0.5)
    )


def test_the_command_line_is_checked_and_runs(trained, tmp_path, monkeypatch):
    image = write_picture(tmp_path / "in/Straße 1.png")
    words = [f"checkpoint={trained}", f"input={image.parent}/*.png", "output=out"]
    run(compose("predict", [*words, "device=cpu", "write=[ids]", "size=[24,32]"]), tmp_path)
    np.testing.assert_array_equal(
        read_ids(Path("out/ids/Straße 1.png")), expected_ids(trained, picture(0))
    )
    with pytest.raises(ConfigError) as stop:
        check("predict", ["write=[overlays]", "precision=16", "input=a.png", "every=0"])
    for told in (
        "did you mean overlay?",
        "precision=16",
        "every=0",
        "checkpoint: missing",
        "output",
    ):
        assert told in str(stop.value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="is not there; choose auto, or one of cpu"):
        run(settings(trained, image, "other", device="gpu"), tmp_path)


def test_frames_are_asked_together_on_a_gpu_alone():
    on = {name: SimpleNamespace(device=torch.device(name)) for name in ("cpu", "cuda")}
    found = {name: Predictor.usual_batch.fget(one) for name, one in on.items()}
    assert found == {"cpu": 1, "cuda": 4}
