"""Sweeps without training: the train command becomes a function that writes what a run leaves."""

import math
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report.report_examples import save_run

from uda_seg.cli import main
from uda_seg.errors import DataError
from uda_seg.report.runs import read
from uda_seg.runs import run_folder

SMALL = ["source=toytown", "target=toytown_camera", "backbone=tiny", "logger=none"]
KEY = "method.lambda_adv"


class Training:
    """What stands in for `train`.

    Attributes:
        begun: (λ_adv, seed, resume) of every run that was begun.
        failing: values of λ_adv whose runs fail.
        fails: whether the run that has just begun fails, whatever its value.
        killed: values whose runs are killed by Ctrl-C, with a checkpoint on disk.
    """

    def __init__(self) -> None:
        self.begun: list[tuple[float, int, str | None]] = []
        self.failing: set[float] = set()
        self.fails: Callable[[], bool] = lambda: False
        self.killed: set[float] = set()

    def run(self, config: Any, folder: Path) -> float:
        value = float(config["method"].get("lambda_adv", 0.001))
        self.begun.append((value, config["seed"], config["resume"]))
        run_folder.open_run(config, folder)
        if value in self.failing or self.fails():
            raise DataError(f"no luck with {value}\nand more")
        if value in self.killed:
            (folder / "checkpoints").mkdir(exist_ok=True)
            (folder / "checkpoints" / "last.ckpt").write_bytes(b"")
            raise KeyboardInterrupt
        share = min(0.9, max(0.1, 0.6 - 0.1 * abs(math.log10(value / 0.002)) + config["seed"] / 50))
        name = str(config["method"]["name"])
        save_run(folder, name, config["seed"], share, history=[entry(share)])
        return miou(folder)

    @property
    def values(self) -> list[float]:
        return [value for value, _, _ in self.begun]


def entry(share: float) -> dict[str, float]:
    """Scored without labels, the worst is the best."""
    return {"step": 20, "miou": 100 * share, "information_maximisation": 1 - share}


def miou(folder: Path) -> float:
    scores = read(folder).scores
    assert scores is not None
    return float(scores["selections"]["last"]["miou"])


@pytest.fixture(name="training")
def a_training(monkeypatch: pytest.MonkeyPatch) -> Training:
    stand_in = Training()
    command = types.ModuleType("uda_seg.commands.train")
    command.run = stand_in.run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uda_seg.commands.train", command)
    for name in ("LOCAL_RANK", "UDA_SEG_RUN_FOLDER"):
        monkeypatch.setenv(name, "0")  # so that what a test leaves there is undone
        monkeypatch.delenv(name)
    return stand_in


@pytest.fixture(name="sweep")
def a_sweep(training: Training, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs a command line; its exit code."""

    def sweep(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["uda-seg", *SMALL, *words])
        with pytest.raises(SystemExit) as stop:
            main.main()
        return int(stop.value.code or 0)

    return sweep


def sweeps() -> list[Path]:
    return sorted(path.parent for path in Path("outputs").glob("**/sweep.json"))


def jobs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())
