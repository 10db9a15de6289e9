"""Masks of square blocks, for masked image consistency (Hoyer et al., MIC, CVPR 2023)."""

import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import random_numbers


def block_mask(image: Tensor, block: int, ratio: float) -> Tensor:
    """1 where an image is kept, 0 where it is masked: (B, 1, H, W) float.

    Each block is masked by itself with probability `ratio`: the share of what is kept varies. Where
    sides are no multiples of blocks, a block is a little larger or smaller.

    Args:
        image: (B, 3, H, W), whose size counts.
        block: side of a block, in pixels.
        ratio: of blocks that are masked, in [0, 1].
    """
    images, _, height, width = image.shape
    rows, columns = (max(1, round(side / block)) for side in (height, width))
    numbers = random_numbers(images, rows * columns, image.device)
    kept = (numbers.view(images, 1, rows, columns) > ratio).to(image.dtype)
    return F.interpolate(kept, (height, width), mode="nearest")


def masked(image: Tensor, mask: Tensor, mean: Tensor) -> Tensor:
    """An image in [0, 1] whose masked parts have the mean color, which normalises to 0."""
    return image * mask + mean * (1 - mask)
