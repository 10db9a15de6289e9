"""Boundary IoU: how well a prediction follows the edges of things.

Cheng et al., Boundary IoU: Improving Object-Centric Image Segmentation Evaluation, CVPR 2021,
arXiv:2103.16562; the rule of its authors' code (recalled), over a split as mIoU is, not an image.
"""

import cv2
import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.evaluation.measures import mean, percent

WIDTH = 0.005
"""Of the bands along boundaries, as a share of an image's diagonal: the authors' for Cityscapes."""


class BoundaryIoU:
    """Counts, summed over images.

    Args:
        classes: how many there are.
        width: see `WIDTH`; a band is a pixel wide at least.
    """

    def __init__(self, classes: int, width: float = WIDTH) -> None:
        self.classes, self.width = classes, width
        self.both, self.either = np.zeros(classes, np.int64), np.zeros(classes, np.int64)

    def update(self, prediction: np.ndarray, label: np.ndarray) -> None:
        """Both (H, W) classes; where the label is IGNORE, or a class of its own, nothing counts."""
        counts = label < self.classes
        predicted = np.where(counts, prediction, IGNORE).astype(np.uint8)
        labelled = np.where(counts, label, IGNORE).astype(np.uint8)
        pixels = max(1, round(self.width * float(np.hypot(*label.shape))))
        for number in np.union1d(np.unique(predicted), np.unique(labelled)):
            if number < self.classes:
                found, true = (band(m == number, pixels) for m in (predicted, labelled))
                self.both[number] += np.count_nonzero(found & true)
                self.either[number] += np.count_nonzero(found | true)

    def iou(self) -> np.ndarray:
        """(C,) percent; NaN for a class that neither labels nor predictions have."""
        return percent(self.both, self.either)

    def miou(self) -> float:
        """Mean over the classes that are not NaN, in percent."""
        return mean(self.iou())


def band(mask: np.ndarray, pixels: int) -> np.ndarray:
    """What of a mask (H, W) bool lies within so many pixels of its end or the image's."""
    side = 2 * pixels + 1
    inside = cv2.erode(
        mask.astype(np.uint8), np.ones((side, side), np.uint8),
        borderType=cv2.BORDER_CONSTANT, borderValue=0,
    )  # fmt: skip
    return mask & (inside == 0)
