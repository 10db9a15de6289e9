"""Whole runs: resumed ones equal straight ones, two processes equal one, labels stay closed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import compose, write_camvid

from uda_seg.commands import train
from uda_seg.data.datasets.base import FileDataset
from uda_seg.errors import UserError
from uda_seg.runs.initial import start
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.setup import make_method

SMALL = [
    "backbone=tiny", "source=camvid", "target=camvid", "trainer=cpu", "logger=none",
    "source.size=[32,64]", "target.size=[32,64]", "trainer.batch_size=2", "trainer.workers=0",
    "trainer.panels=0", "trainer.progress=false", "method.discriminator.width=4",
]  # fmt: skip


def overrides(camvid: Path, *more: str) -> list[str]:
    return [*SMALL, f"source.root={camvid}", f"target.root={camvid}", *more]


def run(folder: Path, arguments: list[str]) -> dict[str, torch.Tensor]:
    """A run in this process; its last checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    train.run(compose("train", arguments), folder)
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def in_two_processes(folder: Path, arguments: list[str], *starter: str) -> dict[str, Any]:
    """Such a run on two processes of the CPU, on gloo; its last checkpoint."""
    command = [sys.executable, *starter, "-m", "uda_seg", *arguments, f"hydra.run.dir={folder}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    stored: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return stored


def as_good_as_equal(one: dict[str, Any], two: dict[str, Any]) -> None:
    """The weights and buffers of two checkpoints, up to the order of sums."""
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(tensor, two["state_dict"][name], rtol=1e-4, atol=1e-6, msg=name)


def same(ours: Any, theirs: Any, path: str = "") -> None:
    """Bit for bit."""
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs), path
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys(), path
        for key in ours:
            same(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), path
        for index, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            same(a, b, f"{path}[{index}]")
    else:
        assert ours == theirs, path


def test_a_killed_run_goes_on_bit_for_bit(camvid: Path, tmp_path: Path) -> None:
    """12 steps = 5 + kill + 7: all players, optimizers, schedule, counters, samples, scores."""
    steps = ["trainer.steps=12", "trainer.validate_every=4", "trainer.checkpoint_every=5"]
    straight = run(tmp_path / "straight", overrides(camvid, *steps))
    folder = tmp_path / "killed"
    with pytest.raises(KilledError), KilledAt(6):
        run(folder, overrides(camvid, *steps))
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["global_step"] == 5
    resumed = run(folder, overrides(camvid, *steps, f"resume={folder}"))
    assert straight["global_step"] == resumed["global_step"] == 12
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(straight[part], resumed[part], part)
    scores = [json.loads((f / "scores.json").read_text()) for f in (tmp_path / "straight", folder)]
    for key in ("history", "selections"):
        same(scores[0][key], scores[1][key], key)


