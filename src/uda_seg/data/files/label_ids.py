"""The numbers of a label: whole, never wrapped around, and what may be meant by strange ones."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from uda_seg.errors import DataError

BYTE = 255
DIVISORS = (1000, 256)
"""Masks of instances hold class · 1000 + number (Cityscapes, IDD, ACDC) or class · 256 + number
(KITTI, Mapillary 1.2)."""
NOTHING = 2**16 - 1
"""What many programs write into 16 bits where nothing is known: class 255 of no instance."""


def whole(path: Path | str, label: np.ndarray) -> np.ndarray:
    """Ids in the smallest type that holds them: uint8, int32 or int64.

    Args:
        path: of the label, for messages.
        label: whole numbers of any type; floating-point ones that are whole will do.

    Raises:
        DataError: some are not whole, or too large for 64 bits.
    """
    if label.dtype == np.uint8:
        return label
    if label.dtype.kind == "f":
        label = _round(path, label)
    if not label.size:
        return label.astype(np.uint8)
    least, most = int(label.min()), int(label.max())
    if least >= 0 and most <= BYTE:
        return label.astype(np.uint8)
    if most > np.iinfo(np.int64).max:
        raise DataError(f"{path}: the label holds {most}, which is no id; {_CURE}")
    small = least >= -(2**31) and most < 2**31
    return label.astype(np.int32 if small else np.int64)


_CURE = (
    "ids are whole numbers: save the mask with 8 bits, and give pixels without a class an id of "
    "their own, such as 255, which is named in `void`"
)


def _round(path: Path | str, label: np.ndarray) -> np.ndarray:
    fits = np.isfinite(label) & (np.abs(label) < 2.0**63)
    wrong = ~fits
    wrong[fits] = label[fits] != np.rint(label[fits])
    if wrong.any():
        found = ", ".join(f"{number:g}" for number in np.unique(label[wrong])[:4])
        raise DataError(
            f"{path}: the label holds floating-point numbers that are no ids ({found}) at "
            f"{wrong.sum()} of {label.size} pixels; {_CURE}"
        )
    return label.astype(np.int64)


def divide_ids(label: np.ndarray, by: int, small_too: bool) -> np.ndarray:
    """Class of class · by + number; ids below `by` are classes themselves unless `small_too`.

    Negative ids stay what they are.
    """
    return np.where(label >= (0 if small_too else by), label // by, label)


def divisor_of(unknown: Collection[int], known: Collection[int]) -> int | None:
    """What strange ids are to be divided by to become known ones; None where nothing does."""
    wide = [number for number in unknown if BYTE < number != NOTHING]
    for divisor in DIVISORS:
        if wide and all(n >= divisor and n // divisor in known for n in wide):
            return divisor
    return None
