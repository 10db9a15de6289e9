"""What a segmentation network answers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from uda_seg.errors import ConfigError


@dataclass
class Detail:
    """What a network of two resolutions says of a part of the image alone."""

    logits: Tensor
    """(B, C, h, w) at the part's size."""
    rows: slice
    columns: slice

    def of(self, maps: Tensor) -> Tensor:
        """That part of maps of the image's size, (…, H, W) to (…, h, w)."""
        return maps[..., self.rows, self.columns]


@dataclass
class Prediction:
    """All but the features have 32 bits at least, in mixed precision too: bfloat16 rounds 0.999 to
    1, and what losses make of 1 - p then is nothing, or everything.
    """

    logits: Tensor
    """(B, C, H, W) at the image's size."""
    features: Tensor
    """(B, D, h, w), the deepest map, just before the classifier."""
    auxiliary: Tensor | Callable[[], Tensor] | None = None
    """`auxiliary_logits`, or what makes them: most methods do not ask for them."""
    depth: Tensor | None = None
    """(B, 1, H, W) in [0, 1], inverse depth, when the network has a depth head. Bounded: what a
    discriminator sees must not run away."""
    detail: Detail | None = None
    """In training mode, of a network that looks at a random part of the image more closely."""
    small_logits: Tensor | None = None
    """(B, C, h, w), the logits before they were enlarged, by a network that shows them."""

    def __post_init__(self) -> None:
        self.logits = exact(self.logits)
        if self.depth is not None:
            self.depth = exact(self.depth)
        if self.small_logits is not None:
            self.small_logits = exact(self.small_logits)

    @property
    def smallest_logits(self) -> Tensor:
        """`small_logits`, or else `logits`."""
        return self.logits if self.small_logits is None else self.small_logits

    @cached_property
    def auxiliary_logits(self) -> Tensor | None:
        """(B, C, H, W) from an earlier stage, when the network has an auxiliary head."""
        maps = self.auxiliary() if callable(self.auxiliary) else self.auxiliary
        return None if maps is None else exact(maps)

    def required(self, name: str, instead: str) -> Tensor:
        """`auxiliary_logits` or `depth`, for a method that cannot do without.

        Args:
            name: of the attribute.
            instead: how the method does without, for the message.

        Raises:
            ConfigError: the network has no such head.
        """
        maps: Tensor | None = getattr(self, name)
        if maps is None:
            head = name.removesuffix("_logits")
            raise ConfigError(
                f"backbone: this network has no {head} head; choose one that has, or {instead}"
            )
        return maps


def exact(maps: Tensor) -> Tensor:
    """In 32 bits at least."""
    return maps.float() if maps.dtype in (torch.bfloat16, torch.float16) else maps
