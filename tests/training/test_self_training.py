"""Whole runs with a moving teacher: resumed ones equal straight ones, two processes equal one."""

import json
from pathlib import Path

import pytest
import torch
from test_runs import SMALL, KilledAt, KilledError, as_good_as_equal, in_two_processes, run, same

METHODS = ["dacs", "daformer", "hrda", "vfm_uda"]
BACKBONES = {"hrda": "hrda_tiny", "vfm_uda": "vfm_tiny"}
COMMON = [o for o in SMALL if "discriminator" not in o and o != "backbone=tiny"]
SURE = "method.threshold=0.1"  # of 11 classes: some pixels of an untrained network are
BY_CLASS = ["method.sure_share=0.5", "method.threshold=0.5"]
"""Thresholds of each class, whose counts of confidences are part of a checkpoint."""


def words(camvid: Path, method: str, *more: str) -> list[str]:
    roots = [f"source.root={camvid}", f"target.root={camvid}"]
    few = ["method.rare_classes.pixels=20"] if method in ("daformer", "hrda", "vfm_uda") else []
    backbone = BACKBONES.get(method, "tiny")
    sure = BY_CLASS if method == "vfm_uda" else [SURE]
    return [*COMMON, *roots, f"backbone={backbone}", f"method={method}", *sure, *few, *more]


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_run_goes_on_bit_for_bit(method: str, camvid: Path, tmp_path: Path) -> None:
    """The teacher, its buffers and its counter too; panels, which the teacher draws, as well.
    Of HRDA the windows of detail, too.
    """
    steps = ["trainer.steps=7", "trainer.validate_every=4", "trainer.checkpoint_every=3"]
    steps += ["trainer.panels=1", "source.augment.flip=true"]
    straight = run(tmp_path / "straight", words(camvid, method, *steps))
    folder = tmp_path / "killed"
    with pytest.raises(KilledError), KilledAt(5):
        run(folder, words(camvid, method, *steps))
    resumed = run(folder, words(camvid, method, *steps, f"resume={folder}"))
    assert straight["global_step"] == resumed["global_step"] == 7
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(straight[part], resumed[part], part)
    assert int(straight["state_dict"]["method.teacher.moves"]) == 7


def test_validations_tell_how_often_a_teacher_agrees(camvid: Path, tmp_path: Path) -> None:
    """Its own or that of what it is built on; a method without one says nothing of it."""
    wanted = ["trainer.steps=2", "trainer.validate_every=1", "trainer.teacher_agreement=true"]
    for method, more in (
        ("dacs", []),
        ("mic", ["method@method.base=adaptseg"]),
        ("adaptseg", []),
    ):
        folder = tmp_path / method
        run(folder, [word for word in words(camvid, method, *wanted, *more) if word != SURE])
        history = json.loads((folder / "scores.json").read_text())["history"]
        found = [entry.get("teacher_agreement") for entry in history]
        assert all(0 < entry["soft_neighbourhood_density"] < 7 for entry in history)
        if method == "adaptseg":
            assert found == [None, None]
        else:
            assert all(0 <= share <= 1 for share in found), found


def test_a_guide_without_imagenets_weights_is_told(
    camvid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without = "method.lambda_feature_distance=null"
    run(tmp_path / "plain", words(camvid, "daformer", "trainer.steps=1", without))
    assert "random ones" not in caplog.text
    run(tmp_path / "guided", words(camvid, "daformer", "trainer.steps=1"))
    assert "DAFormer: features of a network with ImageNet's weights guide it" in caplog.text


def test_a_teacher_of_a_run_that_starts_elsewhere_starts_there(
    camvid: Path, tmp_path: Path
) -> None:
    run(tmp_path / "first", words(camvid, "dacs", "trainer.steps=2"))
    options = ["trainer.steps=1", "backbone.optimizer.lr=0", f"initial={tmp_path / 'first'}"]
    second = run(tmp_path / "second", words(camvid, "dacs_daformer", *options))["state_dict"]
    first = torch.load(tmp_path / "first" / "checkpoints" / "last.ckpt", weights_only=True)
    for name, value in second.items():
        if name.startswith("method.teacher.network.") and "weight" in name:
            theirs = first["state_dict"][name.replace("teacher.network", "network")]
            assert torch.equal(value, theirs), name


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_one(method: str, camvid: Path, tmp_path: Path) -> None:
    """On gloo: drawn classes and windows, coins and strengths, the weight of labels, the classes of
    a batch, the pixels and the cells that count.
    """
    common = ["backbone.batch_norm=frozen", "trainer.steps=4", "trainer.validate_every=4"]
    common += ["+backbone.optimizer.eps=1e-4"]
    one = run(tmp_path / "one", words(camvid, method, *common, "trainer.batch_size=4"))
    arguments = [word for word in words(camvid, method, *common) if word != "trainer=cpu"]
    arguments += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    as_good_as_equal(one, in_two_processes(tmp_path / "two", arguments))
