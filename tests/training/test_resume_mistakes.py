"""What cannot be resumed is said before anything is changed; what may change is told."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from conftest import compose, write_camvid
from test_runs import overrides

from uda_seg.commands import train
from uda_seg.errors import ConfigError, WeightsError

EVERY = ["trainer.validate_every=2", "trainer.checkpoint_every=2", "backbone.schedule.total=9"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, on CamVid beside it."""
    place = tmp_path_factory.mktemp("finished")
    settings = overrides(write_camvid(place / "camvid"), *EVERY, "trainer.steps=2")
    (place / "run").mkdir()
    train.run(compose("train", [*settings, "method.gan=ls"]), place / "run")
    (place / "run" / "overrides.txt").write_text("method.gan=ls\nresume=auto\n")
    return place


@pytest.fixture
def run(finished: Path) -> Path:
    shutil.copytree(finished / "run", "run")
    return Path("run")


@pytest.fixture
def camvid(finished: Path) -> Path:
    return finished / "camvid"


def resume(camvid: Path, folder: Path, *more: str, frm: str = "run", steps: int = 4) -> None:
    settings = overrides(camvid, *EVERY, "method.gan=ls", f"trainer.steps={steps}")
    train.run(compose("train", [*settings, *more, f"resume={frm}"]), folder)


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def step(path: Path) -> int:
    return int(torch.load(path, weights_only=True, mmap=True)["global_step"])


def test_another_experiment_is_refused_key_by_key_and_nothing_changes(camvid, run) -> None:
    before = state(run)
    with pytest.raises(ConfigError) as refused:
        resume(camvid, run, "seed=7", "backbone.optimizer.lr=0.5", "label_space=[road,sky]")
    for words in (
        "seed: was 0, is 7", "backbone.optimizer.lr: was 0.003, is 0.5",
        "label_space: was null, is [road,sky]", "initial=run/checkpoints/last.ckpt",
        "to go on: python -m uda_seg method.gan=ls resume=run/checkpoints/last.ckpt",
    ):  # fmt: skip
        assert words in str(refused.value)
    words = [w for w in overrides(camvid, "method=source_only") if "discriminator" not in w]
    other = compose("train", [*words, f"resume={run}"])
    with pytest.raises(ConfigError, match="method: was adaptseg, is source_only"):
        train.run(other, run)
    with pytest.raises(ConfigError, match=r"method\.gan: was ls, is vanilla"):
        resume(camvid, run, "method.gan=vanilla")
    with pytest.raises(ConfigError, match="steps=1, but it is at step 2"):
        resume(camvid, run, steps=1)
    assert state(run) == before


def test_other_weights_than_the_run_builds_are_refused_first(camvid, run) -> None:
    path = run / "checkpoints" / "last.ckpt"
    stored = torch.load(path, weights_only=True)
    del stored["state_dict"]["method.network.mean"]
    torch.save(stored, path)
    before = state(run)
    with pytest.raises(ConfigError, match=r"1 differ: method\.network\.mean nothing instead of"):
        resume(camvid, run)
    assert state(run) == before


def test_a_longer_run_elsewhere_goes_on_and_tells_what_changed(camvid, run, caplog) -> None:
    shutil.copytree(camvid, "moved")
    places = ["source.root=moved", "cache=ram", "trainer.checkpoint_every=1"]
    with caplog.at_level("INFO"):
        resume(camvid, run, *places)
    assert "continuing from run/checkpoints/last.ckpt, step 2" in caplog.text
    assert "from step 2 on: trainer.steps: was 2, is 4" in caplog.text
    stored = yaml.safe_load((run / "config.yaml").read_text())
    assert (stored["trainer"]["steps"], stored["source"]["root"]) == (4, "moved")
    (earlier,) = json.loads((run / "environment.json").read_text())["earlier"]
    assert earlier["until_step"] == 2
    assert earlier["changed_then"] == {"trainer.steps": [2, 4]}
    assert earlier["versions"]["torch"]


@pytest.mark.parametrize("damage", ["cut", "empty", "zeros", "gone"])
def test_a_resume_passes_over_a_broken_newest_file(damage, camvid, run, caplog) -> None:
    last = run / "checkpoints" / "last.ckpt"
    sound = run / "checkpoints" / "label_free.ckpt"
    content = last.read_bytes()
    new = {"cut": content[: len(content) // 2], "empty": b"", "zeros": bytes(len(content))}
    last.unlink() if damage == "gone" else last.write_bytes(new[damage])
    at = step(sound)
    with caplog.at_level("INFO"):
        resume(camvid, run, "trainer.validate_every=9")
    assert f"_best.ckpt, step {at}" in caplog.text or f"label_free.ckpt, step {at}" in caplog.text
    assert ("passed over resume=run/checkpoints/last.ckpt: " in caplog.text) == (damage != "gone")
    assert step(last) == 4


def test_without_a_sound_file_a_resume_stops_and_auto_begins_anew(camvid, run, caplog) -> None:
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"\x00\x01garbage" * 50)
    before = state(run)
    with pytest.raises(WeightsError, match=r"run/checkpoints/last\.ckpt: is no checkpoint"):
        resume(camvid, run)
    with pytest.raises(WeightsError, match=r"run/checkpoints/last\.ckpt: is no checkpoint"):
        resume(camvid, run, frm="run/checkpoints/last.ckpt")
    assert state(run) == before
    resume(camvid, run, frm="auto")
    assert "starting anew" in caplog.text
    assert step(run / "checkpoints" / "last.ckpt") == 4


def test_weights_alone_are_nothing_to_go_on_from(camvid, run) -> None:
    path = run / "checkpoints" / "last.ckpt"
    stored = torch.load(path, weights_only=True)
    del stored["optimizer_states"]
    torch.save(stored, "bare.ckpt")
    with pytest.raises(WeightsError, match="not what a run needs to go on .optimizer_states"):
        resume(camvid, Path("new"), frm="bare.ckpt")
