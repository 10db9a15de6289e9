"""HRDA's network: the whole image coarsely, a part of it finely, and attention between the two
(Hoyer et al., ECCV 2022, arXiv:2204.13132).

Steps, their order and their rounding as in the authors' code, that of the attention too, which
leaks half a cell beyond a random window, where there is no detail.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import random_step_numbers
from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.cpu_layers import speed_up
from uda_seg.networks.prediction import Detail, Prediction, exact
from uda_seg.networks.resizing import resize

HOSTS = ("stages", "scores", "stage_channels", "score_stride")
"""What a network has whose encoder and head can serve both branches."""


class HRDANetwork(SegmentationNetwork):
    """One encoder and one head see the context, which is the image at half its size, and detail.

    In training, detail is one random window, the same for all images of a batch. Otherwise windows
    slide over the image, and their logits are averaged where they overlap: for scores, and for the
    pseudo-labels of a teacher, whose batch norm alone is in training mode.

    Args:
        classes: of the experiment.
        host: makes the network that serves both branches, such as `Pyramid` or `DeepLab`. Classes
            are handed on to it, and all from `mean` on.
        attention: makes the head that says where and for which class detail counts, from the
            channels of the host's stages and a number of classes.
        fixed_attention: what it says everywhere, in place of such a head; or None.
        detail_window: its sides as a share of the image's (paper: 0.5).
        detail_stride: from one sliding window to the next, likewise (paper: 0.25).
        offset_multiple: pixels that the offsets of random windows are multiples of (paper: 8).
        pretrained: None for a host that has no such argument.
    """

    def __init__(
        self,
        classes: int,
        host: Callable[..., SegmentationNetwork],
        attention: Callable[[Sequence[int], int], nn.Module],
        fixed_attention: float | None,
        detail_window: float,
        detail_stride: float,
        offset_multiple: int,
        mean: Sequence[float],
        std: Sequence[float],
        batch_norm: str,
        head_factor: float,
        pretrained: str | None = None,
    ) -> None:
        super().__init__(classes, mean, std, head_factor)
        shared = {"mean": mean, "std": std, "batch_norm": batch_norm, "head_factor": head_factor}
        shared |= {} if pretrained is None else {"pretrained": pretrained}
        self.host = cast(Any, host(classes=classes, **shared))
        if missing := [name for name in HOSTS if not hasattr(self.host, name)]:
            raise ConfigError(
                f"backbone.host: {type(self.host).__name__} has no {', '.join(missing)}, so it "
                "cannot serve HRDA's two branches; choose Pyramid or DeepLab"
            )
        self.feature_channels, self.load_report = self.host.feature_channels, self.host.load_report
        self.fixed_attention = fixed_attention
        self.attention: nn.Module | None = None
        if fixed_attention is None:
            self.attention = attention(self.host.stage_channels, classes)
            speed_up(self.attention)
        self.window, self.corners = sliding(detail_window, detail_stride)
        self.offset_multiple, self.stride = offset_multiple, int(self.host.score_stride)
        if offset_multiple % self.stride:
            raise ConfigError(
                f"backbone.offset_multiple={offset_multiple}: must be a multiple of {self.stride}, "
                "the stride of this host's logits"
            )
        cells = [2 * self.window.denominator, *(corner.denominator for corner in self.corners)]
        self.multiple = self.stride * math.lcm(*cells)
        """Sides of images are multiples of it: then all windows are of whole cells."""
        # Filled up and halved, such an image is as large as the host's smallest.
        self.smallest_side = 2 * self.host.smallest_side - self.multiple + 1
        self.channels_last = getattr(self.host, "channels_last", False)
        self.arrange()
        self.set_batch_norm(batch_norm)

    @property
    def encoder(self) -> nn.Module:
        encoder: nn.Module = self.host.encoder
        return encoder

    def heads(self) -> list[nn.Module]:
        return [*self.host.heads(), *([] if self.attention is None else [self.attention])]

    def set_batch_norm(self, policy: str) -> None:
        self.host.set_batch_norm(policy)
        super().set_batch_norm(policy)

    def deepest(self, image: Tensor) -> Tensor:
        """Of the context, (B, D, h, w): distances of features are measured there alone."""
        deepest: Tensor = self.host.stages(_halved(self._filled(image)))[-1]
        return deepest

    def predict(self, image: Tensor) -> Prediction:
        height, width = image.shape[-2:]
        image = self._filled(image)
        stages = self.host.stages(_halved(image))
        context, corner, detail = exact(self.host.scores(stages)), None, None
        if self.training:
            rows, columns = self._random_window(image)
            window = image[..., rows, columns]
            scores = self._whole(self._scores(window), window)
            detail = Detail(resize(scores, _size(window), align_corners=False), rows, columns)
            corner = (rows.start // self.stride, columns.start // self.stride)
        else:
            scores = self._slide(image)
        fused = fuse(context, self._attention(stages, context), scores, corner)
        logits = resize(fused, _size(image), align_corners=False)
        if not self.training:
            logits = _cut(logits, 0, 0, height, width)
        return Prediction(logits, stages[-1], detail=detail)

    def _filled(self, image: Tensor) -> Tensor:
        """The image, its borders repeated to the right and below up to whole windows.

        Raises:
            ConfigError: it is a training image, which should fit as it is.
        """
        height, width = image.shape[-2:]
        unit = self.multiple
        below, right = ((side + unit - 1) // unit * unit - side for side in (height, width))
        if not self.training:
            return F.pad(image, (0, right, 0, below), mode="replicate")
        if below or right:
            raise ConfigError(
                f"backbone: HRDA's windows need training images whose height and width are "
                f"multiples of {unit}, but they are {height}x{width}: choose "
                "source.augment.crop and target.augment.crop, or source.size and target.size, so"
            )
        return image

    def _scores(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, C, H / stride, W / stride)."""
        return exact(self.host.scores(self.host.stages(image)))

    def _whole(self, scores: Tensor, window: Tensor) -> Tensor:
        """The logits of a window, if they are of whole cells.

        Raises:
            ConfigError: the host rounds otherwise.
        """
        if _size(scores) != (window.shape[-2] // self.stride, window.shape[-1] // self.stride):
            raise ConfigError(
                f"backbone.host: gives {scores.shape[-2]}x{scores.shape[-1]} logits for a window "
                f"of {window.shape[-2]}x{window.shape[-1]}, which is not its stride of "
                f"{self.stride}; a ResNet needs backbone.host.encoder.ceil_mode=false"
            )
        return scores

    def _attention(self, stages: Sequence[Tensor], like: Tensor) -> Tensor:
        if self.attention is None:
            return torch.full_like(like, float(self.fixed_attention or 0))
        return exact(self.attention(stages)).sigmoid()

    def _random_window(self, image: Tensor) -> tuple[slice, slice]:
        """The same for all images of a step."""
        numbers = random_step_numbers(2).tolist()
        rows, columns = (
            slice(first := offset(side - length, self.offset_multiple, number), first + length)
            for side, length, number in zip(_size(image), self._window(image), numbers)
        )
        return rows, columns

    def _window(self, image: Tensor) -> tuple[int, int]:
        height, width = (_part(self.window, side) for side in _size(image))
        return height, width

    def _slide(self, image: Tensor) -> Tensor:
        """The mean of the windows' logits, (B, C, H / stride, W / stride).

        All windows are one batch, whose statistics a teacher's batch norm takes.
        """
        height, width = self._window(image)
        tops, lefts = ([_part(corner, side) for corner in self.corners] for side in _size(image))
        places = [(top, left) for top in tops for left in lefts]
        windows = [_cut(image, top, left, height, width) for top, left in places]
        scores = self._scores(torch.cat(windows)).unflatten(0, (len(places), image.shape[0]))
        once = torch.ones_like(scores[0, :1, :1])
        total, times = scores.new_zeros(()), scores.new_zeros(())
        for part, (top, left) in zip(scores, places):
            below, right = image.shape[-2] - height - top, image.shape[-1] - width - left
            margins = [side // self.stride for side in (left, right, top, below)]
            total = total + F.pad(part, margins)
            times = times + F.pad(once, margins)
        return total / times


def fuse(
    context: Tensor, attention: Tensor, detail: Tensor, corner: tuple[int, int] | None
) -> Tensor:
    """
    Args:
        context: (B, C, h, w), logits of the image at half its size.
        attention: (B, C, h, w) in [0, 1], how much detail counts.
        detail: logits of the image, (B, C, 2h, 2w), or of a window of it.
        corner: first row and column of that window among the 2h, 2w; None where there is none.

    Returns:
        (B, C, 2h, 2w)
    """
    size = (2 * context.shape[-2], 2 * context.shape[-1])
    if corner is not None:
        (top, left), (height, width) = corner, detail.shape[-2:]
        mask = torch.zeros_like(context[:1, :1])
        mask[..., top // 2 : (top + height) // 2, left // 2 : (left + width) // 2] = 1
        attention = attention * mask
        below, right = size[0] - top - height, size[1] - left - width
        detail = F.pad(detail, (left, right, top, below))
    rest = resize((1 - attention) * context, size, align_corners=False)
    return resize(attention, size, align_corners=False) * detail + rest


def sliding(window: float, stride: float) -> tuple[Fraction, list[Fraction]]:
    """A window's side, and where windows begin along an axis, as shares of its length. The last one
    is shifted back to end where the axis ends.
    """
    if not 0 < stride <= window <= 1:
        raise ConfigError(
            f"backbone.detail_window={window}, detail_stride={stride}: shares of the image's sides;"
            " need 0 < detail_stride <= detail_window <= 1"
        )
    side, step = (Fraction(share).limit_denominator(64) for share in (window, stride))
    return side, [min(i * step, 1 - side) for i in range(math.ceil((1 - side) / step) + 1)]


def offset(margin: int, multiple: int, number: float) -> int:
    """The multiple from 0 on that a random number in [0, 1) stands for.

    The largest that would fit within the margin never occurs: the authors divide margin + 1 and
    take that as an exclusive bound.
    """
    return multiple * int(number * max((margin + 1) // multiple, 1))


def _halved(image: Tensor) -> Tensor:
    size = (image.shape[-2] // 2, image.shape[-1] // 2)
    return F.interpolate(image, size, mode="bilinear", align_corners=False)


def _cut(maps: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """As a slice would; of that one, an exporter to any size asks whether it is contiguous."""
    rows = torch.arange(height, device=maps.device) + top
    columns = torch.arange(width, device=maps.device) + left
    return maps.index_select(-2, rows).index_select(-1, columns)


def _part(share: Fraction, length: int) -> int:
    return share.numerator * length // share.denominator


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
