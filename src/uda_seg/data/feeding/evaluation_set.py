"""A split as a network is scored on it: images as it wants them, labels at their own resolution."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace
from uda_seg.data.feeding import transforms
from uda_seg.data.feeding.streams import to_tensor
from uda_seg.errors import ConfigError, DataError


@dataclass
class Evaluation:
    """Images to be scored, with labels at their own resolution."""

    image: Tensor
    """(B, 3, H, W) uint8 RGB."""
    label: list[Tensor]
    """B times (h, w) uint8; all IGNORE where the dataset has no labels."""
    name: list[str]


class EvaluationSet(TorchDataset):
    """
    Args:
        dataset: the split; without labels, nothing of it counts.
        size: (height, width) of the images; None keeps theirs.
        space: classes of the labels.
        others: further classes of the labels, whose ids follow those of the space.
        limit: at most so many samples, evenly spread; None: all.
    """

    def __init__(
        self,
        dataset: Dataset,
        size: list[int] | None,
        space: LabelSpace,
        others: Sequence[str] = (),
        limit: int | None = None,
    ) -> None:
        self.dataset, self.space, self.others = dataset, space, tuple(others)
        self.encode = LabelMapper(LabelSpace(space.classes + self.others), dataset)
        self.indices = evenly_spaced(len(dataset), len(dataset) if limit is None else limit)
        self.resize = transforms.resize(size) if size else None
        self.fields = {"image", "label"} if dataset.has_labels else {"image"}

    def __len__(self) -> int:
        return len(self.indices)

    def part(self) -> dict[str, int]:
        """What `scores.json` says where these are not all samples; else nothing."""
        scored, every = len(self), len(self.dataset)
        return {} if scored == every else {"scored_images": scored, "split_images": every}

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str]:
        """
        Raises:
            DataError: it cannot be read; says how it is left out, as it is never skipped.
        """
        index = self.indices[index]
        try:
            sample = self.dataset.read(index, self.fields)
        except DataError as error:
            cure = f"leave_out=[{self.dataset.name(index)}] leaves it out"
            raise DataError(f"{error}; {cure}") from error
        image = self.resize(image=sample.image)["image"] if self.resize else sample.image
        if sample.label is None:
            label = np.full(sample.image.shape[:2], IGNORE, np.uint8)
        else:
            label = self.encode(sample.label, sample.name)
        return to_tensor(image), torch.from_numpy(label), sample.name


def within(label: np.ndarray, classes: int) -> np.ndarray:
    """A label without the classes that only the target has."""
    return np.where(label < classes, label, np.uint8(IGNORE))


def collate_evaluation(items: list[tuple[Tensor, Tensor, str]]) -> Evaluation:
    images, labels, names = zip(*items, strict=True)
    try:
        return Evaluation(torch.stack(images), list(labels), list(names))
    except RuntimeError as error:
        raise ConfigError(
            "target: images of one batch differ in size; set target.size=[h,w], or score them one "
            "by one: trainer.batch_size=1, or batch_size=1 of evaluate"
        ) from error
