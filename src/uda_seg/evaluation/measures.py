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

from uda_seg.data.datasets.classes import CATEGORIES, IDD_LEVEL_1, MERGES, SPACES
from uda_seg.errors import ConfigError

SUBSETS = {
    "miou_19": SPACES["cityscapes_19"],
    "miou_16": SPACES["synthia_16"],
    "miou_16_of_19": SPACES["synthia_16"],
    "miou_13": SPACES["synthia_13"],
    "miou_13_of_19": SPACES["synthia_13"],
    "miou_11": SPACES["camvid_11"],
    "miou_10": SPACES["kitti_10"],
}
"""Classes whose IoU is averaged: GTA5's, SYNTHIA's (no terrain, truck, train), those without wall,
fence, pole; CamVid's (rider and bicycle are one), and those that Virtual KITTI and KITTI share."""

COUNTED = {
    "miou_16_of_19": SPACES["cityscapes_19"],
    "miou_13": SPACES["synthia_16"],
    "miou_13_of_19": SPACES["cityscapes_19"],
}
"""Classes whose labels count, where they are more than those averaged; all others are ignored.

The field's evaluators differ. SYNTHIA -> Cityscapes is scored in 16 classes, the labels of all
others ignored, and 13 of these IoUs are averaged, by CBST (its issue 7), ADVENT, DADA and ProCA. It
is scored in all 19, where a truck that is called a car is a mistake of car's, and 16 or 13 of these
IoUs are averaged, by LSD-seg (its issue 4), CLAN (14), FDA, BDL and DAFormer (18)."""

GROUPS = {
    "miou_7": CATEGORIES,
    "miou_idd_7": {name: (name, *MERGES.get(name, ())) for name in IDD_LEVEL_1},
}
"""Cityscapes' categories, and level 1 of the India Driving Dataset: finer classes are merged."""

DEFAULT = ("miou_19", "miou_16", "miou_16_of_19", "miou_13", "miou_13_of_19", "miou_7")
"""Reported for a target that does not say which protocols are customary for it."""

PROTOCOLS = {
    "miou_19": "mIoU 19",
    "miou_16": "mIoU 16",
    "miou_16_of_19": "mIoU 16 of 19",
    "miou_13": "mIoU 13",
    "miou_13_of_19": "mIoU 13 of 19",
    "miou_11": "mIoU 11",
    "miou_10": "mIoU 10",
    "miou_7": "mIoU 7",
    "miou_idd_7": "mIoU IDD 7",
}
"""What readers call them."""

Others = Mapping[str, Sequence[int] | np.ndarray]
"""Classes that only the labels have -> what their pixels were taken for, (C,) counts."""


def iou(confusion: np.ndarray) -> np.ndarray:
    """(C,) IoU of every class in percent, NaN where it is neither labelled nor predicted."""
    counts = checked(confusion)
    right = np.diag(counts)
    return percent(right, counts.sum(0) + counts.sum(1) - right)


def miou(confusion: np.ndarray) -> float:
    """Mean IoU in percent over the classes that are not NaN; NaN when none is left."""
    return mean(iou(confusion))


def fwiou(confusion: np.ndarray) -> float:
    """Mean IoU in percent, each class weighted by its share of the labelled pixels."""
    counts = checked(confusion)
    shares = counts.sum(1) / max(counts.sum(), 1)
    return float((shares * np.nan_to_num(iou(counts))).sum()) if counts.any() else float("nan")


def accuracy(confusion: np.ndarray) -> float:
    """Share of labelled pixels that are right, in percent; NaN without any."""
    counts = checked(confusion)
    return float(percent(np.diag(counts).sum(), counts.sum()))


def mean_accuracy(confusion: np.ndarray) -> float:
    """Mean over labelled classes of the share of their pixels that are right, in percent."""
    counts = checked(confusion)
    return mean(percent(np.diag(counts), counts.sum(1)))


