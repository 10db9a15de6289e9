"""Callbacks beside small fakes of trainer, module and datamodule."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from uda_seg.batch import Source
from uda_seg.errors import UserError
from uda_seg.images.pictures import CAPTION, GAP, color
from uda_seg.training import panels
from uda_seg.training.finite import MOST_OVERFLOWS, FiniteLosses
from uda_seg.training.panels import Panels

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
