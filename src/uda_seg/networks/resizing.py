"""Bilinear resizing of maps of logits, whose gradient is cheap on a CPU too."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Small:
    """Maps (B, C, h, w) that are enlarged to `size` once somebody asks for that."""

    maps: Tensor
    size: tuple[int, int]
    align_corners: bool
    plain: bool = False
    """By torch's own layer always, whose last bits are others."""

    def enlarged(self) -> Tensor:
        """To (B, C, *size)."""
        if self.plain:
            aligned = self.align_corners
            return F.interpolate(self.maps, self.size, mode="bilinear", align_corners=aligned)
        return resize(self.maps, self.size, self.align_corners)


def resize(maps: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """(B, C, h, w) to (B, C, *size), bilinearly.

    On a CPU, where a gradient is wanted, two products of matrices do it: forward and backward take
    a quarter of the time of `F.interpolate`'s, and what follows finds the pixels of a class side by
    side, which a softmax wants. Where none is wanted and corners are not aligned, OpenCV takes a
    quarter of the time. The numbers are the same up to rounding.
    """
    learns = torch.is_grad_enabled() and maps.requires_grad
    # A graph is to hold the plain layer, and no look at sizes, which would bind it to them.
    if torch.compiler.is_compiling() or maps.device.type != "cpu" or maps.shape[-2:] == size:
        return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)
    if not learns:
        return _without_gradient(maps, size, align_corners)
    batch, channels, height, width = maps.shape
    rows, columns = (
        shares(old, new, align_corners).to(maps.dtype)
        for old, new in zip((height, width), size, strict=True)
    )
    wide = maps.reshape(-1, width) @ columns.T
    count = batch * channels
    whole = torch.bmm(rows.expand(count, -1, -1), wide.view(count, height, size[1]))
    return whole.view(batch, channels, *size)


def _without_gradient(maps: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """As `F.interpolate`, which also takes what OpenCV does not: say, tensors without numbers."""
    if align_corners or maps.dtype != torch.float32 or type(maps) is not Tensor:
        return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)
    cv2.setNumThreads(torch.get_num_threads())
    whole = maps.new_empty(*maps.shape[:2], *size)
    old, new = (each.detach().flatten(0, 1).contiguous().numpy() for each in (maps, whole))
    for before, after in zip(old, new, strict=True):
        cv2.resize(before, size[::-1], dst=after, interpolation=cv2.INTER_LINEAR)
    return whole


@lru_cache(maxsize=16)
def shares(old: int, new: int, align_corners: bool) -> Tensor:
    """(new, old): what each new place takes of each old one."""
    with torch.inference_mode(False), torch.no_grad():
        unit = torch.eye(old, dtype=torch.float64)[None]
        wide = F.interpolate(unit, new, mode="linear", align_corners=align_corners)
        return wide[0].T.contiguous()
