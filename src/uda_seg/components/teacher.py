"""A network that no longer learns and guides one that does."""

import copy

import torch
from torch import Tensor, nn

from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.prediction import Prediction


class FrozenTeacher(nn.Module):
    """A copy of a network as it is now; always in evaluation mode, without gradients.

    Made when a method is built, it holds the encoder's ImageNet weights: weights that a run starts
    from (`initial=`) are loaded later, into the network alone.
    """

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "FrozenTeacher":
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Prediction:
        """(B, 3, H, W) in [0, 1]; of the answer, only the features mean anything."""
        return self.network(image, "target")
