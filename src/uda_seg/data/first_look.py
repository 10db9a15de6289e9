"""What can be known of a dataset before training, without reading it as a whole."""

from collections.abc import Collection
from itertools import islice

from uda_seg.data.base import Dataset
from uda_seg.data.labels import Encoder
from uda_seg.data.streams import BadImages
from uda_seg.errors import DataError

LOOKED_AT = 4
"""Samples of a split that are opened before training begins."""
SHOWN = 3
"""Missing files that are named one by one."""


def first_look(
    dataset: Dataset, fields: Collection[str], encode: Encoder, bad_images: BadImages
) -> None:
    """Missing files are listed, and a few samples are opened. `data check` opens all of them.

    Raises:
        DataError: something is wrong, and is not to be skipped.
    """
    missing = list(dataset.missing(fields))
    if missing and not bad_images.skip:
        more = f"\n  and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        lines = "\n  ".join(islice(missing, SHOWN))
        cure = "\n  mend the dataset, or leave such samples out: on_bad_image=skip"
        raise DataError(
            f"{len(missing)} of {len(dataset)} samples lack a file:\n  {lines}{more}{cure}"
        )
    for index in spread(len(dataset), LOOKED_AT):
        try:
            sample = dataset.read(index, fields)
            if sample.label is not None:
                encode(sample.label, sample.name)
        except DataError:
            if not bad_images.skip:
                raise


def spread(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread over 0 .. length - 1."""
    count = min(count, length)
    return [i * length // count for i in range(count)]
