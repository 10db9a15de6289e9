"""Where numbers and pictures of a run go: a CSV file, TensorBoard, Weights & Biases.

Each of `csv`, `tensorboard` and `wandb` returns a Lightning logger; a run has several, or none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from uda_seg.batch import IGNORE
from uda_seg.training.metrics_file import MetricsFile


@dataclass
class Shown:
    """One image of a panel, for loggers that lay labels over it themselves."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    """Such as "prediction" and "ground_truth": (H, W) uint8 classes, IGNORE among them."""


def csv(folder: str | Path, run_name: str, config: Mapping[str, Any]) -> Logger:
    """metrics.csv in the run folder."""
    return MetricsFile(folder)


def tensorboard(folder: str | Path, run_name: str, config: Mapping[str, Any]) -> Logger:
    """Events in the run folder; `tensorboard --logdir outputs` shows the runs by their folders."""
    logger = TensorBoardLogger(str(folder), name="", version="tensorboard", default_hp_metric=False)
    if getattr(rank_zero_only, "rank", 0) == 0:
        text = yaml.safe_dump(dict(config), sort_keys=False)
        logger.experiment.add_text("config", f"```yaml\n{text}```")
    return logger


def wandb(
    folder: str | Path,
    run_name: str,
    config: Mapping[str, Any],
    project: str,
    entity: str | None,
    group: str | None,
    tags: Sequence[str],
) -> Logger | None:
    """A W&B run, offline where nobody is logged in; None, with a warning, where it cannot start.

    Args:
        folder: of the run; the id it keeps there lets a resumed run continue its W&B run.
        run_name: shown by W&B.
        config: plain containers.
        project: of W&B.
        entity: user or team; None for the account's default.
        group: runs shown together; None groups the jobs of one sweep.
        tags: to find runs by.
    """
    try:
        from uda_seg.training import weights_and_biases
    except Exception as error:  # a broken installation of a logger is no reason not to train
        import logging

        logging.getLogger(__name__).warning("W&B: %s; the run goes on without it", error)
        return None
    return weights_and_biases.start(Path(folder), run_name, config, project, entity, group, tags)


def finish(loggers: Sequence[Logger], failed: bool = False) -> None:
    """At the end of a job: hands over what is still kept back, and ends its W&B run."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
        elif hasattr(logger, "show"):
            from uda_seg.training import weights_and_biases

            weights_and_biases.finish(1 if failed else 0)


def log_panel(
    logger: Logger,
    name: str,
    panel: np.ndarray,
    shown: Sequence[Shown],
    step: int,
    classes: Sequence[str],
) -> None:
    """Sends a composed picture to a logger that shows pictures; others ignore it.

    Args:
        logger: any.
        name: the picture is logged under it.
        panel: (H, W, 3) uint8 RGB.
        shown: its images with labels, which W&B lays over them on its own.
        step: it belongs to.
        classes: names of the experiment's classes.
    """
    if isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(name, panel, step, dataformats="HWC")
    elif hasattr(logger, "show"):
        logger.show(name, [panel], step, {})
        masks = [wandb_masks(one, classes) for one in shown]
        # A list of its own: W&B wants all pictures of a list to have one size.
        logger.show(f"{name}_masks", [one.image for one in shown], step, {"masks": masks})


def wandb_masks(shown: Shown, classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What `wandb.Image` takes as masks."""
    names = {**dict(enumerate(classes)), IGNORE: "ignored"}
    return {
        kind: {"mask_data": mask.astype(np.uint8), "class_labels": names}
        for kind, mask in shown.masks.items()
    }
