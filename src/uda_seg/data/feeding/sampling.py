"""Step i is a function of (seed, i, rank): which samples, and every random number they meet.

Nothing here has a state that would have to be saved: a run resumes by starting at step i, with any
number of workers, and two processes of half the batch see what one of the whole batch sees.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from torch.utils.data import Sampler

STREAMS = {"source": 1, "target": 2}
"""Keeps the random numbers of the two domains apart."""


def sample_index(position: int, length: int, seed: int, stream: str) -> int:
    """The sample at a place of the endless stream: a new permutation every epoch."""
    epoch, offset = divmod(position, length)
    return int(_permutation(seed, stream, epoch, length)[offset])


def generator(seed: int, stream: str, position: int) -> np.random.Generator:
    """Random numbers for the augmentation of the sample at a place of the stream."""
    return np.random.default_rng((seed, STREAMS[stream], 1, position))


def chooser(seed: int, stream: str, position: int) -> np.random.Generator:
    """Random numbers that decide which sample stands at a place, where no permutation does."""
    return np.random.default_rng((seed, STREAMS[stream], 2, position))


@lru_cache(maxsize=8)
def _permutation(seed: int, stream: str, epoch: int, length: int) -> np.ndarray:
    return np.random.default_rng((seed, STREAMS[stream], 0, epoch)).permutation(length)


class StepSampler(Sampler[list[int]]):
    """The endless batches of one rank, as places of the stream.

    Args:
        batch_size: samples a step and rank.
        first_step: asked when iteration begins; a resumed run answers with the step it stopped at.
        rank: 0 .. world - 1.
        world: processes that train together.
    """

    def __init__(
        self, batch_size: int, first_step: Callable[[], int], rank: int = 0, world: int = 1
    ) -> None:
        self.batch_size, self.first_step = batch_size, first_step
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[list[int]]:
        step = self.first_step()
        while True:
            first = (step * self.world + self.rank) * self.batch_size
            yield list(range(first, first + self.batch_size))
            step += 1


class EveryNth(Sampler[int]):
    """A rank's share of an evaluation set: no sample twice, none padded (sums are exact)."""

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        self.indices = range(rank, length, world)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)
