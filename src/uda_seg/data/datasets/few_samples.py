"""Which few samples stand for a whole split."""

from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.merged import MergedDataset


def chosen(dataset: Dataset, count: int) -> list[int]:
    """So many indices, evenly spread; of each member where several datasets are one."""
    if not isinstance(dataset, MergedDataset):
        return spread(len(dataset), count)
    starts = [0, *dataset.ends[:-1]]
    sizes = [len(member) for member in dataset.datasets.values()]
    return [start + i for start, size in zip(starts, sizes) for i in spread(size, count)]


def spread(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread over 0 .. length - 1."""
    count = min(count, length)
    return [i * length // count for i in range(count)]
