"""Scores that follow from a confusion matrix alone, in NumPy.

A confusion matrix here is (C, C) integer: rows are the label's classes, columns the predicted ones;
pixels without a label are not in it. All scores are in percent.

Convention (AdaptSegNet's `compute_iou.py`, Cityscapes' own scripts): IoU = diagonal / (row + column
- diagonal), over all images at once. A class that is neither labelled nor predicted is NaN and
leaves the mean; a class that is never labelled but predicted somewhere is 0 and lowers it.
"""

from collections.abc import Sequence

import numpy as np

SUBSETS = {
    "miou_19": (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
        "motorcycle", "bicycle",
    ),
    "miou_16": (
        "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
        "vegetation", "sky", "person", "rider", "car", "bus", "motorcycle", "bicycle",
    ),
    "miou_13": (
        "road", "sidewalk", "building", "traffic light", "traffic sign", "vegetation", "sky",
        "person", "rider", "car", "bus", "motorcycle", "bicycle",
    ),
}  # fmt: skip
"""GTA5's classes, SYNTHIA's (no terrain, truck, train), and those without wall, fence and pole."""

CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
"""Cityscapes' seven categories: confusions within one are no mistake."""


def iou(confusion: np.ndarray) -> np.ndarray:
    """(C,) IoU of every class in percent, NaN where it is neither labelled nor predicted."""
    counts = checked(confusion)
    right = np.diag(counts)
    return _percent(right, counts.sum(0) + counts.sum(1) - right)


def miou(confusion: np.ndarray) -> float:
    """Mean IoU in percent over the classes that are not NaN; NaN when none is left."""
    return mean(iou(confusion))


def accuracy(confusion: np.ndarray) -> float:
    """Share of labelled pixels that are right, in percent; NaN without any."""
    counts = checked(confusion)
    return float(_percent(np.diag(counts).sum(), counts.sum()))


def mean_accuracy(confusion: np.ndarray) -> float:
    """Mean over labelled classes of the share of their pixels that are right, in percent."""
    counts = checked(confusion)
    return mean(_percent(np.diag(counts), counts.sum(1)))


def protocols(confusion: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Every protocol that the classes allow, with its mIoU in percent.

    `miou_19`, `miou_16`, `miou_13` average the classes' IoU over a subset: pixels that are mistaken
    for, or labelled as, a class outside it still count as errors, as with the field's evaluator.
    `miou_7` merges classes into Cityscapes' categories first.
    """
    counts = checked(confusion)
    if len(counts) != len(classes):
        raise ValueError(f"a {counts.shape} matrix does not go with {len(classes)} classes")
    places = {name: place for place, name in enumerate(classes)}
    each = iou(counts)
    found = {
        protocol: mean(each[[places[name] for name in names]])
        for protocol, names in SUBSETS.items()
        if places.keys() >= set(names)
    }
    groups = [[places[n] for n in names if n in places] for names in CATEGORIES.values()]
    if all(groups) and sum(map(len, groups)) == len(classes):
        found["miou_7"] = miou(_merged(counts, groups))
    return found


def mean(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN, without NumPy's warning, of nothing."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def checked(confusion: np.ndarray) -> np.ndarray:
    """The matrix as int64; ValueError when it is not square or not of whole numbers >= 0."""
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype.kind not in "iu":
        raise ValueError(f"no confusion matrix: shape {counts.shape}, type {counts.dtype}")
    if (counts < 0).any():
        raise ValueError("a confusion matrix has counts below zero")
    return counts.astype(np.int64)


def _merged(counts: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([[counts[np.ix_(row, column)].sum() for column in groups] for row in groups])


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    unknown = np.full(np.shape(whole), np.nan)
    return 100 * np.divide(part, whole, out=unknown, where=np.asarray(whole) > 0)
