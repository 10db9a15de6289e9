"""From images to logits and classes: whole or in sliding windows, mirrored or not."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from itertools import chain, pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.errors import ConfigError
from uda_seg.evaluation.enlarged import Enlarged, can_wait, of_windows, whole
from uda_seg.networks.ensemble import MEANS
from uda_seg.networks.resizing import Small, resize

CACHED = 2**17
"""Numbers of a map, 0.5 MB of them."""


class Inference:
    """How images become logits.

    Args:
        mode: "whole", or "slide": windows that are averaged where they overlap.
        window: height, width of a window; a number means both. Only for "slide".
        stride: rows, columns from one window to the next; at most the window. Only for "slide".
        flip: average with the mirrored image.
        scales: average those of the image at so many times its size, enlarged or shrunk back.
        align_corners: of the up-sampling from the image's size to the label's; None: as the network
            up-samples its own logits, False where it does not say.
        mean_of: of windows, mirrored images and scales, "logits", or "probabilities" (VFM-UDA):
            logits are then the logarithm of that mean.
    """

    def __init__(
        self,
        mode: str,
        window: int | Sequence[int] | None,
        stride: int | Sequence[int] | None,
        flip: bool,
        align_corners: bool | None = None,
        scales: Sequence[float] = (1.0,),
        mean_of: str = "logits",
    ) -> None:
        if mode not in ("whole", "slide"):
            raise ConfigError(f"inference.mode: {mode!r} is not known; choose whole or slide")
        if mean_of not in MEANS:
            choices = " or ".join(MEANS)
            raise ConfigError(f"inference.mean_of: {mean_of!r} is not known; choose {choices}")
        if not scales or min(scales) <= 0:
            raise ConfigError(f"inference.scales: {list(scales)} must be numbers above 0")
        self.mode, self.flip, self.align_corners = mode, flip, align_corners
        self.scales, self.mean_of = tuple(scales), mean_of
        self._of_network = False
        self.window, self.stride = (0, 0), (0, 0)
        if mode == "slide":
            self.window = _pair("window", window)
            self.stride = _pair("stride", stride)
            if any(step > size for step, size in zip(self.stride, self.window)):
                raise ConfigError(
                    f"inference.stride: {list(self.stride)} is larger than "
                    f"inference.window={list(self.window)}, so pixels between windows get no answer"
                )

    @torch.no_grad()
    def __call__(self, network: nn.Module, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] to logits (B, C, H, W) in float32."""
        return torch.cat([whole(one) for one in self.each(network, image)])

    @torch.no_grad()
    def each(self, network: nn.Module, image: Tensor) -> Sequence[Tensor | Enlarged]:
        """(B, 3, H, W) in [0, 1] to logits (1, C, H, W) in float32 of each image.

        On a CPU, smaller ones of the network wait to be enlarged, unless the mean is of
        probabilities or of scales.
        """
        self._of_network = bool(getattr(network, "align_corners", False))
        if self.scales == (1.0,):
            mean = self._mirrored(network, image)
            if isinstance(mean, Small):
                return of_windows(mean, *self._windows(mean.size), self.flip)
        else:
            mean = self._mean_of_scales(network, image)
        if self.mean_of != "logits":
            mean = mean.clamp_(min=torch.finfo(mean.dtype).tiny).log_()
        return mean.split(1)

    def _mean_of_scales(self, network: nn.Module, image: Tensor) -> Tensor:
        answers = (self._mirrored(network, scaled(image, scale)) for scale in self.scales)
        size = image.shape[-2:]
        wholes = (self.resized(one, size) for one in answers if isinstance(one, Tensor))
        return reduce(torch.add, wholes) / len(self.scales)

    def _mirrored(self, network: nn.Module, image: Tensor) -> Tensor | Small:
        answer = self._answer(network, image)
        if not self.flip:
            return answer
        other = self._answer(network, image.flip(3))
        if isinstance(answer, Tensor):
            assert isinstance(other, Tensor)
            return (answer + other.flip(3)).div_(2)
        assert isinstance(other, Small)
        return replace(answer, maps=torch.cat([answer.maps, other.maps], 3))

    @torch.no_grad()
    def predict(self, logits: Tensor | Enlarged, size: Sequence[int]) -> Tensor:
        """Logits (B, C, H, W), up-sampled to `size` (h, w), to classes (B, h, w) uint8.

        Where two are equal it is the first one, as of `argmax`.
        """
        size = (int(size[0]), int(size[1]))
        if isinstance(logits, Enlarged):
            return logits.resized(size, self._aligned).classes()
        if logits.device.type == "cpu" and logits.is_contiguous():
            maps = (self.resized(one.contiguous(), size) for one in logits.split(1, 1))
            return _largest(one.squeeze(1) for one in maps)
        return self.resized(logits, size).max(1).indices.byte()  # a sixth of `argmax`'s time

    def resized(self, logits: Tensor | Enlarged, size: Sequence[int]) -> Tensor:
        """Logits (B, C, H, W), up-sampled to `size` (h, w)."""
        size = (int(size[0]), int(size[1]))
        if isinstance(logits, Enlarged):
            return logits.resized(size, self._aligned).whole()
        return logits if logits.shape[-2:] == size else resize(logits, size, self._aligned)

    @property
    def _aligned(self) -> bool:
        return self._of_network if self.align_corners is None else self.align_corners

    def _windows(self, size: Sequence[int]) -> tuple[list[slice], list[slice]]:
        """Of an image (h, w), over its rows and its columns."""
        if self.mode == "whole":
            return [slice(0, size[0])], [slice(0, size[1])]
        rows, columns = (list(spans(*each)) for each in zip(size, self.window, self.stride))
        return rows, columns

    def _answer(self, network: nn.Module, image: Tensor) -> Tensor | Small:
        """(B, C, H, W), or the windows' small maps side by side."""
        rows, columns = self._windows(image.shape[-2:])
        answers = (self._ask(network, image[..., r, c]) for r in rows for c in columns)
        first = next(answers)
        if isinstance(first, Small):
            maps = [first.maps, *(one.maps for one in answers if isinstance(one, Small))]
            lines = torch.cat(torch.cat(maps, 3).chunk(len(rows), 3), 2)
            return Small(lines, (image.shape[-2], image.shape[-1]), first.align_corners)
        if self.mode == "whole":
            return first
        rest = (one for one in answers if isinstance(one, Tensor))
        return _mean_of_windows(chain([first], rest), rows, columns)

    def _ask(self, network: nn.Module, image: Tensor) -> Tensor | Small:
        """(B, C, H, W), what means are taken of; or smaller logits, which can wait."""
        prediction = network(image, domain="target")
        if self.mean_of == "logits" and self.scales == (1.0,):
            small = getattr(prediction, "small", None)
            if small is not None and can_wait(small):
                return small
        logits: Tensor = prediction.logits.float()
        return logits if self.mean_of == "logits" else logits.softmax(1)


