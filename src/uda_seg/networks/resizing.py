"""Bilinear resizing of maps of logits, whose gradient is cheap on a CPU too."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def resize(maps: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinearly.

    On a CPU, where a gradient is wanted, two products of matrices do it: forward and backward take
    a quarter of the time of `F.interpolate`'s, and what follows finds the pixels of a class side by
    side, which a softmax wants. The numbers are the same up to rounding.
    """
    learns = torch.is_grad_enabled() and maps.requires_grad
    if maps.device.type != "cpu" or not learns or maps.shape[-2:] == size:
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


@lru_cache(maxsize=16)
def shares(old: int, new: int, align_corners: bool) -> Tensor:
    """(new, old): what each new place takes of each old one."""
    with torch.inference_mode(False), torch.no_grad():
        unit = torch.eye(old, dtype=torch.float64)[None]
        wide = F.interpolate(unit, new, mode="linear", align_corners=align_corners)
        return wide[0].T.contiguous()
