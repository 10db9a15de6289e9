"""Stops a run whose losses are no longer numbers, and says what is known about it."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from uda_seg.errors import UserError

MOST_OVERFLOWS = 32
"""Steps in a row that a gradient scaler may leave out; its scale falls by 2^32 meanwhile."""

SHOWN = 5
"""Latest finite values of a loss in the diagnosis."""


class FiniteLosses(Callback):
    """Looks at `module.last_losses` after every step.

    They are losses before any scale, so that none may be infinite in half precision either: a step
    that the gradient scaler leaves out has infinite gradients, not infinite losses.

    Args:
        every: steps between two looks where a look makes the CPU wait for an accelerator; losses
            of the steps between are kept on the device, so the message names the right step. On
            a CPU every step is looked at.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.unread: list[tuple[int, dict[str, Tensor]]] = []
        self.finite: dict[str, deque[float]] = {}

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        losses = {name: loss.detach() for name, loss in module.last_losses.items()}
        self.unread.append((trainer.global_step, losses))
        on_cpu = all(loss.device.type == "cpu" for loss in losses.values())
        if on_cpu or len(self.unread) >= self.every:
            self.read(trainer, module)
        if module.overflows >= MOST_OVERFLOWS:
            raise UserError(
                f"gradients overflowed at step {trainer.global_step} and at the "
                f"{module.overflows - 1} before, whatever the loss scale was: the run was stopped; "
                "choose trainer.precision=bf16-mixed or 32-true"
            )

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        """Broken weights are not scored."""
        self.read(trainer, module)

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: Any) -> None:
        """Broken weights never replace sound ones."""
        self.read(trainer, module)

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        self.read(trainer, module)

    def read(self, trainer: Trainer, module: Any) -> None:
        """Looks at the steps since the last look.

        Raises:
            UserError: a loss is NaN or infinite.
        """
        unread, self.unread = self.unread, []
        for step, losses in unread:
            if not losses:
                continue
            values = torch.stack([loss.float() for loss in losses.values()]).cpu()
            bad = [
                name for name, ok in zip(losses, values.isfinite().tolist(), strict=True) if not ok
            ]
            if bad:
                numbers = dict(zip(losses, values.tolist(), strict=True))
                raise UserError(self.diagnosis(trainer, module, step, numbers, bad))
            for name, value in zip(losses, values.tolist(), strict=True):
                self.finite.setdefault(name, deque(maxlen=SHOWN)).append(value)

    def diagnosis(
        self,
        trainer: Trainer,
        module: nn.Module,
        step: int,
        numbers: dict[str, float],
        bad: list[str],
    ) -> str:
        lines = [f"the loss is not finite at step {step}: training was stopped"]
        for name in bad:
            before = ", ".join(f"{value:.4g}" for value in self.finite.get(name, ())) or "none"
            lines.append(f"  {name} is {numbers[name]}; its last finite values: {before}")
        lines += [f"  {name} is {numbers[name]:.4g}" for name in numbers if name not in bad]
        lines += [f"  {line}" for line in learning_rates(trainer)]
        lines += [f"  {line}" for line in weights(module)]
        lines.append(
            "  try a lower learning rate (backbone.optimizer.lr=), shorter gradients "
            "(trainer.clip_norm=1), or trainer.precision=32-true"
        )
        return "\n".join(lines)


def learning_rates(trainer: Trainer) -> Iterator[str]:
    """Highest learning rate of each player."""
    rates: dict[str, float] = {}
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            player = str(group.get("player", "network"))
            rates[player] = max(rates.get(player, 0.0), float(group["lr"]))
    if rates:
        yield "learning rate: " + ", ".join(f"{name} {rate:.3g}" for name, rate in rates.items())


def weights(module: nn.Module) -> Iterator[str]:
    """Which parameters and gradients are broken, and the largest gradient that is not."""
    parameters = [(name, p.detach()) for name, p in module.named_parameters()]
    gradients = [(name, p.grad) for name, p in module.named_parameters() if p.grad is not None]
    for what, tensors in (("parameters", parameters), ("gradients", gradients)):
        broken = [name for name, tensor in tensors if not tensor.isfinite().all()]
        if broken:
            yield f"{len(broken)} of {len(tensors)} {what} are not finite, {broken[0]} first"
    sound = [
        (float(g.abs().max()), name) for name, g in gradients if g.isfinite().all() and g.numel()
    ]
    if sound:
        size, name = max(sound)
        yield f"largest finite gradient: {size:.4g} in {name}"
