"""How good pseudo-labels are, by class and over time, against labels that no method sees.

`pseudo_labels.csv` of a run has a row for every class at every validation, and one for all of them:

    step, class
    pixels         of the class, in the true labels of the target training images looked at
    labelled       pixels that were confidently given the class as their pseudo-label
    right          those of them that are of the class
    precision      right / labelled, percent
    recall         right / pixels, percent
    pseudo_iou     IoU of all pseudo-labels, however sure; of all classes: their mean
    student_iou    the same of the network as it is evaluated
    weight         the mean weight of a pseudo-label in the loss

Pixels without a true label do not count. What cannot be divided is empty.
"""

import csv
import io
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, Trainer
from torchmetrics import MeanMetric

from uda_seg.batch import IGNORE, Target
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.measures import iou, mean, percent
from uda_seg.networks.modes import as_in_training, evaluating
from uda_seg.runs import files
from uda_seg.training.metrics_file import MetricsFile

log = logging.getLogger(__name__)

COLUMNS = "step class pixels labelled right precision recall pseudo_iou student_iou weight".split()
ALL = "all"
"""Stands for a class in the row of all classes."""


class PseudoLabelAccuracy(Callback):
    """Compares a method's pseudo-labels with true labels, and changes no number of the run.

    Its rows are part of a checkpoint, like the scoreboard's: a run that goes on has each once.

    Args:
        folder: of the run.
        count: target training images looked at; 0: none.
        batch_size: of the pieces in which the method makes its pseudo-labels in training.
    """

    def __init__(self, folder: Path, count: int, batch_size: int) -> None:
        self.path, self.count = Path(folder) / "pseudo_labels.csv", count
        self.batch_size = batch_size
        self.rows: list[dict[str, Any]] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows} if self.rows else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = state_dict["rows"]

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if self.count:
            log.info(
                "trainer.pseudo_labels=%d: labels of so many target training images are opened, to "
                "compare pseudo-labels with; the method does not see them", self.count,
            )  # fmt: skip
        self._write(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, module: Any) -> None:
        step = trainer.global_step
        if not self.count or (self.rows and self.rows[-1]["step"] == step):
            return
        rows = self._look(trainer, module)
        if not rows:
            return
        self.rows += [{"step": step, **row} for row in rows]
        self._write(trainer)
        values = {
            f"pseudo_labels/{name}/{row['class']}": row[name]
            for row in rows
            for name in ("precision", "recall", "pseudo_iou", "student_iou")
            if row[name] is not None
        }
        values["pseudo_labels/weight"] = rows[-1]["weight"]
        for logger in trainer.loggers:
            if not isinstance(logger, MetricsFile):  # they have a file of their own
                logger.log_metrics(values, step=step)

    def _look(self, trainer: Any, module: Any) -> list[dict[str, Any]]:
        """A row for every class and one for all, without the step; none where the method makes no
        pseudo-labels.
        """
        classes, device = len(module.classes), module.device
        # Beside the classes, "none" can be answered.
        sure, every, student = (ConfusionMatrix(classes, 1).to(device) for _ in range(3))
        weight = MeanMetric().to(device)
        for target, label in trainer.datamodule.labelled_batches(self.batch_size):
            target, label = on_device(target, device), label.to(device)
            with trainer.precision_plugin.val_step_context():
                with as_in_training(module.method):
                    torch.manual_seed(0)
                    pseudo = module.method.pseudo_label(target)
                if pseudo is None:
                    return []
                with evaluating(module):
                    student.update(module(target.image), label)
            answer = pseudo.label.where(pseudo.label != IGNORE, classes)
            every.update(answer, label)
            if pseudo.confident is not None:
                answer = answer.where(pseudo.confident, classes)
            sure.update(answer, label)
            weight.update(pseudo.weight)
        counts = [matrix.compute().cpu().numpy() for matrix in (sure, every, student)]
        return table(counts, float(weight.compute()), module.classes)

    def _write(self, trainer: Trainer) -> None:
        """The whole file; one of an earlier run in this folder is removed."""
        if not trainer.is_global_zero:
            return
        if not self.rows:
            self.path.unlink(missing_ok=True)
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_text(self.path, text.getvalue())


def table(
    counts: Sequence[np.ndarray], weight: float, classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The columns of `pseudo_labels.csv` but the step: a row for every class, and one for all.

    Args:
        counts: three (C + 1, C + 1), what the true classes' pixels are taken for by confident
            pseudo-labels, by all of them, and by the student; the last column counts those that
            are taken for none, the last row is empty.
        weight: the mean one.
        classes: their names.
    """
    sure, *others = counts
    pixels, labelled, right = sure.sum(1)[:-1], sure.sum(0)[:-1], np.diag(sure)[:-1]
    ious = [iou(matrix)[:-1] for matrix in others]
    columns = [np.append(amounts, amounts.sum()) for amounts in (pixels, labelled, right)]
    columns += [percent(columns[2], columns[1]), percent(columns[2], columns[0])]
    columns += [np.append(shares, mean(shares)) for shares in ious]
    rows = zip([*classes, ALL], *(column.tolist() for column in columns), strict=True)
    return [
        dict(zip(COLUMNS[1:], [*map(_rounded, row), round(weight, 5)], strict=True)) for row in rows
    ]


def _rounded(value: Any) -> Any:
    """Two decimals of a share, None where it is not known."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, 2)


def on_device(target: Target, device: Any) -> Target:
    """The same images there."""
    given = {name: value for name, value in vars(target).items() if value is not None}
    return Target(**{name: value.to(device) for name, value in given.items()})
