"""How far a run is, on a terminal and elsewhere, and what share of the time it waits for data."""

import io
import json
from types import SimpleNamespace

import pytest
import torch
from conftest import make_batch
from rich.console import Console

from uda_seg.training import progress
from uda_seg.training.progress import ProgressLine


def make_trainer(**given):
    defaults = {"global_step": 0, "max_steps": 4, "is_global_zero": True, "world_size": 1}
    return SimpleNamespace(**defaults | given, datamodule=SimpleNamespace(workers=3))


def make_module():
    return SimpleNamespace(last_losses={}, device=torch.device("cpu"))


def tensors(**losses):
    return {name: torch.tensor(float(value)) for name, value in losses.items()}


def run_progress(
    folder, monkeypatch, terminal, show=True, steps=4, every=1, seconds=1.0, waits=0.0
):
    """A run whose every step takes `seconds` of a clock of its own, `waits` of them until its
    batch is there; returns the text.
    """
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=120)
    callback = ProgressLine(folder, show=show, every=every, console=console)
    trainer, module = make_trainer(max_steps=steps), make_module()
    callback.on_train_start(trainer, module)
    for step in range(1, steps + 1):
        now[0] += waits
        callback.on_train_batch_start(trainer, module, None, step)
        now[0] += seconds - waits
        trainer.global_step = step
        module.last_losses = tensors(supervision_main=0.5 / step, adversarial_main=2)
        callback.on_train_batch_end(trainer, module, None, make_batch(2), step)
        if step == 2:
            callback.on_validation_start(trainer, module)
            now[0] += 50 * seconds
            callback.on_validation_end(trainer, module)
    callback.on_train_end(trainer, module)
    assert callback.bar is None
    return text.getvalue()


def test_lines_without_a_terminal_are_few_and_say_it_all(tmp_path, monkeypatch):
    lines = run_progress(tmp_path, monkeypatch, terminal=False, steps=200, every=10).splitlines()
    steps = [line.split()[1] for line in lines]
    assert steps[0] == "1/200"
    assert steps[-1] == "200/200"
    # A second a step and at least 15 s between two lines at multiples of 10.
    assert steps[1:4] == ["10/200", "30/200", "50/200"]
    assert len(steps) == len(set(steps))
    assert "sup_main 0.0167  adv_main 2  4.0 images/s" in lines[2]  # 2 source, 2 target a second
    # 29 steps after the first took 29 s and the scoring 50 s; 170 are left.
    assert lines[2].endswith("7:43 left")


@pytest.mark.parametrize(("waits", "shown", "told"), [(0.05, 0, 0), (0.125, 1, 0), (0.25, 1, 1)])
def test_waiting_for_data_is_shown_and_once_there_is_advice(
    tmp_path, monkeypatch, caplog, waits, shown, told
):
    text = run_progress(tmp_path, monkeypatch, terminal=False, steps=120, every=10, waits=waits)
    # From the 51st step on, which is the first with 50 before it; scoring is no waiting.
    lines = [line for line in text.splitlines() if int(line.split()[1].split("/")[0]) > 50]
    assert len(lines) > 2
    words = f"waiting for data {100 * waits:.0f} %"
    assert [words in line for line in lines] == [bool(shown)] * len(lines)
    assert "waiting" not in text.splitlines()[0]
    assert caplog.text.count("raise trainer.workers= (3 now") == told
    state = json.loads((tmp_path / "progress.json").read_text())
    assert state["waiting_for_data"] == pytest.approx(waits)


def test_a_busy_accelerator_is_no_waiting():
    clock = progress.Clock()
    clock.start()
    for step in range(1, 80):
        clock.begin()
        clock.tick(step, 4, idle=False)
    assert clock.rate() is not None
    assert clock.waiting() is None
    assert not progress.at_rest(torch.device("mps"), 10)


def test_bar_on_a_terminal_shows_step_losses_and_speed(tmp_path, monkeypatch):
    text = run_progress(tmp_path, monkeypatch, terminal=True)
    assert "step 4/4" in text
    assert "sup_main 0.125" in text
    assert "4.0 images/s" in text
    assert "scoring" in text


def test_progress_file_says_how_far_a_run_is(tmp_path, monkeypatch):
    assert run_progress(tmp_path, monkeypatch, terminal=False, show=False) == ""
    assert json.loads((tmp_path / "progress.json").read_text()) == {
        "step": 4,
        "steps": 4,
        "images_per_second": 4.0,
        "waiting_for_data": None,
        "seconds_left": 0.0,
        "loss": {"supervision_main": 0.125, "adversarial_main": 2.0},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_progress_file_is_written_seldom_and_holds_only_json(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(ProgressLine, "write", lambda self, state: written.append(state["step"]))
    run_progress(tmp_path, monkeypatch, terminal=False, steps=40, seconds=0.5)
    assert written[0] == 0
    assert written[-1] == 40
    assert len(written) <= 40 * 0.5 / 2 + 3
    assert progress.number(torch.tensor(float("nan"))) is None


def test_other_ranks_are_silent(tmp_path):
    callback = ProgressLine(tmp_path, show=True, every=1)
    trainer, module = make_trainer(is_global_zero=False), make_module()
    callback.on_train_start(trainer, module)
    callback.on_train_batch_end(trainer, module, None, make_batch(2), 0)
    callback.on_train_end(trainer, module)
    assert list(tmp_path.iterdir()) == []
