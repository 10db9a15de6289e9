"""What a segmentation network answers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from uda_seg.errors import ConfigError
from uda_seg.networks.resizing import Small


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


class Prediction:
    """All but the features have 32 bits at least, in mixed precision too: bfloat16 rounds 0.999 to
    1, and what losses make of 1 - p then is nothing, or everything.

    Args:
        logits: (B, C, H, W) at the image's size, or smaller ones, which are enlarged once somebody
            asks for them.
        features: (B, D, h, w), the deepest map, just before the classifier.
        auxiliary: `auxiliary_logits`, or what makes them: most methods do not ask for them.
        depth: (B, 1, H, W) in [0, 1], inverse depth, when the network has a depth head. Bounded:
            what a discriminator sees must not run away.
        detail: in training mode, of a network that looks at a random part of the image more
            closely.
    """

    def __init__(
        self,
        logits: Tensor | Small,
        features: Tensor,
        auxiliary: Tensor | Callable[[], Tensor] | None = None,
        depth: Tensor | None = None,
        detail: Detail | None = None,
    ) -> None:
        self._logits, self._learns = logits, torch.is_grad_enabled()
        self.features, self.auxiliary, self.detail = features, auxiliary, detail
        self.depth = None if depth is None else exact(depth)

    @property
    def small(self) -> Small | None:
        """What `logits` are enlarged from, of a network that shows it."""
        if not isinstance(self._logits, Small):
            return None
        return replace(self._logits, maps=exact(self._logits.maps))

    @property
    def smallest_logits(self) -> Tensor:
        """(B, C, h, w), those of `small`, or else `logits`."""
        return self.logits if self.small is None else self.small.maps

    @cached_property
    def logits(self) -> Tensor:
        """(B, C, H, W) at the image's size."""
        with torch.set_grad_enabled(self._learns):
            given = self._logits
            return exact(given.enlarged() if isinstance(given, Small) else given)

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
