"""Whether a file answers as the network does, on drawn streets of several sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from uda_seg.data.toytown import ToyTown
from uda_seg.errors import CheckError
from uda_seg.export.formats import Network


@dataclass(frozen=True)
class Agreement:
    """How far one file and the network agree on one batch of images."""

    shape: tuple[int, ...]
    """(B, 3, H, W)"""
    difference: float | None
    """The largest of two logits, as a share of the largest logit; None for files of classes."""
    same: float
    """Share of pixels with the same class."""
    undecided: float
    """Share of pixels with another class whose two highest logits are within the tolerance."""
    classes: int
    """How many classes occur."""

    def within(self, tolerance: float) -> bool:
        close = self.difference is None or self.difference <= tolerance
        return close and self.same + self.undecided > 1 - 1e-9


def batches(sizes: Sequence[Sequence[int]]) -> Iterator[torch.Tensor]:
    """One a size: of one image, the next of two, and so on in turn."""
    for number, (height, width) in enumerate(sizes):
        streets = ToyTown("toytown_camera", "test", {"test": 2}, (height, width), seed=0)
        images = [streets.read(index, set()).image for index in range(1 + number % 2)]
        yield torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def compare(
    network: nn.Module, file: Network, sizes: Sequence[Sequence[int]], tolerance: float
) -> list[Agreement]:
    """
    Args:
        network: as it was trained, in evaluation mode.
        file: what was written of it.
        sizes: (height, width) of images.
        tolerance: within it, two logits are as good as equal; a share of the largest logit.
    """
    found = []
    for image in batches(sizes):
        with torch.no_grad():
            logits = network(image, domain="target").logits.numpy()
        found.append(_agreement(logits, file(image.numpy()), tuple(image.shape), tolerance))
    return found


def _agreement(
    logits: np.ndarray, answer: np.ndarray, shape: tuple[int, ...], tolerance: float
) -> Agreement:
    scale = max(float(np.abs(logits).max()), 1e-9)
    difference, ids = None, answer
    if answer.ndim == 4:
        difference = float(np.abs(logits - answer).max()) / scale
        ids = answer.argmax(1)
    own = logits.argmax(1)
    highest = np.sort(logits, 1)[:, -2:]
    tie = highest[:, -1] - highest[:, 0] <= 2 * tolerance * scale  # each of the two may move
    differs = ids != own
    return Agreement(
        shape,
        difference,
        float((~differs).mean()),
        float((differs & tie).mean()),
        len(np.unique(own)),
    )


def check(name: str, found: Sequence[Agreement], tolerance: float) -> None:
    """
    Raises:
        CheckError: the file answers otherwise.
    """
    for one in found:
        if not one.within(tolerance):
            height, width = one.shape[-2:]
            far = "" if one.difference is None else f"logits differ by {one.difference:.2g}, and "
            raise CheckError(
                f"formats: {name} does not answer as the network does: on images of "
                f"{height}x{width}, {far}{1 - one.same:.2%} of the pixels have another class; "
                f"nothing was written. tolerance={tolerance} is a share of the largest logit"
            )
