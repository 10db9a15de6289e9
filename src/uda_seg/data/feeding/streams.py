"""The endless stream of one domain's training samples, and how samples become batches."""

import copy
import logging
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from uda_seg.batch import Batch, Source, Target
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.labels import LabelMapper
from uda_seg.data.feeding import transforms
from uda_seg.data.feeding.rare_classes import Choice, RareClasses
from uda_seg.data.feeding.sampling import chooser, generator, sample_index
from uda_seg.errors import ConfigError, DataError
from uda_seg.runs.stopping import in_worker

log = logging.getLogger(__name__)

MOST_IN_A_ROW = 10
"""Bad samples after which `on_bad_image=skip` gives up: the dataset is not there."""


class TrainingStream:
    """
    Args:
        dataset: a training split.
        transform: geometry and color.
        encode: raw labels to classes.
        fields: what is read: "image", "label", "depth", "superpixels", "index".
        stream: "source" or "target", which keeps their random numbers apart.
        seed: of order and augmentation.
        bad_images: what happens when a sample cannot be read.

    Attributes:
        rare_classes: draws samples by their classes; None: all of them in turn.
    """

    rare_classes: RareClasses | None = None

    def __init__(
        self,
        dataset: Dataset,
        transform: transforms.Transform,
        encode: LabelMapper,
        fields: Collection[str],
        stream: str,
        seed: int,
        bad_images: BadImages,
    ) -> None:
        self.dataset, self.transform, self.encode = dataset, transform, encode
        self.fields, self.stream, self.seed = frozenset(fields), stream, seed
        self.bad_images = bad_images

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """The sample at a place of the stream, or the next that can be read.

        Raises:
            DataError: it cannot be read, and is not to be skipped.
        """
        for place in range(position, position + MOST_IN_A_ROW):
            choice, index = self._choose(place)
            try:
                return self.sample(index, position, choice)
            except DataError as error:
                self.met_unreadable(index, error)
        raise DataError(
            f"{self.stream}: {MOST_IN_A_ROW} samples in a row cannot be read; "
            f"look at them with: python -m uda_seg data check {self.stream}=…"
        )

    def met_unreadable(self, index: int, error: DataError) -> None:
        """Raises the error, unless such samples are skipped."""
        self.bad_images.met(error, self.stream, self.dataset.name(index))

    def _choose(self, place: int) -> tuple[Choice | None, int]:
        if self.rare_classes is None:
            return None, sample_index(place, len(self.dataset), self.seed, self.stream)
        choice = self.rare_classes.draw(chooser(self.seed, self.stream, place))
        return choice, choice.index

    def sample(self, index: int, position: int, choice: Choice | None = None) -> dict[str, Tensor]:
        """A sample of the dataset, with the random numbers of a place of the stream.

        Args:
            index: of the sample.
            position: the place.
            choice: for which class it was drawn, which its crop then should hold.
        """
        sample = self.dataset.read(index, self.fields)
        masks = {}
        if "label" in self.fields:
            assert sample.label is not None
            masks["label"] = self.encode(sample.label, sample.name)
        if "depth" in self.fields:
            assert sample.depth is not None
            masks["depth"] = sample.depth
        if "superpixels" in self.fields:
            assert sample.superpixels is not None
            masks["superpixels"] = sample.superpixels
        numbers = generator(self.seed, self.stream, position)
        item = self.transform(sample.image, numbers, **masks)
        if choice is not None:
            for _ in range(choice.tries):
                if choice.is_met(item["label"]):
                    break
                item = self.transform(sample.image, numbers, **masks)
        tensors = {name: to_tensor(array) for name, array in item.items()}
        return tensors | ({"index": torch.tensor(index)} if "index" in self.fields else {})


class TrainingPairs(TorchDataset):
    """What lies at one place of both streams; of a target of None, an image of no pixel."""

    def __init__(self, source: TrainingStream, target: TrainingStream | None) -> None:
        self.source, self.target = source, target

    def __getitem__(self, position: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        nothing = {"image": torch.empty(3, 0, 0, dtype=torch.uint8)}
        return self.source[position], self.target[position] if self.target else nothing


class WholeImages(TorchDataset):
    """The images of a domain, each as it lies: resized, neither cropped nor flipped nor colored.

    Args:
        domain: whose images.
        size: (height, width), or None to keep theirs.
    """

    def __init__(self, domain: TrainingStream, size: list[int] | None) -> None:
        plain = transforms.Transform(size, scale=None, crop=None, flip=False, color=0.0)
        self.domain = copy.copy(domain)
        self.domain.transform = plain

    def __len__(self) -> int:
        return len(self.domain.dataset)

    def __getitem__(self, index: int) -> dict[str, Tensor] | None:
        """None for one that cannot be read, if such are skipped."""
        try:
            return self.domain.sample(index, position=0)
        except DataError as error:
            self.domain.met_unreadable(index, error)
            return None


class ErrorAsItem(TorchDataset):
    """Hands a mistake in the data over as a value.

    Raised in a worker process, it would reach the user inside two tracebacks.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except DataError as error:
            return error


class Loader(DataLoader):
    """A `DataLoader` whose workers' `DataError` is raised here, as itself."""

    def __init__(self, dataset: Any, collate_fn: Callable[[list], Any], **options: Any) -> None:
        super().__init__(
            ErrorAsItem(dataset),
            collate_fn=Collate(collate_fn),
            worker_init_fn=in_worker,
            **options,
        )

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, DataError):
                raise batch
            yield batch


class Collate:
    """Another way to make a batch, which lets a mistake through (a class, so that it pickles)."""

    def __init__(self, collate: Callable[[list], Any]) -> None:
        self.collate = collate

    def __call__(self, items: list[Any]) -> Any:
        mistakes = [item for item in items if isinstance(item, DataError)]
        return mistakes[0] if mistakes else self.collate(items)


def to_tensor(array: np.ndarray) -> Tensor:
    """Images to (3, H, W) uint8, ids stay (H, W), depth becomes (1, H, W)."""
    if array.ndim == 3:
        array = array.transpose(2, 0, 1)
    elif array.ndim == 2 and array.dtype == np.float32:
        array = array[None]
    return torch.from_numpy(np.ascontiguousarray(array))


def collate_pairs(items: list[tuple[dict[str, Tensor], dict[str, Tensor]]]) -> Batch:
    def stacked(side: int) -> dict[str, Tensor]:
        try:
            return {k: torch.stack([item[side][k] for item in items]) for k in items[0][side]}
        except RuntimeError as error:
            raise ConfigError(
                f"{('source', 'target')[side]}: images of one batch differ in size; set "
                f"{('source', 'target')[side]}.size=[h,w] or .augment.crop=[h,w]"
            ) from error

    return Batch(Source(**stacked(0)), Target(**stacked(1)))


def collate_whole(items: list[dict[str, Tensor] | None]) -> Target | None:
    """Batches of `WholeImages`; None when no image of it could be read."""
    read = [item for item in items if item is not None]
    return Target(**{k: torch.stack([item[k] for item in read]) for k in read[0]}) if read else None
