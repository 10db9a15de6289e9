"""The dataset that a `source:` or `target:` config describes, at one of its splits."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.leaving_out import open_dataset
from uda_seg.data.datasets.merged import MergedDataset, open_merged
from uda_seg.errors import DataError

Config = Mapping[str, Any]


def open_split(domain: Config, split: str) -> Dataset:
    """The dataset of a `source:` or `target:` config, at one of its splits."""
    return open_merged(domain, split) if "datasets" in domain else open_dataset(domain, split)


def open_scored(domain: Config, split: str) -> Dataset:
    """The same for scoring: of several datasets, those that have labels, if any has."""
    dataset = open_split(domain, split)
    if isinstance(dataset, MergedDataset) and not dataset.has_labels:
        with suppress(DataError):
            return dataset.labelled()
    return dataset
