"""A network in layers that exporters understand at any image size, with one answer."""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.cpu_layers import ByDevice, undo
from uda_seg.networks.pspnet import PyramidPooling

ONLY_FOR_TRAINING = ("auxiliary_head", "depth_head")
"""Heads that the logits do not depend on; a network may have them."""


def portable(network: SegmentationNetwork) -> SegmentationNetwork:
    """A copy in evaluation mode that gives the same logits, up to rounding; the network stays."""
    twin = copy.deepcopy(network).eval()
    twin.set_batch_norm("frozen")  # statistics are used, and nothing switches while it is traced
    twin.requires_grad_(False)
    for name in ONLY_FOR_TRAINING:
        if getattr(twin, name, None) is not None:
            setattr(twin, name, None)
    for part in twin.modules():
        if isinstance(part, ByDevice):
            part.channels_last = False
    twin.arrange()
    undo(twin)  # exporters know the plain layers
    for layer in twin.modules():
        if type(layer) is PyramidPooling:
            layer.__class__ = PyramidOfProducts
        elif type(layer) is Conv2dSame:
            layer.__class__ = PaddedBySize
        elif type(layer) is nn.MaxPool2d and RoundedUp.fits(layer):
            layer.__class__ = RoundedUp
    return twin


class PyramidOfProducts(PyramidPooling):
    """ONNX has no adaptive pooling: the means over a grid's cells as two products of matrices."""

    def pool(self, features: Tensor, cells: int) -> Tensor:
        rows, columns = (shares(length, cells, features) for length in features.shape[-2:])
        maps = features.flatten(0, 1)  # `@` would fold and unfold them by rules about sizes
        rows, columns = (share.expand(maps.shape[0], -1, -1) for share in (rows, columns))
        pooled = torch.bmm(torch.bmm(rows, maps), columns.mT)
        return pooled.unflatten(0, features.shape[:2])


class PaddedBySize(nn.Conv2d):
    """TensorFlow's padding: as much as gives ceil(size / stride) places, the odd one at the end.

    timm's layer reckons it with a division of floats, which a .pt2 cannot hold. Here the end may
    get more, which no place sees: the padded size then has no remainder of a division in it, and a
    graph of many such layers is made sooner.
    """

    def forward(self, image: Tensor) -> Tensor:
        (top, below), (left, right) = (
            self._padding(axis, image.shape[2 + axis]) for axis in (0, 1)
        )
        image = F.pad(image, (left, right, top, below))
        return F.conv2d(image, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding(self, axis: int, length: int) -> Any:
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1)
        margin = reach + 1 - self.stride[axis]
        padding = -length % self.stride[axis] + margin
        before = (padding if margin >= 0 else torch.sym_max(padding, 0)) // 2
        return before, reach - before


class RoundedUp(nn.MaxPool2d):
    """Max-pooling with `ceil_mode`, as pooling of a padded map: PyTorch's own asks, in Python,
    whether a size is even.
    """

    @staticmethod
    def fits(layer: nn.MaxPool2d) -> bool:
        """Whether it rounds up, and no window can lie in the padding alone: that one is dropped."""
        kernel, stride, padding = _numbers(layer)
        whole = all(isinstance(number, int) for number in (kernel, stride, padding))
        return layer.ceil_mode and whole and layer.dilation == 1 and stride - 1 < kernel - padding

    def forward(self, image: Tensor) -> Tensor:
        kernel, stride, padding = _numbers(self)
        first, last = padding, padding + stride - 1
        padded = F.pad(image, (first, last, first, last), value=-torch.inf)
        return F.max_pool2d(padded, kernel, stride)


def _numbers(layer: nn.MaxPool2d) -> Any:
    """Its kernel, stride and padding."""
    return layer.kernel_size, layer.stride, layer.padding


def shares(length: int, cells: int, like: Tensor) -> Tensor:
    """(cells, length): by how much each place counts in each cell's mean, as in
    `F.adaptive_avg_pool2d`: cell i holds the places from floor(i · length / cells) to
    ceil((i + 1) · length / cells).
    """
    place = torch.arange(length, device=like.device)
    cell = torch.arange(cells, device=like.device)[:, None]
    start = cell * length // cells
    end = ((cell + 1) * length + cells - 1) // cells
    inside = (place >= start) & (place < end)
    return inside.to(like.dtype) / (end - start).to(like.dtype)
