"""Killed at any moment and resumed, a run leaves what an undisturbed one does."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

from uda_seg.evaluation import scores
from uda_seg.runs.checkpoint import CheckpointFiles, step_of
from uda_seg.runs.stopping import Stopped, StopRequest
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.scoreboard import CRITERION, Scoreboard
from uda_seg.training.stop import Stop
from uda_seg.training.trainer import finish

STEPS, VALIDATE, SAVE = 9, 2, 3
RIGHT = {2: 0, 4: 5, 6: 5, 8: 3, 9: 7}
"""Pixels that a step gets right of ten; at the first nothing is known at all."""
SURE = {2: 3.0, 4: 3.5, 6: 4.0, 8: 1.0, 9: 1.0}
FACTS: dict[str, Any] = {
    "run_name": "r", "method": {"name": "m"}, "source": "s", "target": "t", "backbone": "b",
    "seed": 0, "batch_norm": "train", "classes": ["a", "b"], "batch_size": 1,
}  # fmt: skip


class KilledError(BaseException):
    pass


class Moments:
    """Counts the moments of a run, and kills it at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.passed, self.last = 0, last

    def __call__(self) -> None:
        self.passed += 1
        if self.passed == self.last:
            raise KilledError


class Toy(LightningModule):
    """Its weight is its step; its scores are written above, turned round in another `life`."""

    def __init__(self, moment: Moments, life: int = 0) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.moment, self.life = moment, life
        self.last_losses: dict[str, torch.Tensor] = {}
        self.confusion = SimpleNamespace(
            reset=lambda: None,
            counts=lambda: self.matrix().numpy(),
            other_counts=lambda: np.zeros((0, 2), int),
        )
        self.label_free = SimpleNamespace(
            reset=lambda: None,
            compute=lambda: torch.tensor(SURE[self.step()]),
            mean_normalised_entropy=lambda: torch.zeros(()),
        )
        nothing = SimpleNamespace(reset=lambda: None, compute=lambda: torch.zeros(()))
        self.density, self.agreement = nothing, None

    def step(self) -> int:
        step = round(float(self.weight))
        assert step == self.global_step
        return step

    def matrix(self) -> torch.Tensor:
        right = RIGHT[self.step()] if self.life % 2 == 0 else 10 - RIGHT[self.step()]
        counts = [[right, 10 - right], [0, 0]] if self.step() > 2 else [[0, 0], [0, 0]]
        return torch.tensor(counts)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        self.moment()
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(-self.weight)
        optimizer.step()
        self.last_losses = {"loss": self.weight.detach() / 7}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.moment()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=1.0)


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Whoever puts a file in its place passes one moment before and one after."""
    current: dict[str, Any] = {"moment": lambda: None}
    replace = os.replace

    def replaces(*arguments: Any) -> None:
        current["moment"]()
        replace(*arguments)
        current["moment"]()

    monkeypatch.setattr(os, "replace", replaces)
    return current


def start(folder: Path, moment: Moments, replaced: dict[str, Any], life: int = 0) -> None:
    """Begins a run, or goes on with it."""
    replaced["moment"] = moment
    scoreboard = Scoreboard(folder, dict(FACTS))
    checkpoints = Checkpoints(folder, SAVE, VALIDATE, scoreboard)
    request = StopRequest()
    stop = Stop(request, checkpoints, folder)
    trainer = Trainer(
        accelerator="cpu", max_steps=STEPS, max_epochs=-1, val_check_interval=VALIDATE,
        check_val_every_n_epoch=None, num_sanity_val_steps=0, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        plugins=[CheckpointFiles()], callbacks=[scoreboard, checkpoints, stop],
        default_root_dir=folder,
    )  # fmt: skip
    module = Toy(moment, life)
    last = folder / "checkpoints" / "last.ckpt"
    pair = SimpleNamespace(
        bad_images=SimpleNamespace(skipped=list),
        pictures=SimpleNamespace(dataset=SimpleNamespace(has_labels=False)),
    )
    validate = trainer.validate
    trainer.validate = lambda module, **_: validate(module, DataLoader([0]), verbose=False)  # type: ignore
    with request:
        trainer.fit(
            module, DataLoader(range(100)), DataLoader([0]),
            ckpt_path=last if last.is_file() else None, weights_only=True,
        )  # fmt: skip
        finish(trainer, module, pair, scoreboard, checkpoints, folder)  # type: ignore


def outcome(folder: Path) -> dict[str, Any]:
    """Scores without times, and what the checkpoints are."""
    found = json.loads((folder / "scores.json").read_text())
    for name in ("training_seconds", "images_per_second"):
        del found[name]
    for name in ("last", "oracle_best", "label_free"):
        path = folder / "checkpoints" / f"{name}.ckpt"
        assert step_of(path) == found["selections"][name]["step"], name
        weight = torch.load(path, weights_only=True)["state_dict"]["weight"]
        assert float(weight) == found["selections"][name]["step"], name
    return found


def kills(folder: Path, replaced: dict[str, Any], every: int) -> Iterator[Path]:
    """A run for each moment, or each of some, killed there."""
    moments = Moments()
    start(folder / "whole", moments, replaced)
    assert moments.passed > 50
    for last in range(every, moments.passed + 1, every):
        with pytest.raises(KilledError):
            start(folder / f"killed{last}", Moments(last), replaced)
        yield folder / f"killed{last}"


@pytest.fixture(autouse=True)
def quiet() -> None:
    import warnings

    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*resuming from a checkpoint that ended before.*")
    warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*", FutureWarning)


EVERY = pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 11])


@EVERY
def test_a_kill_at_any_moment_changes_nothing(
    every: int, tmp_path: Path, replaced: dict[str, Any]
) -> None:
    for folder in kills(tmp_path, replaced, every):
        start(folder, Moments(), replaced)
        assert outcome(folder) == outcome(tmp_path / "whole"), folder
    found = outcome(tmp_path / "whole")
    assert found["finished"]
    assert [entry["step"] for entry in found["history"]] == [2, 4, 6, 8, 9]
    assert found["selections"]["oracle_best"]["step"] == 9  # seen only after the last step
    assert found["selections"]["label_free"]["step"] == 6
    assert found["history"][0]["miou"] is None
    assert scores.load(tmp_path / "whole")["history"][1][CRITERION] == 3.5


@EVERY
def test_a_resumed_run_that_scores_otherwise_has_the_files_it_names(
    every: int, tmp_path: Path, replaced: dict[str, Any]
) -> None:
    """On a GPU a step taken again is not the same bit for bit."""
    for folder in kills(tmp_path, replaced, every):
        start(folder, Moments(), replaced, life=1)
        outcome(folder)


def test_a_signal_in_a_step_or_a_validation_saves_and_changes_nothing(
    tmp_path: Path, replaced: dict[str, Any]
) -> None:
    number = signal.SIGTERM
    before = signal.signal(number, signal.SIG_DFL)  # in the background it may be ignored
    start(tmp_path / "whole", Moments(), replaced)
    stopped = {"step": 0, "validation": 0}
    for last in range(1, 14, 2):

        class Signals(Moments):
            def __call__(self) -> None:
                self.passed += 1
                if self.passed == last:  # noqa: B023
                    os.kill(os.getpid(), number)

        folder = tmp_path / f"stopped{last}"
        with pytest.raises(Stopped) as caught:
            start(folder, Signals(), {})
        assert caught.value.code == 128 + number
        step = step_of(folder / "checkpoints" / "last.ckpt")
        assert f"saved at step {step}; go on with: python -m uda_seg" in str(caught.value.words)
        pending = step % VALIDATE == 0 or step == STEPS
        stopped["validation" if pending else "step"] += 1
        start(folder, Moments(), replaced)
        assert outcome(folder) == outcome(tmp_path / "whole"), last
    assert min(stopped.values()) > 1
    signal.signal(number, before)
