"""Domain discriminators and the two sides of their game."""

from collections.abc import Iterator, Mapping
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


def without_idle_discriminators(weights: Mapping[str, float | None]) -> dict[str, float | None]:
    """Weights without that of a `discriminator_X` whom no `adversarial_X` means to fool."""
    return {
        name: weight
        for name, weight in weights.items()
        if weights.get(name.replace("discriminator_", "adversarial_"), weight) is not None
    }


class Adversary(nn.Module):
    """A discriminator that tells real from fake, and the losses of the two sides.

    In output space the source prediction is real and the target's is fake.

    Args:
        discriminator: maps (B, D, H, W) to scores (B, 1, h, w).
        gan: "vanilla" (binary cross-entropy on logits) or "ls" (squared error on raw scores;
            Mao et al., LSGAN, ICCV 2017).

    Attributes:
        accuracy: share of places, half of them real, that the discriminator got right in its latest
            loss; 0.5 is chance. None before.
    """

    def __init__(self, discriminator: nn.Module, gan: str) -> None:
        super().__init__()
        if gan not in ("vanilla", "ls"):
            raise ValueError(f"gan: {gan!r} is unknown; choose from vanilla, ls")
        self.discriminator, self.gan = discriminator, gan
        self.accuracy: Tensor | None = None

    def adversarial_loss(self, fake: Tensor) -> Tensor:
        """Low when the fake is taken for real; trains whoever made it, not the discriminator."""
        with frozen(self.discriminator):
            return self._loss(self.discriminator(fake), REAL)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Low when the two are told apart; trains the discriminator alone. Halved, as published."""
        losses, right = [], []
        for inputs, answer in ((real, REAL), (fake, FAKE)):
            scores = self.discriminator(inputs.detach())
            losses.append(self._loss(scores, answer))
            right.append(self._right(scores.detach(), answer))
        self.accuracy = torch.stack(right).mean()
        return (losses[0] + losses[1]) / 2

    @torch.no_grad()
    def fakeness(self, inputs: Tensor) -> Tensor:
        """(B, 1, h, w) in [0, 1]: how surely each place is taken for the target's."""
        scores = self.discriminator(inputs)
        return scores.sigmoid() if self.gan == "vanilla" else scores.clamp(0, 1)

    def _right(self, scores: Tensor, answer: float) -> Tensor:
        """Share of places on the answer's side: of 0 for logits, of 0.5 for raw scores."""
        fake = scores > (0.5 if self.gan == "ls" else 0)
        return (fake if answer == FAKE else ~fake).float().mean()

    def _loss(self, scores: Tensor, answer: float) -> Tensor:
        wanted = torch.full_like(scores, answer)
        if self.gan == "ls":
            return F.mse_loss(scores, wanted)
        return F.binary_cross_entropy_with_logits(scores, wanted)
