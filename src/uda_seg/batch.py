"""What a training step sees: labelled source crops, unlabelled target crops."""

from dataclasses import dataclass

from torch import Tensor

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
