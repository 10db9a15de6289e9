"""Which few samples stand for a whole split."""

from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.merged import MergedDataset


def sample_indices(dataset: Dataset, count: int) -> list[int]:
    """So many indices, evenly spread; of each member where several datasets are one."""
    if not isinstance(dataset, MergedDataset):
        return evenly_spaced(len(dataset), count)
    starts = [0, *dataset.ends[:-1]]
    sizes = [len(member) for member in dataset.datasets.values()]
    return [start + i for start, size in zip(starts, sizes) for i in evenly_spaced(size, count)]


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread over 0 .. length - 1."""
    count = min(count, length)
    return [i * length // count for i in range(count)]