def _mean_of_windows(
    answers: Iterator[Tensor], rows: Sequence[slice], columns: Sequence[slice]
) -> Tensor:
    total: Tensor | None = None
    lowest = 0
    for row in rows:
        farthest = 0
        for column in columns:
            answer = next(answers)
            if total is None:
                total = answer.new_empty(*answer.shape[:2], rows[-1].stop, columns[-1].stop)
            # What is new is written, not added to zeros: memory is what takes time here.
            place = total[..., row, column]
            top, left = max(0, lowest - row.start), max(0, farthest - column.start)
            place[..., :top, :] += answer[..., :top, :]
            place[..., top:, :left] += answer[..., top:, :left]
            place[..., top:, left:] = answer[..., top:, left:]
            farthest = column.stop
        lowest = row.stop
    assert total is not None
    for row, times in _pieces(rows):
        for column, more in _pieces(columns):
            if times * more > 1:
                total[..., row, column] /= times * more
    return total


def _pieces(windows: Sequence[slice]) -> Iterator[tuple[slice, int]]:
    """Parts of an axis, and in how many windows each lies."""
    edges = {edge for window in windows for edge in (window.start, window.stop)}
    for start, stop in pairwise(sorted(edges)):
        yield slice(start, stop), sum(one.start <= start < one.stop for one in windows)


def _largest(maps: Iterator[Tensor]) -> Tensor:
    """Maps (B, h, w), one a class, to the class (B, h, w) uint8 of the largest.

    One by one, since those of 19 classes are 160 MB for 2048x1024 pixels; and of each as much at
    once as caches hold.
    """
    first = next(maps)
    best, classes = first.flatten().clone(), torch.zeros(first.numel(), dtype=torch.uint8)
    at_once = CACHED * torch.get_num_threads()
    for place, one in enumerate(maps, 1):
        parts = (each.split(at_once) for each in (one.flatten(), best, classes))
        for values, top, ids in zip(*parts, strict=True):
            torch.maximum(ids, _larger(values, top).view(torch.uint8).mul_(place), out=ids)
            torch.maximum(top, values, out=top)
    return classes.view(first.shape)


def _larger(values: Tensor, others: Tensor) -> Tensor:
    """Where they are, as booleans: by NumPy in less than half of one torch thread's time."""
    if torch.get_num_threads() > 2:
        return values > others
    return torch.from_numpy(np.greater(values.numpy(), others.numpy()))


def scaled(image: Tensor, scale: float) -> Tensor:
    """(B, 3, H, W) at so many times its sides, which are rounded."""
    if scale == 1:
        return image
    size = [max(1, round(scale * side)) for side in image.shape[-2:]]
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=scale < 1)


def spans(length: int, window: int, stride: int) -> Iterator[slice]:
    """Windows over 0 .. length.

    The last one ends flush with the border; one that is longer than the image is cut to it.
    """
    start = 0
    while start + window < length:
        yield slice(start, start + window)
        start += stride
    yield slice(max(length - window, 0), length)


def _pair(key: str, value: int | Sequence[int] | None) -> tuple[int, int]:
    if value is None:
        raise ConfigError(
            f"inference.{key}: inference.mode=slide needs it, say inference.{key}=[512,512]"
        )
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < 1:
        raise ConfigError(f"inference.{key}: {value} must be height, width, both 1 or more")
    return pair[0], pair[1]
