"""Domain discriminators and the two sides of their game."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

REAL, FAKE = 0.0, 1.0
"""AdaptSegNet's code: source 0, target 1 (its paper has them the other way round)."""


def without_idle_discriminators(weights: Mapping[str, float | None]) -> dict[str, float | None]:
    """Weights without that of a `discriminator_X` whom no `adversarial_X` means to fool."""
    return {
        name: weight
        for name, weight in weights.items()
        if weights.get(name.replace("discriminator_", "adversarial_"), weight) is not None
    }


@dataclass
class Look:
    """What a discriminator said of a fake: one pass through it, for both sides of the game."""

    fake: Tensor
    """(B, D, H, W), by whose graph the one who made it learns."""
    copy: Tensor
    """The same numbers without that graph; what the discriminator has seen."""
    scores: Tensor
    """(B, 1, h, w)."""


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

    def look(self, fake: Tensor) -> Look:
        """One pass: players step together at the end, so scores are the same for fool and judge."""
        copy = fake.detach().requires_grad_(torch.is_grad_enabled())
        return Look(fake, copy, self.discriminator(copy))

    def adversarial_loss(self, fake: Tensor | Look) -> Tensor:
        """Low when the fake is taken for real; trains whoever made it, not the discriminator."""
        look = fake if isinstance(fake, Look) else self.look(fake)
        loss = self._loss(look.scores, REAL)
        return _led(loss, [look.copy], [look.fake], again=True)

    def discriminator_loss(self, real: Tensor, fake: Tensor | Look) -> Tensor:
        """Low when the two are told apart; trains the discriminator alone. Halved, as published.

        Of one look, the adversarial loss is back-propagated first.
        """
        look = fake if isinstance(fake, Look) else self.look(fake)
        scores = self.discriminator(real.detach())
        own = [p for p in self.discriminator.parameters() if p.requires_grad]
        of_fake = _led(self._loss(look.scores, FAKE), own, own, again=False)
        right = [self._right(scores.detach(), REAL), self._right(look.scores.detach(), FAKE)]
        self.accuracy = torch.stack(right).mean()
        return (self._loss(scores, REAL) + of_fake) / 2

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


def _led(loss: Tensor, leaves: Sequence[Tensor], inputs: Sequence[Tensor], again: bool) -> Tensor:
    """A loss whose gradient reaches some leaves of its graph alone, and goes on from `inputs`.

    Autograd would send it into all of them: the adversarial loss's into the discriminator's
    weights, the discriminator's into what it has seen. Gradients of the others are not computed.

    Args:
        loss: a scalar.
        leaves: of its graph, to which the gradient is computed.
        inputs: as many, in whose place they stand.
        again: whether another loss of the same graph is still to be back-propagated.
    """
    value: Tensor = _Led.apply((loss, leaves, again), *inputs)
    return value


class _Led(Function):
    @staticmethod
    def forward(ctx: Any, hidden: tuple[Tensor, Sequence[Tensor], bool], *inputs: Tensor) -> Tensor:
        ctx.hidden = hidden  # in a tuple, lest autograd takes its graph for a part of this one
        return hidden[0].detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        loss, leaves, again = ctx.hidden
        gradients = torch.autograd.grad(
            loss, leaves, gradient, retain_graph=again, allow_unused=True
        )
        return None, *gradients
