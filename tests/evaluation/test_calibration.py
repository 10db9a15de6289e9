"""Calibration error against its definition, and torchmetrics'."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from uda_seg.batch import IGNORE
from uda_seg.evaluation.calibration import BINS, CalibrationError


def test_equals_torchmetrics_over_all_pixels() -> None:
    torch.manual_seed(0)
    logits, label = 3 * torch.randn(3, 4, 20, 30), torch.randint(4, (3, 20, 30))
    metric = CalibrationError()
    metric.update(logits[:1], label[:1])
    metric.update(logits[1:], label[1:])
    theirs = multiclass_calibration_error(logits, label, num_classes=4, n_bins=BINS)
    assert float(metric.compute()) == pytest.approx(float(theirs), rel=1e-4)


def test_sure_and_always_right_is_0_sure_and_half_right_a_half() -> None:
    logits = 50 * torch.eye(2)[torch.zeros(1, 4, 4, dtype=torch.long)].movedim(-1, 1)
    label = torch.zeros(1, 4, 4, dtype=torch.long)
    metric = CalibrationError()
    metric.update(logits, label)
    assert float(metric.compute()) == pytest.approx(0, abs=1e-6)
    label[:, :2] = 1
    metric = CalibrationError()
    metric.update(logits, label)
    assert float(metric.compute()) == pytest.approx(0.5)
    label[:, :2], label[:, 3] = IGNORE, 2  # void, and a class that only labels have
    metric = CalibrationError()
    metric.update(logits, label)
    assert float(metric.compute()) == pytest.approx(0, abs=1e-6)
    assert int(metric.pixels.sum()) == 4
