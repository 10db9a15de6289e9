"""Columns of an image as sequences of vertical pieces, from top to bottom.

On the source a piece is part of a run of one class, about as high as a superpixel; on the target it
is the part of a superpixel that the column crosses. Everything is built at once, without a loop.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.batch import IGNORE, NO_SUPERPIXEL


@dataclass
class Columns:
    """N columns of at most L pieces; behind a column's last piece stand IGNORE, 0, NO_SUPERPIXEL.

    A piece whose class is not known (void, padding) stays where it is, with IGNORE: left out, it
    would make neighbors of what is none.
    """

    classes: Tensor
    """(N, L) long, or IGNORE."""
    heights: Tensor
    """(N, L) float, shares of the full image's height."""
    lengths: Tensor
    """(N,) long, pieces of each column; at least 1."""
    superpixels: Tensor
    """(N, L) long, NO_SUPERPIXEL on the source."""


def source_columns(label: Tensor, window: Tensor | None, columns: int, segments: int) -> Columns:
    """Runs of a class, cut into equal pieces no higher than sqrt(height * width / segments).

    Args:
        label: (B, H, W) long, a class or IGNORE, of full images or of crops.
        window: (B, 4) of the crops, as in `Source`; None: full images.
        columns: of each image, at most; N is B times as many, image by image.
        segments: superpixels of a full image.
    """
    height, width = _full_size(label, window)
    values = _middle_columns(label, columns)
    each = len(values) // len(label)
    highest = (height * width / segments).sqrt().clamp(min=1).repeat_interleave(each)[:, None]
    run = _number(_changes(values))
    lengths = _totals(run, torch.ones_like(run), run.shape[1]).gather(1, run)
    rows = torch.arange(values.shape[1], device=values.device).expand_as(values)
    first = rows.masked_fill(~_changes(values), 0).cummax(1).values
    parts = (lengths / highest).ceil().long()
    part = (rows - first) * parts // lengths
    found, heights, lengths = _gather(values, _changes(values) | _changes(part), IGNORE)
    heights = heights / height.repeat_interleave(each)[:, None]
    return Columns(found, heights, lengths, torch.full_like(found, NO_SUPERPIXEL))


def target_columns(classes: Tensor, superpixels: Tensor, columns: int) -> Columns:
    """Crossings of superpixels.

    Args:
        classes: (B, S) long, of each superpixel, or IGNORE.
        superpixels: (B, H, W) long, of full images, numbers below S, or NO_SUPERPIXEL.
        columns: of each image, at most; N is B times as many, image by image.
    """
    values = _middle_columns(superpixels, columns)
    found, heights, lengths = _gather(values, _changes(values), NO_SUPERPIXEL)
    table = classes.repeat_interleave(len(values) // len(superpixels), 0)
    known = table.gather(1, found.clamp(min=0)).masked_fill(found < 0, IGNORE)
    return Columns(known, heights / superpixels.shape[1], lengths, found)


def _full_size(label: Tensor, window: Tensor | None) -> tuple[Tensor, Tensor]:
    """(B,) and (B,): height and width, in pixels of the crop, of the image it is a crop of."""
    sides = label.new_tensor(label.shape[1:], dtype=torch.float).expand(len(label), 2)
    if window is not None:
        shares = torch.stack([window[:, 3] - window[:, 1], window[:, 2] - window[:, 0]], 1)
        sides = sides / shares.abs().to(sides.device)
    return sides[:, 0], sides[:, 1]


def _middle_columns(values: Tensor, columns: int) -> Tensor:
    """(N, H): the middle columns of equally wide stripes of (B, H, W), image by image."""
    width = values.shape[2]
    columns = min(columns, width)
    middles = (2 * torch.arange(columns, device=values.device) + 1) * width // (2 * columns)
    return values[:, :, middles].transpose(1, 2).flatten(0, 1)


def _changes(values: Tensor) -> Tensor:
    """(N, H) bool: where a value differs from the one above; the first always does."""
    return F.pad(values[:, 1:] != values[:, :-1], (1, 0), value=True)


def _number(starts: Tensor) -> Tensor:
    """(N, H) long: how many starts there were up to here, from 0."""
    return starts.cumsum(1) - 1


def _totals(places: Tensor, values: Tensor, length: int) -> Tensor:
    """(N, length): sums of the values at each place of their row."""
    return values.new_zeros(len(places), length).scatter_add_(1, places, values)


def _gather(values: Tensor, starts: Tensor, empty: int) -> tuple[Tensor, Tensor, Tensor]:
    """Values (N, L) and heights in pixels (N, L) of the pieces that start there; lengths (N,)."""
    piece = _number(starts)
    lengths = piece[:, -1] + 1
    longest = int(lengths.max())
    heights = _totals(piece, torch.ones_like(piece), longest)
    tops = (heights.cumsum(1) - heights).clamp(max=values.shape[1] - 1)
    return values.gather(1, tops).masked_fill(heights == 0, empty), heights, lengths
