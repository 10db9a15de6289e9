"""A dataset behind another: what its cache and its superpixels have in common."""

from collections.abc import Collection, Iterator

from uda_seg.data.datasets.base import Dataset


class DatasetWrapper(Dataset):
    """A dataset read in another way: what it knows of itself stays."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.classes, self.void, self.own_names = dataset.classes, dataset.void, dataset.own_names
        self.has_labels, self.has_depth = dataset.has_labels, dataset.has_depth
        self.ids_in_files = dataset.ids_in_files

    def __len__(self) -> int:
        return len(self.dataset)

    def name(self, index: int) -> str:
        return self.dataset.name(index)

    def identity(self, index: int) -> str | None:
        return self.dataset.identity(index)

    def recipe(self, index: int) -> str | None:
        return self.dataset.recipe(index)

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        return self.dataset.missing(fields)

    def incomplete(self, fields: Collection[str]) -> Iterator[str]:
        return self.dataset.incomplete(fields)

    def remarks(self) -> Iterator[str]:
        return self.dataset.remarks()

    def real_paths(self) -> list[str]:
        return self.dataset.real_paths()
