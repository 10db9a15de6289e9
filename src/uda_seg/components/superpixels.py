"""What a superpixel holds: its classes, its features, and a value painted back onto its pixels.

A map (B, H, W) gives every pixel the number of its superpixel, 0 .. S - 1 within an image, or a
negative one where there is none (padding). Tables (B, S) have a row for every number, used or not.
"""

import torch
from torch import Tensor

from uda_seg.batch import IGNORE


def counts(prediction: Tensor, superpixels: Tensor, classes: int, most: int) -> Tensor:
    """(B, S, C) long: pixels of each class in each superpixel.

    Args:
        prediction: (B, H, W) long; what is no class, such as IGNORE, is not counted.
        superpixels: (B, H, W) long.
        classes: C.
        most: S, superpixels an image has at most.

    Raises:
        ValueError: a superpixel's number is not below `most`.
    """
    rows = _rows(superpixels, most)
    counted = (rows >= 0) & (prediction >= 0) & (prediction < classes)
    cells = (rows * classes + prediction)[counted]
    size = (len(superpixels), most, classes)
    return torch.bincount(cells, minlength=len(superpixels) * most * classes).view(size)


def dominant(counts: Tensor) -> tuple[Tensor, Tensor]:
    """The most frequent class, the first of equals, and its share of what was counted.

    Args:
        counts: (..., C) of superpixels or of clusters.

    Returns:
        (...) long, IGNORE where nothing was counted; (...) float, 0 there.
    """
    total = counts.sum(-1)
    chosen = counts.argmax(-1).masked_fill(total == 0, IGNORE)
    return chosen, counts.amax(-1) / total.clamp(min=1)


def mean_features(features: Tensor, superpixels: Tensor, most: int) -> Tensor:
    """(B, S, D) float: mean features of the superpixels' pixels; 0 of superpixels without pixels.

    A pixel has the features of the cell that it lies in, so a superpixel's mean is that of cells,
    weighted by how many of its pixels they cover. That is a sparse matrix of overlaps times the
    features: no superpixel gets lost however small it is beside a cell, as it would if the map
    were reduced to the features' size, and no features are enlarged, which would take 4 GB for
    2048 channels at 1024x512. The cost is one sort of the pixels and one product a cell, channel
    and superpixel that meet.

    Args:
        features: (B, D, h, w), which cover the same picture.
        superpixels: (B, H, W) long.
        most: S.

    Raises:
        ValueError: a superpixel's number is not below `most`.
    """
    batch, channels, *size = features.shape
    rows, columns = _rows(superpixels, most), _cells(superpixels, size)
    total = batch * size[0] * size[1]
    inside = rows >= 0
    pairs, overlaps = torch.unique((rows * total + columns)[inside], return_counts=True)
    places = torch.stack([pairs // total, pairs % total])
    shape = (batch * most, total)
    # `unique` sorts, and gives every pair once: the checks would find nothing.
    matrix = torch.sparse_coo_tensor(
        places, overlaps.float(), shape, check_invariants=False, is_coalesced=True
    )
    with torch.autocast(features.device.type, enabled=False):
        sums = torch.sparse.mm(matrix, features.float().permute(0, 2, 3, 1).reshape(total, -1))
    pixels = torch.bincount(rows[inside], minlength=batch * most).clamp(min=1)
    return (sums / pixels[:, None]).view(batch, most, channels)


def paint(table: Tensor, superpixels: Tensor, outside: float) -> Tensor:
    """(B, H, W): the value of each pixel's superpixel.

    Args:
        table: (B, S), of any type.
        superpixels: (B, H, W) long, numbers below S.
        outside: of pixels without a superpixel.
    """
    values = table.gather(1, superpixels.clamp(min=0).flatten(1)).view(superpixels.shape)
    return values.masked_fill(superpixels < 0, outside)


def _rows(superpixels: Tensor, most: int) -> Tensor:
    """(B, H, W): each pixel's row in the tables of all images, one below the other; or -1."""
    largest = int(superpixels.max())
    if largest >= most:
        raise ValueError(f"superpixel {largest} in a map that should have at most {most}")
    images = torch.arange(len(superpixels), device=superpixels.device)[:, None, None]
    return (images * most + superpixels).masked_fill(superpixels < 0, -1)


def _cells(superpixels: Tensor, size: list[int]) -> Tensor:
    """(B, H, W): the cell of the features that each pixel lies in, all images' in one row."""
    batch, height, width = superpixels.shape
    device = superpixels.device
    down = torch.arange(height, device=device) * size[0] // height
    across = torch.arange(width, device=device) * size[1] // width
    images = torch.arange(batch, device=device)[:, None, None]
    return (images * size[0] + down[:, None]) * size[1] + across
