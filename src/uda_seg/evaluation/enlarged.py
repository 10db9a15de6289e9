"""Logits at an image's size that never stand there whole.

In 19 classes they are 160 MB for 2048x1024 pixels: to write those and to read them again takes
longer than what is worked out of them. Here they are enlarged by a few rows at once, which caches
hold, with two products of matrices: one for columns, one for rows. Windows, mirrored images and a
second up-sampling are in the matrices.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small, shares

CACHED = 2**18
"""Numbers, 1 MB of them."""
COLUMNS, ROWS = 256, 16
"""New ones at once: in the first product, and where classes are looked for."""


@dataclass(eq=False)
class Axis:
    """How height or width is enlarged.

    Attributes:
        shares: (new, old), what each new place takes of each old one: none less than 0, 1 together.
        order: (old,), in which the small maps' places are laid first: by where they are taken.
    """

    shares: Tensor
    order: np.ndarray

    def __post_init__(self) -> None:
        taken = self.shares.numpy() != 0
        self.first, self.end = taken.argmax(1), taken.shape[1] - taken[:, ::-1].argmax(1)
        pairs = self.first * (taken.shape[1] + 1) + self.end
        _, self.examples, self.kinds = np.unique(pairs, return_index=True, return_inverse=True)

    def __len__(self) -> int:
        return len(self.first)

    def parts(self, count: int) -> Iterator[tuple[slice, slice]]:
        """So many new places at a time, and the old ones that they take of."""
        for start in range(0, len(self), count):
            new = slice(start, start + count)
            yield new, slice(int(self.first[new].min()), int(self.end[new].max()))


@lru_cache(maxsize=8)
def axis(
    old: int, windows: tuple[tuple[int, int], ...], align_corners: bool, mirrored: bool
) -> Axis:
    """
    Args:
        old: places that each window's small map has.
        windows: their first pixel and the one after the last.
        align_corners: how windows are enlarged.
        mirrored: after all windows' maps come those of the mirrored image.
    """
    (start, stop), length = windows[0], windows[-1][1]
    one = shares.__wrapped__(old, stop - start, align_corners)  # not kept twice: it may be large
    parts = np.zeros((length, len(windows) * old), np.float32)
    for number, (start, stop) in enumerate(windows):
        parts[start:stop, number * old : (number + 1) * old] = one
    parts /= parts.sum(1, keepdims=True)  # how many windows a pixel lies in
    if mirrored:
        parts = np.concatenate([parts, parts[::-1]], 1)
        parts *= 0.5
    order = (parts != 0).argmax(0).argsort(kind="stable")
    return Axis(torch.from_numpy(parts[:, order]), order)


@lru_cache(maxsize=8)
def again(once: Axis, length: int, align_corners: bool) -> Axis:
    """Up-sampled once more."""
    second = Axis(shares.__wrapped__(len(once), length, align_corners).float(), once.order)
    twice = once.shares.new_empty(length, once.shares.shape[1])
    for new, old in second.parts(COLUMNS):
        torch.mm(second.shares[new, old], once.shares[old], out=twice[new])
    return Axis(twice, once.order)


class Enlarged:
    """Logits of an image on the CPU.

    Args:
        maps: (C, h, w) float32, laid as the axes' `order` says.
        rows, columns: to how many they are enlarged, and how.
    """

    def __init__(self, maps: Tensor, rows: Axis, columns: Axis) -> None:
        self.maps, self.rows, self.columns = maps, rows, columns

    @property
    def shape(self) -> torch.Size:
        """As a tensor's, (1, C, H, W)."""
        return torch.Size((1, len(self.maps), len(self.rows), len(self.columns)))

    def resized(self, size: tuple[int, int], align_corners: bool) -> "Enlarged":
        """Up-sampled from the image's size to another."""
        if self.shape[2:] == size:
            return self
        axes = (self.rows, self.columns)
        rows, columns = (again(a, side, align_corners) for a, side in zip(axes, size, strict=True))
        return Enlarged(self.maps, rows, columns)

    @cached_property
    def lower(self) -> "Enlarged":
        """Less a number that is the same for all classes of a pixel, so that none is above 0."""
        return Enlarged(self.maps - self.maps.amax(0), self.rows, self.columns)

    @cached_property
    def wide(self) -> Tensor:
        """(h, C, W), columns alone enlarged."""
        lines = self.maps.transpose(0, 1).flatten(0, 1)
        wide = lines.new_empty(len(lines), len(self.columns))
        for new, old in self.columns.parts(COLUMNS):
            torch.mm(lines[:, old], self.columns.shares[new, old].T, out=wide[:, new])
        return wide.unflatten(0, (-1, len(self.maps)))

    def parts(self) -> Iterator[tuple[slice, Tensor]]:
        """As many rows at once as caches hold: which, and their logits (n, C, W), in whose place
        the next part's will be.
        """
        at_once = CACHED * torch.get_num_threads() // (len(self.maps) * len(self.columns))
        # A power of 2, as strides are: then few small rows have a share in a part.
        at_once = 1 << max(0, at_once.bit_length() - 1)
        place = self.wide.new_empty(at_once, *self.wide.shape[1:])
        for new, old in self.rows.parts(at_once):
            yield new, product(self.rows.shares[new, old], self.wide[old], place)

    def whole(self) -> Tensor:
        """As a tensor, (1, C, H, W)."""
        whole = self.maps.new_empty(self.shape)
        for new, part in self.parts():
            whole[0, :, new] = part.transpose(0, 1)
        return whole

    def sampled(self, size: tuple[int, int]) -> Tensor:
        """(1, C, *size) of the pixels that `F.interpolate` takes as the nearest."""
        rows, columns = (
            axis.shares.numpy()[
                F.interpolate(torch.arange(len(axis))[None, None].float(), new).long().flatten()
            ]
            for axis, new in zip((self.rows, self.columns), size, strict=True)
        )
        return torch.from_numpy(rows @ self.maps.numpy() @ columns.T)[None]

    def classes(self) -> Tensor:
        """(1, H, W) uint8 of the largest; of equal ones the first.

        Where all that a pixel takes of have the same largest class, it is the pixel's: only the
        other pixels, about one in eight of a street, are looked at.
        """
        largest = self.maps.max(0).indices.byte().numpy()
        strips = list(self.rows.parts(ROWS))
        above, below = (np.array([getattr(old, e) for _, old in strips]) for e in ("start", "stop"))
        left, right = (e[self.columns.examples] for e in (self.columns.first, self.columns.end))
        lowest, highest = (
            _over(_over(largest, kind, above, below).T, kind, left, right)[self.columns.kinds]
            for kind in (np.minimum, np.maximum)
        )
        found = lowest.T.repeat(ROWS, 0)[: len(self.rows)]
        for (new, old), unsure in zip(strips, (lowest != highest).T, strict=True):
            places = unsure.nonzero()[0]
            wide = torch.from_numpy(self.lower.wide[old].numpy().take(places, 2))
            shares = self.rows.shares[new, old]
            values = product(shares, wide, wide.new_empty(len(shares), *wide.shape[1:]))
            found[new, places] = _largest(values.numpy())
        return torch.from_numpy(found)[None]


