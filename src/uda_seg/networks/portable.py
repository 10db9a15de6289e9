"""A network in layers that exporters understand at any image size, with one answer."""

import copy

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame
from torch import Tensor, nn

from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.dilated import undo
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
    if hasattr(twin, "memory_format"):
        twin.memory_format = torch.contiguous_format
    twin.to(memory_format=torch.contiguous_format)
    undo(twin)  # reshaping by parts makes a long graph, and is of use to oneDNN alone
    for layer in twin.modules():
        if type(layer) is PyramidPooling:
            layer.__class__ = PyramidOfProducts
        elif type(layer) is Conv2dSame:
            layer.__class__ = PaddedBySize
    return twin


class PyramidOfProducts(PyramidPooling):
    """ONNX has no adaptive pooling: the means over a grid's cells as two products of matrices."""

    def pool(self, features: Tensor, cells: int) -> Tensor:
        rows, columns = (shares(length, cells, features) for length in features.shape[-2:])
        return rows @ features @ columns.T


class PaddedBySize(nn.Conv2d):
    """TensorFlow's padding: as much as gives ceil(size / stride) places, the odd one at the end.

    timm's layer reckons it with a division of floats, which a .pt2 cannot hold.
    """

    def forward(self, image: Tensor) -> Tensor:
        top, left = (self._padding(axis, image.shape[2 + axis]) for axis in (0, 1))
        image = F.pad(image, (left // 2, left - left // 2, top // 2, top - top // 2))
        return F.conv2d(image, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding(self, axis: int, length: int) -> int:
        kernel, dilation = self.kernel_size[axis], self.dilation[axis]
        margin = dilation * (kernel - 1) + 1 - self.stride[axis]
        padding = -length % self.stride[axis] + margin
        return padding if margin >= 0 else torch.sym_max(padding, 0)


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
