"""A later round of FDA: the networks of the runs that it names label together."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import compose

from uda_seg.commands import train
from uda_seg.errors import ConfigError

SMALL = [
    "source=toytown", "target=toytown_camera", "source.size=[32,64]", "target.size=[32,64]",
    "source.length={train: 4, val: 2}", "target.length={train: 4, val: 2}", "backbone=tiny",
    "trainer=cpu", "trainer.workers=0", "trainer.panels=0", "trainer.progress=false",
    "trainer.batch_size=2", "method=fda",
]  # fmt: skip


def run(folder: Path, *more: str) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    train.run(compose("train", [*SMALL, *more]), folder)
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def test_labellers_are_the_runs_that_are_named(tmp_path: Path) -> None:
    steps = ["trainer.validate_every=2", "trainer.checkpoint_every=2"]
    weights = []
    for name in ("one", "two"):
        words = [*steps, "trainer.steps=2", f"method.band={0.1 * (name == 'two')}"]
        weights.append(run(tmp_path / name, *words)["state_dict"])
    named = f"method.labellers=[{tmp_path / 'one'},{tmp_path / 'two'}]"
    straight = run(tmp_path / "later", named, *steps, "trainer.steps=4")["state_dict"]
    for number, state in enumerate(weights):
        name = "head.weight"
        labeller = straight[f"method.labellers.networks.{number}.{name}"]
        assert torch.equal(labeller, state[f"method.network.{name}"])
    assert 0 < float(straight["method.thresholds"].max()) <= 0.9
    assert straight["method._extra_state"]["round"] == 1
    assert int(straight["method.steps"]) == 4


def test_what_is_no_run_is_said_before_anything_is_built(tmp_path: Path) -> None:
    config = compose("train", [*SMALL, "method.labellers=[nowhere]"])
    with pytest.raises(ConfigError, match="method.labellers=nowhere: .* is not there"):
        train.refuse(config, tmp_path)


def test_nothing_stands_on_a_later_round(tmp_path: Path) -> None:
    words = [word for word in SMALL if word != "method=fda"]
    words += ["method=mic", "method@method.base=fda", "method.base.labellers=[somewhere]"]
    with pytest.raises(ConfigError, match="method.base.labellers: a later round"):
        train.refuse(compose("train", words), tmp_path)
