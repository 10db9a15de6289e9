"""One confusion matrix over all images of a split, counted on the device.

Everything the field reports derives from it, see `measures`. (`torchmetrics.segmentation.MeanIoU`
averages over images, which is another number than the field's.)
"""

import cv2
import numpy as np
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from uda_seg.batch import IGNORE
from uda_seg.evaluation.measures import accuracy, iou, mean_accuracy, miou, protocols

__all__ = ["ConfusionMatrix", "accuracy", "iou", "mean_accuracy", "miou", "protocols"]


class ConfusionMatrix(MulticlassConfusionMatrix):
    """Exact counts, rows label and columns prediction, summed over images and processes.

    Args:
        classes: how many there are to predict.
        others: how many more the labels have; their ids follow.
    """

    def __init__(self, classes: int, others: int = 0) -> None:
        super().__init__(num_classes=classes + others, ignore_index=IGNORE, validate_args=False)
        self.classes = classes

    def update(self, prediction: Tensor, label: Tensor) -> None:
        """
        Args:
            prediction: logits (B, C, H, W), or classes (B, H, W) of any integer type.
            label: (B, H, W) of any integer type; IGNORE does not count.

        Raises:
            ValueError: sizes differ, or a class is not among 0 .. C - 1.
        """
        if prediction.is_floating_point():
            prediction = prediction.argmax(1)
        if prediction.shape != label.shape:
            raise ValueError(
                f"prediction {tuple(prediction.shape)} and label {tuple(label.shape)} "
                "differ in size"
            )
        # torchmetrics compares every pixel with every pair of classes where algorithms are to be
        # deterministic: 94 MB for 256x128 pixels and 19 classes. Counts are so by themselves.
        # Labels that are no class, IGNORE too, get rows of their own, looked at in the end: to
        # leave pixels out one by one takes ten times as long.
        size, rows = self.num_classes, IGNORE + 1
        if _are_bytes(prediction, label):
            table = _pairs_of_bytes(label, prediction)
            known = not table[:, size:].any()
        elif known := _within(prediction, size) and _within(label, rows):
            pairs = label.int() * size + prediction
            table = torch.bincount(pairs.flatten(), minlength=rows * size).view(rows, size)
        if known and not table[size:IGNORE].any():
            self.confmat += table[:size, :size]
            return
        raise ValueError(self._complaint(prediction.long(), label.long()))

    def _complaint(self, prediction: Tensor, label: Tensor) -> str:
        size = self.num_classes
        wrong = (label < 0) | ((label >= size) & (label != IGNORE))
        wrong |= (prediction < 0) | (prediction >= size)
        labels, predictions = (each[wrong].unique().tolist() for each in (label, prediction))
        return (
            f"classes must be 0 .. {size - 1}, or {IGNORE} in a label; "
            f"found labels {labels}, predictions {predictions}"
        )

    def counts(self) -> np.ndarray:
        """(C, C) int64 on the CPU."""
        return self.compute().cpu().numpy()[: self.classes, : self.classes]

    def other_counts(self) -> np.ndarray:
        """(others, C) int64: what pixels of the labels' other classes were taken for."""
        return self.compute().cpu().numpy()[self.classes :, : self.classes]


def _are_bytes(*maps: Tensor) -> bool:
    """On a CPU, and not so many that float32 cannot count them."""
    return all(m.is_cpu and m.dtype == torch.uint8 and 0 < m.numel() <= 2**24 for m in maps)


def _pairs_of_bytes(*maps: Tensor) -> Tensor:
    """(256, 256), how often each pair is there: by OpenCV in less than half the time."""
    columns = [one.flatten().numpy()[:, None] for one in maps]
    table = cv2.calcHist(columns, [0, 1], None, [256, 256], [0, 256, 0, 256])
    return torch.from_numpy(table).long()


def _within(ids: Tensor, count: int) -> bool:
    """Whether all are among 0 .. count - 1."""
    return ids.numel() == 0 or (int(ids.min()) >= 0 and int(ids.max()) < count)