def test_a_step_that_was_saved_has_its_row_of_metrics(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a signal, which saves and ends the run, or a kill just then."""
    words = ["trainer.steps=5", "trainer.validate_every=5", "trainer.checkpoint_every=2"]
    words = overrides(camvid, *words, "trainer.log_every=1")
    words[words.index("logger=none")] = "logger=csv"
    run(tmp_path / "straight", words)
    save = Checkpoints.save

    def save_and_die(self: Checkpoints, trainer: Any, *selections: str) -> None:
        save(self, trainer, *selections)
        raise KilledError

    monkeypatch.setattr(Checkpoints, "save", save_and_die)
    with pytest.raises(KilledError):
        run(tmp_path / "killed", words)
    monkeypatch.setattr(Checkpoints, "save", save)
    run(tmp_path / "killed", [*words, f"resume={tmp_path / 'killed'}"])
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("straight", "killed")]
    assert [line.partition(",")[0] for line in rows[0].splitlines()] == ["step", *"01234"]
    assert rows[0] == rows[1]


class KilledError(Exception):
    """Stands for a kill: nothing of the run's own clean-up may be needed."""


class KilledAt:
    """Makes the training step of a given number die."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __enter__(self) -> None:
        self.original = Adaptation.training_step
        original, step = self.original, self.step

        def dies(module: Any, batch: Any, batch_idx: int) -> None:
            if module.global_step == step:
                raise KilledError
            original(module, batch, batch_idx)

        Adaptation.training_step = dies

    def __exit__(self, *_: object) -> None:
        Adaptation.training_step = self.original


@pytest.mark.parametrize("method", ["source_only", "adaptive_bn", "adaptseg"])
def test_training_labels_of_the_target_are_never_opened(
    method: str, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    (target).mkdir()
    for folder in ("train", "val", "trainannot", "valannot"):
        (target / folder).symlink_to(camvid / folder)
    opened: list[str] = []
    original = FileDataset.read_label

    def read(dataset: FileDataset, path: Path) -> np.ndarray:
        opened.append(str(path))
        return original(dataset, path)

    monkeypatch.setattr(FileDataset, "read_label", read)
    arguments = [o for o in SMALL if method == "adaptseg" or "discriminator" not in o]
    arguments += [f"source.root={camvid}", f"target.root={target}", f"method={method}"]
    run(tmp_path / "run", [*arguments, "trainer.steps=3", "trainer.validate_every=3"])
    assert any("target/valannot" in path for path in opened)
    assert not [path for path in opened if "target/trainannot" in path]


def test_the_oracle_opens_them(camvid: Path, tmp_path: Path) -> None:
    for path in (camvid / "trainannot").iterdir():
        path.unlink()
    arguments = [o for o in overrides(camvid, "method=target_only") if "discriminator" not in o]
    with pytest.raises(UserError, match="trainannot"):
        run(tmp_path / "run", [*arguments, "trainer.steps=1"])


def test_neither_the_number_of_workers_nor_a_cache_changes_anything(
    camvid: Path, tmp_path: Path
) -> None:
    results = [
        run(
            tmp_path / f"workers{workers}",
            overrides(camvid, "trainer.steps=3", f"trainer.workers={workers}", f"cache={cache}"),
        )["state_dict"]
        for workers, cache in ((0, "none"), (2, "auto"))
    ]
    same(*results)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starter", "trainer", "pieces"),
    [
        ([], ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"], 1),
        ([], ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"], 2),
        (
            ["-m", "torch.distributed.run", "--nproc-per-node=2"],
            ["trainer=cpu", "trainer.devices=2"],
            1,
        ),
    ],
    ids=["run", "accumulate", "torchrun"],
)
def test_two_processes_equal_one(
    starter: list[str], trainer: list[str], pieces: int, camvid: Path, tmp_path: Path
) -> None:
    """On gloo, where nothing depends on how a batch is cut.

    Batch statistics do, so batch norm is frozen; means over the labelled pixels of a piece do, so
    of pieces all pixels count; and Adam would blow rounding up where a gradient is next to nothing,
    but for a larger eps.
    """
    write_camvid(camvid, void=pieces == 1)
    common = ["backbone.batch_norm=frozen", "trainer.steps=4", "trainer.validate_every=4"]
    common += ["+method.optimizers.discriminator.eps=1e-4", f"trainer.accumulate={pieces}"]
    one = run(tmp_path / "one", overrides(camvid, *common, "trainer.batch_size=4"))
    folder = tmp_path / "two"
    arguments = [word for word in overrides(camvid, *common) if word != "trainer=cpu"]
    as_good_as_equal(one, in_two_processes(folder, [*arguments, *trainer], *starter))
    scores = [json.loads((f / "scores.json").read_text()) for f in (tmp_path / "one", folder)]
    losses = [each["history"][-1]["loss"] for each in scores]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    first, second = (each["selections"]["last"]["confusion"] for each in scores)
    assert np.abs(np.subtract(first, second)).sum() <= 0.01 * np.sum(first)
    assert np.sum(first) == np.sum(second)


@pytest.mark.slow
def test_two_processes_go_on_bit_for_bit(camvid: Path, tmp_path: Path) -> None:
    """Batch norm's statistics, which differ from process to process within a step, too."""
    words = [word for word in overrides(camvid, "trainer.checkpoint_every=1") if "=cpu" not in word]
    words += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    words += ["backbone.schedule.total=9"]
    straight = in_two_processes(tmp_path / "straight", [*words, "trainer.steps=4"])
    folder = tmp_path / "stopped"
    in_two_processes(folder, [*words, "trainer.steps=2"])
    resumed = in_two_processes(folder, [*words, "trainer.steps=4", f"resume={folder}"])
    assert straight["global_step"] == resumed["global_step"] == 4
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(straight[part], resumed[part], part)


def test_scores_say_what_was_run(camvid: Path, tmp_path: Path) -> None:
    run(tmp_path / "run", overrides(camvid, "trainer.steps=2", "seed=3"))
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["finished"]
    assert scores["steps"] == 2
    assert scores["seed"] == 3
    assert scores["batch_norm"] == "train"
    assert scores["method"] == {
        "name": "adaptseg", "label": "AdaptSegNet", "gan": "vanilla",
        "lambda_adv": 0.001, "lambda_adv_auxiliary": 0.0002, "lambda_seg_auxiliary": 0.1,
    }  # fmt: skip
    assert set(scores["selections"]) == {"last", "oracle_best", "label_free"}
    assert np.shape(scores["selections"]["last"]["confusion"]) == (11, 11)


def test_few_validation_images_are_scored_as_if_the_others_were_left_out(
    camvid: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = [*overrides(camvid, "trainer.steps=2"), "logger=csv"]
    words.remove("logger=none")
    settings = {"left_out": "target.leave_out=[val/002.png]", "few": "trainer.limit_val_images=2"}
    made = {name: run(tmp_path / name, [*words, more]) for name, more in settings.items()}
    same(made["left_out"]["state_dict"], made["few"]["state_dict"])
    found = [json.loads((tmp_path / name / "scores.json").read_text()) for name in settings]
    counts = [one["selections"]["last"]["confusion"] for one in found]
    assert counts[0] == counts[1]
    assert sum(map(sum, counts[0])) > 0
    assert [(one.get("scored_images"), one.get("split_images")) for one in found] == [
        (None, None), (2, 3),
    ]  # fmt: skip
    said = "trainer.limit_val_images=2: scored on 2 of 3 images, not on the split"
    assert caplog.messages.count(said) == 1
    logged = [(tmp_path / name / "metrics.csv").read_text() for name in settings]
    assert ["target/scored_images" in text for text in logged] == [False, True]


def test_a_run_starts_from_another_runs_network(camvid: Path, tmp_path: Path) -> None:
    first = run(tmp_path / "first", overrides(camvid, "trainer.steps=2"))
    config = compose("train", overrides(camvid, f"initial={tmp_path / 'first'}"))
    method = make_method(config, first["hyper_parameters"]["classes"])
    start(method.network, config, first["hyper_parameters"]["classes"])
    for name, weight in method.network.state_dict().items():
        assert torch.equal(weight, first["state_dict"][f"method.network.{name}"]), name
