"""What is exported: RGB in [0, 1] in, logits or classes at the image's size out, and its graph."""

import math

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from uda_seg.errors import ConfigError
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.portable import portable

ANSWERS = ("logits", "classes")
INPUT = "image"
LARGEST = {"batch": 1024, "height": 16384, "width": 16384}
"""Ours: what the graph promises to take; memory ends before."""
AXES = {0: "batch", 2: "height", 3: "width"}
"""Axes of the input whose length is free."""


class Deployed(nn.Module):
    """
    Args:
        network: stays as it is.
        answer: "logits", or "classes" for the ids of the highest ones.
    """

    def __init__(self, network: SegmentationNetwork, answer: str) -> None:
        super().__init__()
        self.network = portable(network)
        self.answer = answer

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in [0, 1] to logits (B, C, H, W), or classes (B, H, W) uint8."""
        logits = self.network(image, domain="target").logits
        return logits if self.answer == "logits" else logits.argmax(1).to(torch.uint8)


def trace(network: SegmentationNetwork, answer: str, name: str) -> ExportedProgram:
    """The network's graph, for any batch, height and width within the limits above.

    Args:
        network: with its weights.
        answer: one of `ANSWERS`.
        name: of the backbone, for the message.

    Raises:
        ConfigError: the network does something that depends on Python or on one size of images.
    """
    least = {"batch": 1, "height": network.smallest_side, "width": network.smallest_side}
    free = {axis: Dim(word, min=least[word], max=LARGEST[word]) for axis, word in AXES.items()}
    # Multiples of 8 that are neither equal nor powers of two.
    times = math.ceil(network.smallest_side / 72)
    example = torch.rand(2, 3, 72 * times, 104 * times)
    try:
        with torch.no_grad():
            program = torch.export.export(
                Deployed(network, answer).eval(),
                (example,),
                dynamic_shapes={INPUT: free},
                strict=False,
            )
    except Exception as error:  # torch.export lets through what the network and its tracing raise
        raise ConfigError(
            f"backbone={name}: cannot be exported for images of any size. torch.export says: "
            f"{type(error).__name__}: {error}"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program
