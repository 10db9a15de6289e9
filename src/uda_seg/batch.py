"""What a training step sees: labelled source crops, unlabelled target crops."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from uda_seg.errors import ConfigError

IGNORE = 255
"""Label of pixels that count neither in losses nor in metrics."""

NO_SUPERPIXEL = -1
"""Superpixel of padding."""


@dataclass
class Source:
    image: Tensor
    """(B, 3, H, W) float RGB in [0, 1]."""
    label: Tensor
    """(B, H, W) long, a class of the experiment's label space or IGNORE."""
    depth: Tensor | None = None
    """(B, 1, H, W) float, metres; 0 where it is not known."""
    window: Tensor | None = None
    """(B, 4) float: left, top, right, bottom of the crop as shares of the full image.
    Left > right says that the crop is mirrored."""


@dataclass
class Target:
    """There is no label here, so no method can peek at one."""

    image: Tensor
    """(B, 3, H, W) float RGB in [0, 1]."""
    window: Tensor | None = None
    """(B, 4), as for `Source`."""
    superpixels: Tensor | None = None
    """(B, H, W) long, ids 0 .. n - 1 unique within an image, or NO_SUPERPIXEL."""
    index: Tensor | None = None
    """(B,) long: which image of the training split it is a crop of."""


@dataclass
class Batch:
    source: Source
    target: Target


class TargetPass:
    """All target training images as they lie, resized but neither cropped nor flipped.

    A process gets its share of them; `table` makes the findings of all processes one.

    Args:
        batches: of this process's share, images as bytes; None where none could be read.
        length: images of all processes.
        device: where the network is.
    """

    def __init__(self, batches: Iterable[Target | None], length: int, device: torch.device) -> None:
        self.batches, self.length, self.device = batches, length, device

    def __iter__(self) -> Iterator[Target]:
        """Each image once a pass: (B, 3, H, W) float in [0, 1], its index and its superpixels."""
        for batch in self.batches:
            if batch is not None:
                superpixels = batch.superpixels
                yield Target(
                    batch.image.to(self.device).float().div_(255),
                    superpixels=None if superpixels is None else superpixels.to(self.device).long(),
                    index=None if batch.index is None else batch.index.to(self.device),
                )

    def table(self, rows: Mapping[int, Tensor], empty: float) -> Tensor:
        """What all processes found out, by image: (length, …), the same in each of them.

        Args:
            rows: of this process's images, by their index; they may differ in their first length.
            empty: stands where a row ends early, and for images that could not be read.
        """
        example = next(iter(rows.values()))
        most = longest(max(len(row) for row in rows.values()), self.device)
        shape = (self.length, most, *example.shape[1:])
        table = torch.zeros(shape, dtype=example.dtype, device=self.device)
        filled = torch.zeros(self.length, most, dtype=torch.uint8, device=self.device)
        for index, row in rows.items():
            table[index, : len(row)] = row.to(self.device)
            filled[index, : len(row)] = 1
        if dist.is_initialized():  # no image belongs to two processes: a sum puts them together
            dist.all_reduce(table)
            dist.all_reduce(filled)
        table[filled == 0] = empty
        return table.cpu()

    def agreed(self, values: Tensor) -> Tensor:
        """The first process's values, in all of them."""
        if not dist.is_initialized():
            return values
        shared = values.to(self.device)
        dist.broadcast(shared, 0)
        return shared.cpu()


def check_one_size(batch: Batch) -> None:
    """
    Raises:
        ConfigError: source and target images, which are to be put together, differ in size.
    """
    source, target = (tuple(each.image.shape[-2:]) for each in (batch.source, batch.target))
    if source != target:
        raise ConfigError(
            f"source images of {list(source)} (height, width) cannot be put together with target "
            f"images of {list(target)}: give both one source.augment.crop and "
            "target.augment.crop, or one source.size and target.size"
        )


def random_numbers(images: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniform in [0, 1), for each image of this process: (images, count).

    The first process draws them for all, so that two processes of half a batch see what one of the
    whole batch sees.
    """
    if not dist.is_initialized():
        return torch.rand(images, count).to(device)
    numbers = _first_process(torch.rand(images * dist.get_world_size(), count))
    return numbers[images * dist.get_rank() :][:images].to(device)


def random_step_numbers(count: int) -> Tensor:
    """Uniform in [0, 1), the same for all images of all processes: (count,)."""
    numbers = torch.rand(count)
    return _first_process(numbers) if dist.is_initialized() else numbers


def longest(length: int, device: torch.device) -> int:
    """The largest of all processes'."""
    if not dist.is_initialized():
        return length
    most = torch.tensor(length, device=device)
    dist.all_reduce(most, op=dist.ReduceOp.MAX)
    return int(most)


def of_processes(columns: Tensor) -> Tensor:
    """(N, M) of each process to (N, M of them all)."""
    if not dist.is_initialized():
        return columns
    parts = [torch.empty_like(columns) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, columns.contiguous())
    return torch.cat(parts, 1)


def mean_of_processes(numbers: Tensor) -> Tensor:
    """Of one process the numbers as they are, of several their means, in each of them."""
    if not dist.is_initialized():
        return numbers
    mean = numbers.float() / dist.get_world_size()
    dist.all_reduce(mean)
    return mean


def divisor(count: Tensor) -> Tensor:
    """What makes the sum over all that counts in a batch their mean; 1 where nothing counts.

    Gradients are averaged over processes. With the mean of their counts here, that average is the
    one of a single process that has the whole batch, however unevenly labels are spread.
    """
    mean = mean_of_processes(count)
    return mean.where(mean > 0, 1)


def _first_process(numbers: Tensor) -> Tensor:
    """The first process's; NCCL only knows tensors on its GPU."""
    on_gpu = dist.get_backend() == "nccl"
    shared = numbers.cuda() if on_gpu else numbers
    dist.broadcast(shared, 0)
    return shared.cpu()
