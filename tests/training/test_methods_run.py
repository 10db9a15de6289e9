"""Whole runs of methods that need more than images and labels."""

import json
from pathlib import Path

import cv2
import pytest
import torch
from conftest import compose

from uda_seg.commands import train
from uda_seg.errors import ConfigError

SMALL = [
    "backbone=tiny", "source=toytown", "target=toytown_camera", "trainer=cpu", "logger=none",
    "source.size=[32,64]", "target.size=[32,64]", "source.length={train: 4, val: 2}",
    "target.length={train: 4, val: 2}", "trainer.batch_size=2", "trainer.workers=0",
    "trainer.panels=2", "trainer.progress=false", "trainer.steps=2", "trainer.validate_every=2",
    "trainer.checkpoint_every=2",
]  # fmt: skip
NARROW = [
    "method.translator.width=4", "method.translator.blocks=1", "method.image_discriminator.width=4",
    "method.output_discriminator.width=4",
]  # fmt: skip


def run(folder: Path, *more: str) -> dict[str, torch.Tensor]:
    folder.mkdir()
    train.run(compose("train", [*SMALL, *more]), folder)
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_gio_ada_shows_its_translations(tmp_path: Path) -> None:
    run(tmp_path / "run", "method=gio_ada", *NARROW)
    panel = cv2.imread(str(tmp_path / "run" / "panels" / "step_000002.png"))
    columns = 7  # image, label, prediction, inverse depth, discriminator, source, translation
    assert panel.shape[1] == columns * 64 + (columns - 1) * 4
    weights = json.loads((tmp_path / "run" / "scores.json").read_text())["weights"]
    assert weights["adversarial_input"] == 0.1


def test_geometry_needs_depth_and_can_do_without(camvid: Path, tmp_path: Path) -> None:
    other = ["source=camvid", f"source.root={camvid}", "source.size=[32,64]"]
    small = [word for word in SMALL if not word.startswith("source")]
    with pytest.raises(ConfigError, match=r"needs source.depth, which CamVid does not have"):
        train.run(compose("train", [*small, *other, "method=gio_ada", *NARROW]), tmp_path)
    folder = tmp_path / "without"
    folder.mkdir()
    without = ["method=gio_ada", "method.geometry=false", *NARROW]
    train.run(compose("train", [*small, *other, *without]), folder)
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["finished"]
    assert "depth" not in scores["weights"]


def test_a_depth_head_starts_at_random_where_the_first_run_had_none(tmp_path: Path) -> None:
    first = run(tmp_path / "first", "method=source_only")
    more = ["method=gio_ada", *NARROW, f"initial={tmp_path / 'first'}", "backbone.optimizer.lr=0.0"]
    second = run(tmp_path / "second", *more)
    key = "method.network.early.0.weight"
    assert torch.equal(first[key], second[key])
    heads = [{k for k in state if "depth_head" in k} for state in (first, second)]
    assert [bool(found) for found in heads] == [False, True]


def test_roads_teacher_is_not_what_the_run_starts_from(tmp_path: Path) -> None:
    """It keeps the weights that the network had when it was built."""
    run(tmp_path / "first", "method=source_only")
    state = run(
        tmp_path / "second", "method=road", "method.width=4", f"initial={tmp_path / 'first'}"
    )
    key = "early.0.weight"
    built = run(tmp_path / "third", "method=road", "method.width=4", "backbone.optimizer.lr=0.0")
    assert torch.equal(state[f"method.teacher.network.{key}"], built[f"method.network.{key}"])
    assert not torch.equal(state[f"method.teacher.network.{key}"], state[f"method.network.{key}"])


def test_pit_shows_what_it_has_grown(tmp_path: Path) -> None:
    run(tmp_path / "run", "method=pit", "method.discriminator.width=4", "method.presence.width=4")
    panel = cv2.imread(str(tmp_path / "run" / "panels" / "step_000002.png"))
    columns = 8  # three, grown region, sure of presence, discriminator, training image, grown
    assert panel.shape[1] == columns * 64 + (columns - 1) * 4
    weights = json.loads((tmp_path / "run" / "scores.json").read_text())["weights"]
    assert weights["pooling_target"] == 0.1
    assert weights["expansion"] == 1.0
