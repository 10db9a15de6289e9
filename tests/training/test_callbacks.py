"""Callbacks beside small fakes of trainer, module and datamodule."""

import io
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from conftest import make_batch
from rich.console import Console
from torch import nn

from uda_seg.batch import Source
from uda_seg.errors import UserError
from uda_seg.images.pictures import CAPTION, GAP, color
from uda_seg.training import panels, progress
from uda_seg.training.finite import MOST_OVERFLOWS, FiniteLosses
from uda_seg.training.panels import Panels
from uda_seg.training.progress import ProgressLine

CLASSES = ["road", "car"]
HEIGHT, WIDTH = 16, 24


class FakeModule(nn.Module):
    """Predicts "car" where the red channel is above a half; its discriminator answers 1."""

    def __init__(self, pictures=None):
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
        self.method = SimpleNamespace()
        if pictures is not None:
            self.method.pictures = pictures
        self.last_losses, self.classes, self.device = {}, CLASSES, torch.device("cpu")
        self.overflows = 0

    def predict_label(self, image):
        assert not self.training
        assert not torch.is_grad_enabled()
        return (image[:, 0] > 0.5).long()


class FakeDataModule:
    reads = 0

    def panel_samples(self, count):
        self.reads += 1
        image = torch.zeros(3, HEIGHT, WIDTH)
        image[0, :, WIDTH // 2 :] = 1
        label = np.full((HEIGHT * 2, WIDTH * 2), 255, np.uint8)
        label[:, WIDTH:] = 1
        return [(image, label)] * count


class FakeLogger:
    """Takes what a W&B logger takes."""

    def __init__(self):
        self.images = []

    def show(self, name, images, step, keywords):
        self.images.append((name, images, step, keywords))


def make_trainer(**given):
    defaults = {
        "global_step": 0,
        "max_steps": 4,
        "is_global_zero": True,
        "sanity_checking": False,
        "world_size": 1,
        "loggers": [],
        "optimizers": [],
        "datamodule": FakeDataModule(),
    }
    return SimpleNamespace(**defaults | given)


def tensors(**losses):
    return {name: torch.tensor(float(value)) for name, value in losses.items()}


def test_finite_losses_pass_and_the_latest_are_kept_for_a_diagnosis():
    callback, trainer, module = FiniteLosses(every=2), make_trainer(), FakeModule()
    for step in range(7):
        trainer.global_step, module.last_losses = step, tensors(main=step)
        callback.on_train_batch_end(trainer, module, None, None, step)
    assert list(callback.finite["main"]) == [2, 3, 4, 5, 6]
    assert callback.unread == []


def test_a_loss_that_is_no_number_stops_with_a_diagnosis():
    callback, module = FiniteLosses(every=100), FakeModule()
    group = {"lr": 0.25, "player": "discriminator"}
    trainer = make_trainer(optimizers=[SimpleNamespace(param_groups=[group, {"lr": 0.125}])])
    for step in range(1, 8):
        trainer.global_step, module.last_losses = step, tensors(main=step, other=0.5)
        callback.on_train_batch_end(trainer, module, None, None, step)
    trainer.global_step, module.last_losses = 8, tensors(main="inf", other=0.5)
    module.layer[0].weight.data[0, 0] = torch.nan
    module.layer[0].weight.grad = torch.full((1, 2), torch.inf)
    module.layer[0].bias.grad = torch.full((1,), -3.0)
    with pytest.raises(UserError) as error:
        callback.on_train_batch_end(trainer, module, None, None, 8)
    message = str(error.value)
    assert "not finite at step 8" in message
    assert "main is inf; its last finite values: 3, 4, 5, 6, 7" in message
    assert "other is 0.5" in message
    assert "discriminator 0.25" in message
    assert "network 0.125" in message
    assert "1 of 4 parameters are not finite, layer.0.weight first" in message
    assert "1 of 2 gradients are not finite, layer.0.weight first" in message
    assert "largest finite gradient: 3 in layer.0.bias" in message
    assert "trainer.clip_norm" in message


def test_gradients_that_overflow_whatever_the_scale_stop_the_run():
    callback, trainer, module = FiniteLosses(every=1), make_trainer(global_step=40), FakeModule()
    module.last_losses, module.overflows = tensors(main=1), MOST_OVERFLOWS - 1
    callback.on_train_batch_end(trainer, module, None, None, 0)
    module.overflows += 1
    with pytest.raises(UserError, match="overflowed at step 40 and at the 31 before"):
        callback.on_train_batch_end(trainer, module, None, None, 0)


@pytest.mark.parametrize("hook", ["on_validation_start", "on_train_end", "on_save_checkpoint"])
def test_steps_kept_on_a_device_are_read_before_weights_are_used(hook):
    callback, trainer, module = FiniteLosses(every=100), make_trainer(), FakeModule()
    callback.unread = [(3, tensors(main=1)), (4, tensors(main="nan")), (5, tensors(main="nan"))]
    with pytest.raises(UserError, match="at step 4"):
        getattr(callback, hook)(trainer, module, *([{}] if "save" in hook else []))


def test_on_a_device_losses_are_looked_at_only_every_few_steps():
    callback, trainer, module = FiniteLosses(every=3), make_trainer(), FakeModule()
    reads = []
    callback.read = lambda *_: reads.append(trainer.global_step) or callback.unread.clear()
    for step in range(1, 8):
        trainer.global_step, module.last_losses = step, {"main": torch.empty((), device="meta")}
        callback.on_train_batch_end(trainer, module, None, None, step)
    assert reads == [3, 6]


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
    trainer, module = make_trainer(max_steps=steps), FakeModule()
    callback.on_train_start(trainer, module)
    trainer.datamodule = SimpleNamespace(workers=3)
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
    trainer, module = make_trainer(is_global_zero=False), FakeModule()
    callback.on_train_start(trainer, module)
    callback.on_train_batch_end(trainer, module, None, make_batch(2), 0)
    callback.on_train_end(trainer, module)
    assert list(tmp_path.iterdir()) == []


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def test_panels_show_image_label_prediction_and_maps(tmp_path):
    logger, module = (
        FakeLogger(),
        FakeModule(lambda t: {"discriminator_main": torch.ones(1, 1, 2, 3)}),
    )
    module.layer[1].eval()  # say a frozen batch norm
    trainer = make_trainer(global_step=12, loggers=[logger])
    callback = Panels(tmp_path, count=2)
    callback.on_validation_end(trainer, module)
    callback.on_validation_end(trainer, module)
    assert trainer.datamodule.reads == 1
    panel = read(tmp_path / "panels" / "step_000012.png")
    assert panel.shape == (CAPTION + 2 * HEIGHT + GAP, 4 * WIDTH + 3 * GAP, 3)
    prediction = panel[CAPTION : CAPTION + HEIGHT, 2 * (WIDTH + GAP) :][:, :WIDTH]
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, WIDTH // 2 :] = 1
    assert (prediction == color(expected, CLASSES)).all()
    assert [(name, len(images)) for name, images, _, _ in logger.images[:2]] == [
        ("panel", 1),
        ("panel_masks", 2),
    ]
    assert (logger.images[0][1][0] == panel).all()
    _, _, step, keywords = logger.images[1]
    assert step == 12
    truth = keywords["masks"][1]["ground_truth"]["mask_data"]
    assert truth.shape == (HEIGHT, WIDTH)
    assert truth[0].tolist() == [255] * (WIDTH // 2) + [1] * (WIDTH // 2)
    assert module.training
    assert not module.layer[1].training


def test_panels_show_what_a_method_makes_of_the_source(tmp_path):
    """Beside the source's image, and for every row another one."""
    module, trainer = FakeModule(), make_trainer()
    module.method.source_pictures = lambda source: {"translation": 1 - source.image}

    def panel_source(number, device):
        grey = torch.full((1, 3, HEIGHT, WIDTH), 0.2 * (number + 1))
        return Source(grey, torch.zeros(1, HEIGHT, WIDTH, dtype=torch.long))

    trainer.datamodule.panel_source = panel_source
    Panels(tmp_path, count=2).on_validation_end(trainer, module)
    panel = read(tmp_path / "panels" / "step_000000.png")
    assert panel.shape[1] == 5 * WIDTH + 4 * GAP
    rows = [CAPTION + i * (HEIGHT + GAP) for i in (0, 1)]
    assert [panel[y + 1, -1, 0] for y in rows] == [204, 153]
    assert [panel[y + 1, 3 * (WIDTH + GAP) + 1, 0] for y in rows] == [51, 102]


def test_final_pictures_are_one_file_each(tmp_path):
    Panels(tmp_path, count=2).on_train_end(make_trainer(), FakeModule())
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    kinds = ("image", "label", "prediction")
    assert names == [f"{number:03}_{kind}.png" for number in (0, 1) for kind in kinds]
    assert read(tmp_path / "pictures" / "000_image.png")[0, -1].tolist() == [255, 0, 0]
    assert read(tmp_path / "pictures" / "001_prediction.png")[0, -1].tolist() == [0, 0, 142]
    assert read(tmp_path / "pictures" / "001_label.png")[0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("count", "given"), [(0, {}), (2, {"is_global_zero": False}), (2, {"sanity_checking": True})]
)
def test_panels_keep_quiet_when_nobody_wants_them(tmp_path, count, given):
    Panels(tmp_path, count).on_validation_end(make_trainer(**given), FakeModule())
    assert list(tmp_path.iterdir()) == []


def test_a_method_without_pictures_has_three_columns(tmp_path):
    assert panels.own_maps(FakeModule(), torch.zeros(3, HEIGHT, WIDTH)) == {}
