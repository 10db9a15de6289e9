"""Optimizers that step as one, and how their learning rates fall."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LambdaLR

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]


class JointOptimizer(Optimizer):
    """Several optimizers that step as one, so that one batch is one `global_step`.

    Lightning counts a step per optimizer: under `max_steps`, a method with a discriminator would
    see half the batches that one without does (pytorch-lightning issue 17958).

    Args:
        optimizers: by player.
        repeated: weights that a step updates several times, and how often.

    Attributes:
        steps: how often the players were stepped by this process; a gradient scaler leaves a step
            out, of all players, where a gradient of any overflowed.
    """

    def __init__(
        self,
        optimizers: Mapping[str, Optimizer],
        repeated: Mapping[nn.Parameter, int] | None = None,
    ) -> None:
        self.optimizers, self.repeated = dict(optimizers), dict(repeated or {})
        self.steps = 0
        super().__init__([{"params": []}], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """Holds the players' own dicts: a rate set here is a rate set there."""
        self.param_groups = []
        for player, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["player"] = player
                self.param_groups.append(group)

    def step(self, closure: Callable[[], Tensor] | None = None) -> None:  # type: ignore[override]
        if closure is not None:
            closure()
        for optimizer in self.optimizers.values():
            step_repeatedly(optimizer, self.repeated)
        self.steps += 1

    def zero_grad(self, set_to_none: bool = True) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        return {player: optimizer.state_dict() for player, optimizer in self.optimizers.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for player, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state_dict[player])
            for weight, state in optimizer.state.items():
                for name, value in state.items():  # torch's fused kernels go by memory's order
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)
        self._share_groups()

    def clip(self, norm: float) -> None:
        """Shortens each player's gradient to `norm`; players do not dampen one another."""
        for parameters in self.parameters():
            nn.utils.clip_grad_norm_(parameters, norm)

    def parameters(self) -> Iterator[list[nn.Parameter]]:
        """Of each player."""
        for optimizer in self.optimizers.values():
            yield [p for group in optimizer.param_groups for p in group["params"]]


def step_repeatedly(optimizer: Optimizer, repeated: Mapping[nn.Parameter, int]) -> None:
    """A step that updates some weights several times with one gradient, one after the other.

    It computes what torch's single-tensor loop does for a weight that stands several times in its
    groups: state and weight decay are those that the update before left behind. Torch warns of
    such duplicates, and its multi-tensor kernels would race. Of SGD's loop one thing is peculiar:
    it looks for momentum before the first update, so a weight that has none yet gets a fresh buffer
    at each, of which the last one stays.
    """
    every = [p for group in optimizer.param_groups for p in group["params"]]
    again = {p: repeated[p] for p in every if p in repeated and p.grad is not None}
    sgd = isinstance(optimizer, SGD)
    new = {p for p in again if sgd and optimizer.state.get(p, {}).get("momentum_buffer") is None}
    begin_momentum(optimizer)
    optimizer.step()
    for time in range(2, max(again.values(), default=1) + 1):
        now = {p for p, times in again.items() if times >= time}
        for parameter in now & new:
            optimizer.state.pop(parameter, None)
        with _only(optimizer, now):
            optimizer.step()


def begin_momentum(optimizer: Optimizer) -> None:
    """Zeros for weights of a fused SGD whose first gradient comes later than others'.

    Torch's fused SGD only takes none or all. Without dampening, zeros lead to the same.
    """
    if not isinstance(optimizer, SGD):
        return
    for group in optimizer.param_groups:
        if not (group.get("fused") and group["momentum"]):
            continue
        now = [p for p in group["params"] if p.grad is not None]
        new = [p for p in now if optimizer.state[p].get("momentum_buffer") is None]
        for parameter in new if len(new) < len(now) else []:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


@contextmanager
def _only(optimizer: Optimizer, parameters: Set[nn.Parameter]) -> Iterator[None]:
    """The optimizer has no other parameters meanwhile."""
    kept = [(group, group["params"]) for group in optimizer.param_groups]
    for group, own in kept:
        group["params"] = [p for p in own if p in parameters]
    try:
        yield
    finally:
        for group, own in kept:
            group["params"] = own


def make_optimizer(player: nn.Module, factory: OptimizerFactory) -> Optimizer:
    """A player's optimizer over its own groups (say a faster head) or all that is trainable.

    A group's "factor" multiplies the learning rate.
    """
    own_groups: Any = getattr(player, "parameter_groups", None)
    if own_groups is None:
        return factory([p for p in player.parameters() if p.requires_grad])
    optimizer = factory(own_groups())
    for group in optimizer.param_groups:
        group["lr"] *= group.pop("factor", 1.0)
    return optimizer


def linear_rise(step: int, steps: int) -> float:
    """The share of its rate that a step learns at which is one of the first `steps`."""
    return (step + 1) / (steps + 1)


def mmcv_rise(step: int, steps: int) -> float:
    """As mmcv's linear warm-up of ratio 1e-6 has it, with which DAFormer, HRDA and MIC train."""
    return 1 - (1 - step / steps) * (1 - 1e-6)


def vfm_rise(step: int, steps: int) -> float:
    """As VFM-UDA has it: evenly from 1e-3 at the first to 1 at the last of the steps."""
    return 1e-3 + (1 - 1e-3) * step / max(steps - 1, 1)


RISES = {"linear": linear_rise, "mmcv": mmcv_rise, "vfm": vfm_rise}


def polynomial(
    optimizer: Optimizer, total: int, power: float, warm_up: int, rise: str = "linear"
) -> LambdaLR:
    """Learning rates times (1 - step / total) ^ power, times a rise in the first `warm_up` steps.

    VFM-UDA's rise stands alone: rates do not fall meanwhile, and drop to where they would be when
    it ends. `rise` has a default for configs that are older than the key.
    """

    def factor(step: int) -> float:
        fall = max(0.0, 1 - step / total) ** power
        if step >= warm_up:
            return fall
        return RISES[rise](step, warm_up) * (1.0 if rise == "vfm" else fall)

    return LambdaLR(optimizer, factor)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Makes every random number of a step a function of (seed, step, rank)."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))