def caveat(confusion: np.ndarray, classes: Sequence[str]) -> str | None:
    """What to know of the mIoU when the labels lack a class: it is no mean over all of them."""
    counts = checked(confusion)
    lacking = counts.sum(1) == 0
    if not lacking.any() or not counts.sum():
        return None
    left_out = [n for n, gone in zip(classes, lacking & (counts.sum(0) == 0), strict=True) if gone]
    zero = [n for n, gone in zip(classes, lacking & (counts.sum(0) > 0), strict=True) if gone]
    parts = []
    if left_out:
        over = f"mean of {len(classes) - len(left_out)} of {len(classes)} classes"
        parts.append(f"{over}; no label holds {', '.join(left_out)}")
    if zero:
        verb = "count" if len(zero) > 1 else "counts"
        parts.append(
            f"no label holds {', '.join(zero)}: predicted somewhere, so {verb} as 0 in the mean"
        )
    return "; ".join(parts)


def protocols(
    confusion: np.ndarray,
    classes: Sequence[str],
    wanted: Sequence[str] = DEFAULT,
    others: Others | None = None,
) -> dict[str, float]:
    """Those of the wanted protocols that the classes allow, with their mIoU in percent.

    A protocol says which classes' IoU is averaged and which labels count (`COUNTED`), so that a
    prediction has one number under one name, whatever else the network knows. Finer classes are
    merged first where need be (CamVid's bicyclist from rider and bicycle). `miou_7` needs that all
    of the network's classes belong to one of the categories.

    Args:
        confusion: (C, C) counts.
        classes: C names.
        wanted: keys of `SUBSETS` and `GROUPS`.
        others: of the labels' other classes; None: not known, as in older files.
    """
    counts = checked(confusion)
    if len(counts) != len(classes):
        raise ValueError(f"a {counts.shape} matrix does not go with {len(classes)} classes")
    known = None if others is None else list(others)
    rows = np.vstack([counts, *(np.asarray(row, np.int64) for row in (others or {}).values())])
    return {
        protocol: mean(_averaged(protocol, rows, classes, [*classes, *(known or [])]))
        for protocol in possible(wanted, classes, known)
    }


def _averaged(
    protocol: str, rows: np.ndarray, classes: Sequence[str], labels: Sequence[str]
) -> np.ndarray:
    """IoU of a protocol's classes, from counts (labels, C)."""
    parts, counted = _parts(protocol), _counted(protocol)
    members = np.array([[name in names for name in labels] for names in parts.values()], np.int64)
    answers = members[:, : len(classes)]
    rows = rows * np.array([[name in counted] for name in labels])
    table = members @ rows
    right = (table * answers).sum(1)
    return percent(right, table.sum(1) + answers @ rows.sum(0) - right)


def possible(
    wanted: Sequence[str], classes: Sequence[str], others: Sequence[str] | None
) -> list[str]:
    """Those of the protocols that these classes allow; `others` as for `protocols`, by name."""
    found = []
    for protocol in wanted:
        parts, counted = _parts(protocol), _counted(protocol)
        if not all(names & set(classes) for names in parts.values()):
            continue
        if protocol == "miou_7" and not set(classes) <= counted:
            continue
        if others is None and not counted <= _covered(parts, set(classes)):
            continue  # it is not known what else the labels held
        found.append(protocol)
    return found


def _covered(parts: Mapping[str, set[str]], classes: set[str]) -> set[str]:
    """Names of labels that some class stands for: a coarse class for its parts, or these for it."""
    whole = (names for name, names in parts.items() if name in classes or names - {name} <= classes)
    return classes.union(*whole)


def is_plain(protocol: str, classes: Sequence[str]) -> bool:
    """Whether a protocol says no more than the mean over all classes."""
    return _counted(protocol) == set(classes) == set(SUBSETS.get(protocol, ()))


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


def _parts(protocol: str) -> dict[str, set[str]]:
    """Class that is averaged -> names that make it up."""
    if protocol in GROUPS:
        return {name: set(names) for name, names in GROUPS[protocol].items()}
    return {name: {name, *MERGES.get(name, ())} for name in SUBSETS[protocol]}


def _counted(protocol: str) -> set[str]:
    """Names of the labels that count."""
    return set(COUNTED.get(protocol, ())).union(*_parts(protocol).values())


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


def percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Elementwise; NaN where the whole is nothing."""
    unknown = np.full(np.shape(whole), np.nan)
    return 100 * np.divide(part, whole, out=unknown, where=np.asarray(whole) > 0)
