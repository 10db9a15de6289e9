"""Bilinear resizing of maps of logits, whose gradient is cheap on a CPU too."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL = 128
"""Height and width of maps that torch resizes with another kernel (UpSampleKernel.cpp)."""


def resize(maps: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinearly.

    On a CPU, where a gradient is wanted, two products of matrices do it: forward and backward take
    a quarter of the time of `F.interpolate`'s, and what follows finds the pixels of a class side by
    side, which a softmax wants. The numbers are the same up to rounding. Where none is wanted,
    `_enlarge` gives the very same numbers in less time.
    """
    learns = torch.is_grad_enabled() and maps.requires_grad
    if maps.device.type == "cpu" and not learns:
        return _enlarge(maps, size, align_corners)
    if maps.device.type != "cpu" or maps.shape[-2:] == size:
        return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)
    batch, channels, height, width = maps.shape
    rows, columns = (
        shares(old, new, align_corners).to(maps.dtype)
        for old, new in zip((height, width), size, strict=True)
    )
    wide = maps.reshape(-1, width) @ columns.T
    count = batch * channels
    whole = torch.bmm(rows.expand(count, -1, -1), wide.view(count, height, size[1]))
    return whole.view(batch, channels, *size)


def _enlarge(maps: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """As `F.interpolate`, without a gradient.

    Torch's kernel for channels that lie side by side reckons with many at once, the one for others
    with one number at a time: so a map is stretched to its width first, and then its columns are
    taken for channels of an image of one column. Halfway the other side's weights are 1 and 0.
    """
    # A graph is to hold the plain layer, and no look at sizes, which would bind it to them.
    if torch.compiler.is_compiling() or not _is_same_in_two(maps, size, align_corners):
        return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)
    batch, channels, height, _ = maps.shape
    wide = F.interpolate(maps, (height, size[1]), mode="bilinear", align_corners=align_corners)
    columns = wide.view(batch * channels, height, 1, size[1]).permute(0, 3, 1, 2)
    whole = F.interpolate(columns, (size[0], 1), mode="bilinear", align_corners=align_corners)
    return whole.permute(0, 2, 3, 1).reshape(batch, channels, *size)


def _is_same_in_two(maps: Tensor, size: tuple[int, int], align_corners: bool) -> bool:
    """Whether both kernels give the same bits.

    Each rounds weights that are no binary fractions, and columns that fill no register, in its own
    way; small maps, and those of three channels, have kernels of their own.
    """
    height = maps.shape[2]
    times, rest = divmod(size[0], height)
    binary = rest == 0 and times & (times - 1) == 0
    large = height + size[1] > SMALL and sum(size) > SMALL
    usual = large and maps.shape[1] != 3 and maps.is_contiguous()
    return usual and size[1] % 16 == 0 and (align_corners or binary)


@lru_cache(maxsize=16)
def shares(old: int, new: int, align_corners: bool) -> Tensor:
    """(new, old): what each new place takes of each old one."""
    with torch.inference_mode(False), torch.no_grad():
        unit = torch.eye(old, dtype=torch.float64)[None]
        wide = F.interpolate(unit, new, mode="linear", align_corners=align_corners)
        return wide[0].T.contiguous()
