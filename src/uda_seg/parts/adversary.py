"""Domain discriminators and the two sides of their game."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REAL, FAKE = 0.0, 1.0
"""AdaptSegNet's code: source 0, target 1 (its paper has them the other way round)."""


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Graphs built inside send no gradient into the module's parameters."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


class Adversary(nn.Module):
    """A critic that tells real from fake, and the loss for fooling it.

    In output space the source prediction is real and the target's is fake.

    Args:
        critic: maps (B, D, H, W) to scores (B, 1, h, w).
        gan: "vanilla" (binary cross-entropy on logits) or "ls" (squared error on raw scores;
            Mao et al., LSGAN, ICCV 2017).
    """

    def __init__(self, critic: nn.Module, gan: str) -> None:
        super().__init__()
        if gan not in ("vanilla", "ls"):
            raise ValueError(f"gan: {gan!r} is unknown; choose from vanilla, ls")
        self.critic, self.gan = critic, gan

    def fool(self, fake: Tensor) -> Tensor:
        """Low when the fake is taken for real; trains whoever made it, not the critic."""
        with frozen(self.critic):
            return self._loss(fake, REAL)

    def judge(self, real: Tensor, fake: Tensor) -> Tensor:
        """Low when the two are told apart; trains the critic alone. Halved, as published."""
        return (self._loss(real.detach(), REAL) + self._loss(fake.detach(), FAKE)) / 2

    @torch.no_grad()
    def fakeness(self, inputs: Tensor) -> Tensor:
        """(B, 1, h, w) in [0, 1]: how surely the critic takes each place for the target's."""
        scores = self.critic(inputs)
        return scores.sigmoid() if self.gan == "vanilla" else scores.clamp(0, 1)

    def _loss(self, inputs: Tensor, answer: float) -> Tensor:
        scores = self.critic(inputs)
        wanted = torch.full_like(scores, answer)
        if self.gan == "ls":
            return F.mse_loss(scores, wanted)
        return F.binary_cross_entropy_with_logits(scores, wanted)