def product(shares: Tensor, wide: Tensor, place: Tensor) -> Tensor:
    """(n, k) and (k, C, W) to (n, C, W), at the start of its place.

    Autocast does not reach a product whose place is given.
    """
    part = place[: len(shares)]
    torch.mm(shares, wide.flatten(1), out=part.flatten(1))
    return part


def can_wait(small: Small) -> bool:
    """Whether it is on a CPU, and so much smaller that it saves time."""
    maps = small.maps
    lengths = zip(maps.shape[2:], small.size, strict=True)
    return maps.is_cpu and maps.dtype == torch.float32 and all(2 * a <= b for a, b in lengths)


def of_windows(
    small: Small, rows: Sequence[slice], columns: Sequence[slice], mirrored: bool
) -> list[Enlarged]:
    """Of each image, the mean where windows overlap.

    Args:
        small: maps (B, C, h, w) of the windows, side by side and one below the other; `size` is
            that of the images.
        rows: where the windows lie.
        columns: likewise.
        mirrored: to the right of them are those of the mirrored images.
    """
    (height, width), aligned = small.maps.shape[2:], small.align_corners
    across = len(columns) * (1 + mirrored)
    vertical = axis(height // len(rows), _ends(rows), aligned, False)
    horizontal = axis(width // across, _ends(columns), aligned, mirrored)
    # By NumPy: torch takes ten times as long to pick columns.
    maps = small.maps.numpy().take(vertical.order, 2).take(horizontal.order, 3)
    return [Enlarged(one, vertical, horizontal) for one in torch.from_numpy(maps)]


def each_of(prediction: Prediction) -> Sequence[Tensor | Enlarged]:
    """Logits (1, C, H, W) of each image; on a CPU smaller ones wait."""
    small = prediction.small
    if small is None or not can_wait(small):
        return prediction.logits.float().split(1)
    rows, columns = ([slice(0, side)] for side in small.size)
    return of_windows(small, rows, columns, mirrored=False)


def parts_of(logits: Tensor | Enlarged) -> Iterator[tuple[slice, Tensor]]:
    """Some rows at a time: which, and their logits (n, C, W)."""
    if isinstance(logits, Enlarged):
        yield from logits.parts()
    else:
        yield slice(0, logits.shape[2]), logits[0].transpose(0, 1)


def whole(logits: Tensor | Enlarged) -> Tensor:
    """As a tensor, (B, C, H, W)."""
    return logits.whole() if isinstance(logits, Enlarged) else logits


def _ends(windows: Sequence[slice]) -> tuple[tuple[int, int], ...]:
    return tuple((one.start, one.stop) for one in windows)


def _largest(logits: np.ndarray) -> np.ndarray:
    """(n, C, W) to (n, W): `argmax`, five times as fast."""
    last = logits.shape[1] - 1
    equal = (logits == logits.max(1, keepdims=True)).view(np.uint8)
    equal *= np.arange(last, -1, -1, dtype=np.uint8)[:, None]
    return last - equal.max(1)


def _over(ids: np.ndarray, kind: np.ufunc, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The lowest or highest of each stretch of rows, from its first to before its end."""
    ids = np.concatenate([ids, ids[-1:]])  # `reduceat` wants an end within
    stretches = np.stack([first, end], 1)
    return kind.reduceat(ids, stretches.ravel())[::2]
