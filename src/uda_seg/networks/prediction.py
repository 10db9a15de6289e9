"""What a segmentation network answers."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Prediction:
    logits: Tensor
    """(B, C, H, W) at the image's size."""
    features: Tensor
    """(B, D, h, w), the deepest map, just before the classifier."""
    auxiliary_logits: Tensor | None = None
    """(B, C, H, W) from an earlier stage, when the network has an auxiliary head."""
    depth: Tensor | None = None
    """(B, 1, H, W) in [0, 1], inverse depth, when the network has a depth head. Bounded: what a
    discriminator sees must not run away."""
