"""Whether every sample of a split has its files, told by a listing: nothing is opened."""

from collections.abc import Collection

from uda_seg.data.datasets.base import Dataset
from uda_seg.errors import DataError

SHOWN = 3
"""Missing files that are named one by one."""


def check_presence(dataset: Dataset, fields: Collection[str], cure: str) -> None:
    """
    Raises:
        DataError: samples lack a file; `cure` says what to do.
    """
    missing = list(dataset.missing(fields))
    if missing:
        more = [f"and {len(missing) - SHOWN} more"] * (len(missing) > SHOWN)
        count = f"{len(missing)} of {len(dataset)} samples lack a file:"
        raise DataError("\n  ".join([count, *missing[:SHOWN], *more, cure]))
