"""What a mistake in the data does to a run: told before training where it can be known."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import compose
from PIL import Image

from uda_seg.commands import train
from uda_seg.data.datasets.leaving_out import read_names
from uda_seg.errors import ConfigError, DataError

SMALL = [
    "backbone=tiny", "method=source_only", "source=camvid", "target=camvid", "trainer=cpu",
    "logger=none", "source.size=[32,64]", "target.size=[32,64]", "trainer.batch_size=2",
    "trainer.panels=0", "trainer.progress=false", "trainer.validate_every=3",
    "trainer.checkpoint_every=3",
]  # fmt: skip


def run(camvid: Path, *more: str) -> Path:
    folder = Path("run").resolve()
    folder.mkdir()
    roots = [f"source.root={camvid}", f"target.root={camvid}"]
    train.run(compose("train", [*SMALL, "trainer.workers=0", *roots, *more]), folder)
    return folder


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def many(camvid: Path, count: int = 12) -> None:
    """More samples than the first look opens, so that a mistake can hide."""
    for kind in ("train", "trainannot"):
        for number in range(3, count):
            first = (camvid / kind / "000.png").read_bytes()
            (camvid / kind / f"{number:03}.png").write_bytes(first)


def test_a_missing_label_is_told_before_anything_is_trained(camvid: Path) -> None:
    (camvid / "trainannot" / "001.png").unlink()
    with pytest.raises(DataError, match=r"1 of 3 samples lack a file:\n.*001.png: has no label"):
        run(camvid, "trainer.steps=3")
    assert not list(Path("run").glob("checkpoints/*"))


def test_an_id_nobody_named_is_told_before_training(camvid: Path) -> None:
    label = np.asarray(Image.open(camvid / "trainannot" / "000.png")).copy()
    label[3, 4] = 77
    Image.fromarray(label).save(camvid / "trainannot" / "000.png")
    with pytest.raises(DataError, match=r"trainannot.000.png: the label holds ids 77, .* CamVid"):
        run(camvid, "trainer.steps=3")


def test_labels_without_which_nothing_can_be_scored_are_missed_at_once(camvid: Path) -> None:
    (camvid / "valannot" / "002.png").unlink()
    with pytest.raises(DataError, match="002.png: has no label") as told:
        run(camvid, "trainer.steps=3", "on_bad_image=skip")
    assert "target.leave_out=" in str(told.value)
    assert "on_bad_image" not in str(told.value), "it was set, and did not help"
    (camvid.parent / "run").rename(camvid.parent / "refused")
    run(camvid, "trainer.steps=3", "target.leave_out=[val/002.png]")


@pytest.mark.parametrize("workers", [0, 1])
def test_one_bad_image_stops_the_run_with_one_message(camvid: Path, workers: int) -> None:
    many(camvid)
    cut(camvid / "train" / "001.png")
    with pytest.raises(DataError) as told:
        run(camvid, "trainer.steps=12", f"trainer.workers={workers}")
    assert str(told.value).endswith("001.png: is not a whole image file; unpack it again")
    assert "Traceback" not in str(told.value)


def test_bad_images_are_skipped_counted_and_reported(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many(camvid)
    cut(camvid / "train" / "001.png")
    (camvid / "trainannot" / "004.png").unlink()
    folder = run(camvid, "trainer.steps=12", "on_bad_image=skip")
    scores = json.loads((folder / "scores.json").read_text())
    noted = (folder / "bad_images_source.txt").read_text()
    assert scores["finished"]
    assert "001.png: is not a whole image" in noted
    assert "004.png: has no label" in noted
    # 001.png is met as source and as target, with one message.
    assert scores["skipped_samples"] == 2
    assert "2 samples could not be read and were skipped" in caplog.text
    assert len(read_names(str(folder / "bad_images_source.txt"))) == 2


def test_a_dataset_that_is_not_there_is_not_skipped_sample_by_sample(camvid: Path) -> None:
    for path in (camvid / "train").iterdir():
        cut(path)
    with pytest.raises(DataError, match="10 samples in a row cannot be read"):
        run(camvid, "trainer.steps=3", "on_bad_image=skip")


def pictures(camvid: Path) -> list[str]:
    """The arguments of a run whose target is nothing but pictures."""
    others = [w for w in SMALL if not w.startswith(("target=", "method="))]
    roots = [f"source.root={camvid}", f"target.root={camvid / 'val'}", "target=images"]
    return [*others, *roots, "trainer.workers=0", "trainer.steps=3"]


def test_the_oracle_needs_labels(camvid: Path) -> None:
    arguments = [*pictures(camvid), "method=target_only"]
    with pytest.raises(ConfigError, match="target=images: has no labels at split all"):
        train.run(compose("train", arguments), Path())


def test_pictures_without_labels_are_a_target(
    camvid: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is scored; the label-free choice is made all the same."""
    folder = Path("run")
    folder.mkdir()
    arguments = [*pictures(camvid), "method=adaptseg", "method.discriminator.width=4"]
    miou = train.run(compose("train", arguments), folder)
    assert miou is None or np.isnan(miou)
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["selections"]["last"]["miou"] is None
    assert set(scores["selections"]) == {"last", "label_free"}
    assert not (folder / "checkpoints" / "oracle_best.ckpt").exists()
    assert len(scores["classes"]) == 11  # the source's
    assert (folder / "checkpoints" / "label_free.ckpt").is_file()
    assert "nothing is scored" in caplog.text


@pytest.mark.parametrize("cache", ["disk", "ram"])
def test_a_cache_changes_no_bit_of_a_run(camvid: Path, tmp_path: Path, cache: str) -> None:
    def weights(name: str, *more: str) -> dict[str, torch.Tensor]:
        folder = run(camvid, "trainer.steps=4", *more).rename(tmp_path / name)
        return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]

    settings = [f"cache={cache}", f"cache_root={tmp_path / 'kept'}"]
    runs = [weights("plain"), weights("cached", *settings)]
    assert (tmp_path / "kept").exists() == (cache == "disk")
    if cache == "disk":
        spoil(camvid)
        runs.append(weights("again", *settings))
    for other in runs[1:]:
        for name, tensor in runs[0].items():
            assert torch.equal(tensor, other[name]), name


def spoil(folder: Path) -> None:
    """Nobody can read the files any more, though their sizes and dates are the same."""
    for path in folder.rglob("*.png"):
        before = path.stat()
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
