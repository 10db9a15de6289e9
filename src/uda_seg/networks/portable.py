"""A network in layers that exporters understand at any image size, with one answer."""

import copy

import torch
from torch import Tensor

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
    undo(twin)  # reshaping by parts makes a long graph, and is of use to oneDNN alone
    for layer in twin.modules():
        if type(layer) is PyramidPooling:
            layer.__class__ = PyramidOfProducts
    return twin


class PyramidOfProducts(PyramidPooling):
    """ONNX has no adaptive pooling: the means over a grid's cells as two products of matrices."""

    def pool(self, features: Tensor, cells: int) -> Tensor:
        rows, columns = (shares(length, cells, features) for length in features.shape[-2:])
        return rows @ features @ columns.T


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
