"""Several processes: the gradients of a step are averaged once, whatever its backward passes.

Torch's reducer averages after every backward pass, all players' gradients each time (zeros for
those that the pass did not touch), and searches the graph for those: three passes are nine
collectives and three times the bytes. It lets a pass begin to send while it still computes, which
can be worth more where the network between the devices is slow: trainer.strategy has it too.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from lightning import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor


class AveragingOnce(DDPStrategy):
    """Lightning's processes without torch's reducer: `Adaptation` averages before it steps."""

    def configure_ddp(self) -> None:
        """All processes begin with the first one's weights and buffers."""
        share([*self._module().parameters(), *self._module().buffers()])

    def training_step(self, *arguments: Any, **named: Any) -> STEP_OUTPUT:
        """Shares batch norm's statistics after the step: all processes score what is saved.

        With torch's reducer they go their own ways, since under manual optimization Lightning
        leaves out the broadcast after the first step.
        """
        output = super().training_step(*arguments, **named)
        share(self._module().buffers())
        return output

    def _module(self) -> LightningModule:
        assert self.lightning_module is not None
        return self.lightning_module


@torch.no_grad()
def share(tensors: Iterable[Tensor]) -> None:
    """Every process gets the first one's: a broadcast for each kind of number there is."""
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    for same in kinds.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in same])
        dist.broadcast(flat, 0)
        for tensor, part in zip(same, flat.split([t.numel() for t in same]), strict=True):
            tensor.copy_(part.view(tensor.shape))


@torch.no_grad()
def average(parameters: Sequence[Tensor]) -> None:
    """Makes each gradient the mean of all processes', in one all-reduce.

    A gradient that some processes lack counts as zero there; one that none has stays None. Who has
    which travels along, a number for each parameter behind the gradients.
    """
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    if not learning:
        return
    has = torch.tensor([p.grad is not None for p in learning], dtype=torch.float32)
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in learning]
    flat = torch.cat([*(part.reshape(-1) for part in parts), has.to(parts[0].device)])
    del parts
    flat /= dist.get_world_size()
    dist.all_reduce(flat)
    *means, someone = flat.split([*(p.numel() for p in learning), len(learning)])
    # Only who lacks one has to look, and to wait for its GPU.
    wanted = has.bool() if has.all() else someone.cpu() > 0
    for parameter, mean, counts in zip(learning, means, wanted.tolist(), strict=True):
        if not counts:
            continue
        if parameter.grad is None:
            parameter.grad = torch.empty_like(parameter)
        parameter.grad.copy_(mean.view(parameter.shape))
