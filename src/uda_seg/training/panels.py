"""Pictures of what the network sees: during a run as panels, at its end one file a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lightning import Callback, Trainer
from torch import Tensor

from uda_seg.batch import Target
from uda_seg.images import pictures
from uda_seg.networks.modes import evaluating
from uda_seg.training.loggers import Shown, log_panel


class Panels(Callback):
    """Image | label | prediction | the method's own maps, for the same target images each time.

    The module offers `predict_label` and `classes`; its method may offer `pictures(target)`;
    `source_pictures(source)`, such as translations, which are shown beside the source's image; and
    `color_pictures(target)` of training images, such as pseudo-labels, shown beside these.

    Args:
        folder: of the run; panels/step_XXXXXX.png at every validation, pictures/NNN_*.png at the
            end of training.
        count: validation images shown, evenly spread; 0 shows none.
    """

    def __init__(self, folder: str | Path, count: int) -> None:
        self.folder, self.count = Path(folder), count
        self.samples: list[tuple[Tensor, np.ndarray]] | None = None

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        if self.idle(trainer) or trainer.sanity_checking:
            return
        rows, shown, captions = [], [], ["image", "label", "prediction"]
        for number, (image, label) in enumerate(self.samples_of(trainer)):
            with evaluating(module):
                prediction, maps = predict(module, image), own_maps(module, image)
                made = made_of_source(module, trainer, number)
                made |= made_of_target(module, trainer, number)
            bytes_ = to_bytes(image)
            label = pictures.resize(label, *bytes_.shape[:2])
            colors = [pictures.color(ids, module.classes) for ids in (label, prediction)]
            rows.append([bytes_, *colors, *map(pictures.heat, maps.values()), *made.values()])
            shown.append(Shown(bytes_, {"prediction": prediction, "ground_truth": label}))
            captions[3:] = [name.replace("_", " ") for name in (*maps, *made)]
        panel = pictures.grid(rows, captions)
        pictures.save(self.folder / "panels" / f"step_{trainer.global_step:06}.png", panel)
        for logger in trainer.loggers:
            log_panel(logger, "panel", panel, shown, trainer.global_step, module.classes)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if self.idle(trainer):
            return
        for number, (image, label) in enumerate(self.samples_of(trainer)):
            with evaluating(module):
                prediction = predict(module, image)
            bytes_ = to_bytes(image)
            label = pictures.resize(label, *bytes_.shape[:2])
            for kind, picture in (
                ("image", bytes_),
                ("label", pictures.color(label, module.classes)),
                ("prediction", pictures.color(prediction, module.classes)),
            ):
                pictures.save(self.folder / "pictures" / f"{number:03}_{kind}.png", picture)

    def idle(self, trainer: Trainer) -> bool:
        return self.count == 0 or not trainer.is_global_zero

    def samples_of(self, trainer: Any) -> Sequence[tuple[Tensor, np.ndarray]]:
        """Read once a run."""
        if self.samples is None:
            self.samples = trainer.datamodule.panel_samples(self.count)
        return self.samples


def predict(module: Any, image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] to (H, W) uint8 classes."""
    return module.predict_label(image[None].to(module.device))[0].cpu().numpy().astype(np.uint8)


def own_maps(module: Any, image: Tensor) -> dict[str, np.ndarray]:
    """(h, w) maps in [0, 1] of methods that have some, such as a discriminator's answer."""
    hook = getattr(module.method, "pictures", None)
    if hook is None:
        return {}
    maps = hook(Target(image=image[None].to(module.device)))
    return {name: values[0, 0].float().cpu().numpy() for name, values in maps.items()}


def to_bytes(image: Tensor) -> np.ndarray:
    """(3, H, W) in [0, 1] to (H, W, 3) uint8."""
    return (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()


def made_of_source(module: Any, trainer: Any, number: int) -> dict[str, np.ndarray]:
    """A source image and what the method makes of it, (H, W, 3) uint8; empty if nothing."""
    hook = getattr(module.method, "source_pictures", None)
    if hook is None or not hasattr(trainer.datamodule, "panel_source"):
        return {}
    source = trainer.datamodule.panel_source(number, module.device)
    made = {name: to_bytes(images[0]) for name, images in hook(source).items()}
    return {"source": to_bytes(source.image[0]), **made} if made else {}


def made_of_target(module: Any, trainer: Any, number: int) -> dict[str, np.ndarray]:
    """A target training image and what is made of it, (H, W, 3) uint8; empty if nothing."""
    hook = getattr(module.method, "color_pictures", None)
    if hook is None or not hasattr(trainer.datamodule, "panel_target"):
        return {}
    target = trainer.datamodule.panel_target(number, module.device)
    made = {name: in_colors(values[0], module.classes) for name, values in hook(target).items()}
    return {"training image": to_bytes(target.image[0]), **made} if made else {}


def in_colors(values: Tensor, classes: Sequence[str]) -> np.ndarray:
    """A picture (3, h, w) in [0, 1], or classes (h, w), to (h, w, 3) uint8."""
    if values.ndim == 3:
        return to_bytes(values)
    return pictures.color(values.cpu().numpy().astype(np.uint8), classes)
