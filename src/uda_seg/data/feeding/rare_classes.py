"""Rare-class sampling: source images drawn by a class that they hold, the rarer the likelier.

Hoyer et al., DAFormer, CVPR 2022, arXiv:2111.14887; constants as in their code (lhoyer/DAFormer,
commit e6f6e04).
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from uda_seg.config import arguments_of
from uda_seg.data.checking.statistics import ClassStatistics, class_pixels
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.errors import ConfigError, DataError
from uda_seg.runs.bars import Bars

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A sample, and the class for which it was drawn."""

    index: int
    label: int
    floor: float
    """Its crop should hold more of the class than that many pixels,"""
    is_share: bool
    """or than that share of its pixels."""
    tries: int
    """Crops that may be drawn beside the first."""

    def is_met(self, label: np.ndarray) -> bool:
        """Whether a crop's label, (H, W), holds enough of the class."""
        floor = self.floor * label.size if self.is_share else self.floor
        return int((label == self.label).sum()) > floor


class RareClasses:
    """
    Args:
        statistics: pixels of each class in each image, at the label file's resolution.
        settings: `temperature` T of P(c) = softmax((1 - f_c) / T), f_c being a class's share of all
            pixels; `pixels`, an image is drawn for a class of which it holds more than that (below
            1: than that share of what is labelled in it); `ratio`, its crop should hold more than
            `ratio` times as many (or that share of the crop); `tries`, further crops until it does.

    Raises:
        ConfigError: no image holds enough of any class.
    """

    def __init__(self, statistics: ClassStatistics, settings: Mapping[str, Any]) -> None:
        settings = arguments_of(settings)
        least, self.is_share = settings["pixels"], settings["pixels"] < 1
        counts = statistics.pixels
        labelled = counts.sum(1, keepdims=True)
        holds = counts > (least * labelled if self.is_share else least)
        self.floor, self.tries = least * settings["ratio"], int(settings["tries"])
        self.holders = [np.flatnonzero(column) for column in holds.T]
        drawn = holds.any(0)
        if not drawn.any():
            raise ConfigError(
                f"rare_classes.pixels={least}: no image holds more than that of any class; choose "
                "a smaller number, below 1 for a share of an image's pixels"
            )
        pairs = zip(statistics.classes, counts.any(0) & ~drawn, strict=True)
        if never := [name for name, missing in pairs if missing]:
            log.warning(
                "rare_classes.pixels=%s: no image holds more than that of %s; none is drawn for it",
                least,
                ", ".join(never),
            )
        self.chances = statistics.rare_class_probabilities(settings["temperature"], drawn)

    def draw(self, numbers: np.random.Generator) -> Choice:
        label = int(numbers.choice(len(self.chances), p=self.chances))
        index = int(numbers.choice(self.holders[label]))
        return Choice(index, label, self.floor, self.is_share, self.tries)


def statistics(
    labelled: Dataset,
    space: LabelSpace,
    cache_root: str,
    workers: int,
    unreadable: Callable[[int, DataError], None],
) -> ClassStatistics:
    """Pixels of each class in each image; only what is not kept from an earlier look is read.

    None is ever drawn that is `unreadable`: what that does is done before training.
    """
    # A loader reads it, which draws a random number: a network made after it would be another one.
    with torch.random.fork_rng(devices=[]), Bars("bar", "count", "left") as bars:
        told = bars.counter("pixels of each class, counted once", len(labelled))
        return class_pixels(labelled, space, cache_root, workers, told, unreadable)
