"""What can be known of a dataset before training, without reading it as a whole."""

import logging
import time
from collections import Counter
from collections.abc import Collection

from uda_seg.data.checking.examination import NOTES, path_of, turned_in_vain
from uda_seg.data.checking.missing_files import check_presence
from uda_seg.data.checking.numberings import Thirds, thirds
from uda_seg.data.checking.plausibility import (
    Occurrence,
    members,
    never_held,
    occurrence,
    other_numbering,
    pixels,
    renaming_option,
)
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.few_samples import sample_indices
from uda_seg.data.datasets.labels import LabelMapper
from uda_seg.errors import DataError

log = logging.getLogger(__name__)

LOOKED_AT = 4
"""Samples of a split, or of each of several datasets, that are opened before training begins."""
MORE, MORE_SECONDS = 12, 0.3
"""Further labels, and seconds at most, that are looked at for a class that was not met."""
MANY, MANY_SECONDS = 60, 10.0
"""The same where hardly anything was met: a run that cannot learn is worth the wait."""


def first_look(
    dataset: Dataset, fields: Collection[str], encode: LabelMapper, bad_images: BadImages, side: str
) -> None:
    """Missing files are listed, and a few samples are opened. `data check` opens all of them.

    Args:
        dataset: a split.
        fields: what of it is used.
        encode: its labels to the experiment's classes.
        bad_images: whether samples that cannot be used are skipped.
        side: "source" or "target", for the messages.

    Raises:
        DataError: something is wrong, and is not to be skipped; or the labels hold nothing to tell
            apart, or ids that mean something else.
    """
    if not bad_images.skip:
        check_presence(dataset, fields, bad_images.cure(side))
    labels: dict[int, Thirds] = {}
    strange: list[DataError] = []
    looked_at = sample_indices(dataset, LOOKED_AT)
    turned = [dataset.name(index) for index in looked_at if turned_in_vain(dataset, index)]
    if turned:
        log.warning("%s: %s: %s", side, NOTES["turned"], ", ".join(turned))
    for index in looked_at:
        sample = _read(dataset, index, fields, bad_images)
        if sample is None or sample.label is None:
            continue
        labels[index] = thirds(sample.label)
        try:
            encode(sample.label, str(path_of(dataset, index, "label") or sample.name))
        except DataError as error:
            strange.append(error)
    if labels:
        _check_meaning(dataset, labels, strange, side)
    if strange and not bad_images.skip:
        raise strange[0]
    if labels:
        _look_for_classes(dataset, encode, labels, bad_images, side)


def _read(
    dataset: Dataset, index: int, fields: Collection[str], bad_images: BadImages
) -> Sample | None:
    """None for a sample that cannot be read, if such are skipped."""
    try:
        return dataset.read(index, fields)
    except DataError:
        if not bad_images.skip:
            raise
        return None


def _check_meaning(
    dataset: Dataset, labels: dict[int, Thirds], strange: list[DataError], side: str
) -> None:
    """
    Raises:
        DataError: the ids mean something else, in any of several datasets.
    """
    for member, own in members(dataset, labels):
        other = other_numbering(member, own, side)
        if other is not None:
            raise DataError(f"{side}: {other}")
        option = renaming_option(member, sorted(own)) if strange else None
        if option is not None:
            raise DataError(f"{strange[0]}; as many ids as names: {option}?")


def _look_for_classes(
    dataset: Dataset,
    encode: LabelMapper,
    labels: dict[int, Thirds],
    bad_images: BadImages,
    side: str,
) -> None:
    """Opens more labels while a class of the experiment was not met.

    Raises:
        DataError: there is nothing to tell apart in them.
    """
    began, ids = time.monotonic(), sum((pixels(label) for label in labels.values()), Counter())
    order = [i for i in sample_indices(dataset, LOOKED_AT + MANY) if i not in labels]
    found, opened = occurrence(encode.dataset, encode.space, ids), len(labels)
    while found.absent and order and not _enough(found, opened, began):
        index = order.pop(len(order) // 2 if opened % 2 else 0)
        sample = _read(dataset, index, {"image", "label"}, bad_images)
        if sample is not None and sample.label is not None:
            opened += 1
            ids += pixels(thirds(sample.label))
            found = occurrence(encode.dataset, encode.space, ids)
    if not found.absent:
        return
    message = never_held(encode.dataset, found, opened, len(dataset), side)
    if found.hollow:
        raise DataError(f"{side}: {message}")
    level = logging.WARNING if opened == len(dataset) else logging.INFO
    log.log(level, "%s: %s", side, message)


def _enough(found: Occurrence, opened: int, began: float) -> bool:
    most, seconds = (MANY, MANY_SECONDS) if found.hollow else (MORE, MORE_SECONDS)
    return opened >= LOOKED_AT + most or time.monotonic() - began > seconds
