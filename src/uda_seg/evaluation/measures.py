"""Scores that follow from a confusion matrix alone, in NumPy.

A confusion matrix here is (C, C) integer: rows are the label's classes, columns the predicted ones;
pixels without a label are not in it. All scores are in percent.

Convention (AdaptSegNet's `compute_iou.py`, Cityscapes' own scripts): IoU = diagonal / (row + column
- diagonal), over all images at once. A class that is neither labelled nor predicted is NaN and
leaves the mean; a class that is never labelled but predicted somewhere is 0 and lowers it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uda_seg.data.classes import CATEGORIES, IDD_LEVEL_1, MERGES, SPACES
from uda_seg.errors import ConfigError

SUBSETS = {
    "miou_19": SPACES["cityscapes_19"],
    "miou_16": SPACES["synthia_16"],
    "miou_13": SPACES["synthia_13"],
    "miou_11": SPACES["camvid_11"],
    "miou_10": SPACES["kitti_10"],
}
"""GTA5's classes, SYNTHIA's (no terrain, truck, train), those without wall, fence, pole; CamVid's
(rider and bicycle are one), and those that Virtual KITTI shares with KITTI."""

GROUPS = {
    "miou_7": CATEGORIES,
    "miou_idd_7": {name: MERGES.get(name, (name,)) for name in IDD_LEVEL_1},
}
"""Cityscapes' categories, and level 1 of the India Driving Dataset: finer classes are merged."""

DEFAULT = ("miou_19", "miou_16", "miou_13", "miou_7")
"""Reported for a target that does not say which protocols are customary for it."""


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


def protocols(
    confusion: np.ndarray, classes: Sequence[str], wanted: Sequence[str] = DEFAULT
) -> dict[str, float]:
    """Those of the wanted protocols that the classes allow, with their mIoU in percent.

    All derive from one matrix. A protocol's classes are first merged from finer ones where need be
    (CamVid's bicyclist from rider and bicycle). Then IoU is averaged over them: pixels that are
    mistaken for, or labelled as, a class outside the protocol still count as errors, as with the
    field's evaluator. `miou_7` needs that all classes belong to one of the categories.

    Args:
        confusion: (C, C) counts.
        classes: C names.
        wanted: keys of `SUBSETS` and `GROUPS`.
    """
    counts = checked(confusion)
    if len(counts) != len(classes):
        raise ValueError(f"a {counts.shape} matrix does not go with {len(classes)} classes")
    found = {}
    for protocol in possible(wanted, classes):
        groups = _places(protocol, classes)
        merged = _merged(counts, [*groups, *_outside(groups, classes)])
        found[protocol] = mean(iou(merged)[: len(groups)])
    return found


def possible(wanted: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Those of the protocols that these classes allow."""
    found = []
    for protocol in wanted:
        groups = _places(protocol, classes)
        if all(groups) and not (protocol == "miou_7" and _outside(groups, classes)):
            found.append(protocol)
    return found


def customary(target: Mapping[str, Any]) -> list[str]:
    """The protocols that a `target:` config asks for.

    Raises:
        ConfigError: one of them does not exist.
    """
    wanted = list(target.get("protocols") or DEFAULT)
    known = [*SUBSETS, *GROUPS]
    for name in wanted:
        if name not in known:
            raise ConfigError(f"target.protocols: {name} unknown; choose from {', '.join(known)}")
    return wanted


def _places(protocol: str, classes: Sequence[str]) -> list[list[int]]:
    """For every class of a protocol, where it or its parts stand among `classes`."""
    if protocol in GROUPS:
        parts: Mapping[str, Sequence[str]] = GROUPS[protocol]
    else:
        parts = {name: MERGES.get(name, ()) for name in SUBSETS[protocol]}
    return [
        [place for place, one in enumerate(classes) if one == name or one in parts[name]]
        for name in parts
    ]


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


def _outside(groups: Sequence[Sequence[int]], classes: Sequence[str]) -> list[list[int]]:
    return [[place] for place in range(len(classes)) if not any(place in g for g in groups)]


def _merged(counts: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    members = np.zeros((len(groups), len(counts)), np.int64)
    for place, group in enumerate(groups):
        members[place, group] = 1
    return members @ counts @ members.T


def _percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    unknown = np.full(np.shape(whole), np.nan)
    return 100 * np.divide(part, whole, out=unknown, where=np.asarray(whole) > 0)
