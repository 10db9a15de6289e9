"""Target training images with their labels, which training never opens: for a diagnosis alone."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from uda_seg.batch import Target
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.opening import Config
from uda_seg.data.feeding.streams import MOST_IN_A_ROW, TrainingStream
from uda_seg.errors import ConfigError, DataError


def with_labels(stream: TrainingStream, target: Config, count: int) -> TrainingStream:
    """What the target's stream reads, and labels; crops are the same in every run of whatever seed.

    Args:
        stream: of the target's training images.
        target: the `target:` config.
        count: of images that are asked for.

    Raises:
        ConfigError: there are no labels.
    """
    if not stream.dataset.has_labels:
        raise ConfigError(
            f"trainer.pseudo_labels={count}: target={target['name']} has no labels at split "
            f"{target['train_split']} that pseudo-labels could be compared with; "
            "choose another target.train_split, or trainer.pseudo_labels=0"
        )
    labelled = copy.copy(stream)
    labelled.fields, labelled.seed = stream.fields | {"label"}, 0
    labelled.transform = copy.copy(stream.transform)
    labelled.transform.largest_class = None  # training has no label to choose a crop by
    return labelled


def labelled_batches(
    stream: TrainingStream, count: int, size: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[Target, Tensor]]:
    """Images as training sees them, evenly spaced over the split, and their labels (B, H, W) long.

    The same every time. All batches are whole, since a teacher may use their statistics, and all
    ranks get as many: there may be a few images more than asked for, and some twice.

    Args:
        stream: made by `with_labels`.
        count: of images, at most those that there are.
        size: of a batch.
        rank: 0 .. world - 1.
        world: processes that share them.

    Raises:
        DataError: one cannot be read, and is not to be skipped.
    """
    wanted = len(evenly_spaced(len(stream.dataset), count))
    batches = -(-wanted // (size * world)) * world
    for number in range(rank, batches, world):
        places = range(number * size, (number + 1) * size)
        items = [_sample(stream, place, batches * size) for place in places]
        yield _as_batch({name: torch.stack([i[name] for i in items]) for name in items[0]})


def _sample(stream: TrainingStream, place: int, places: int) -> dict[str, Tensor]:
    """The sample at a place, or the next that can be read. None is noted down as skipped: the
    training stream does that.
    """
    length = len(stream.dataset)
    for further in range(MOST_IN_A_ROW):
        try:
            return stream.sample((place * length // places + further) % length, place)
        except DataError:
            if not stream.bad_images.skip or further == MOST_IN_A_ROW - 1:
                raise
    raise AssertionError


def _as_batch(item: dict[str, Tensor]) -> tuple[Target, Tensor]:
    label, image = item.pop("label").long(), item.pop("image").float().div_(255)
    if "superpixels" in item:
        item["superpixels"] = item["superpixels"].long()
    return Target(image, **item), label
