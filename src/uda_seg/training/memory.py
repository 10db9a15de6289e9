"""What a training step needs of a device's memory, known before the first one.

The method's own losses, backward passes and optimizers run on fake tensors, which have shapes and
no values, and a ledger adds up the storages that live: seconds, and no memory. What hangs on values
is answered with the most that there could be. Left out are what a device adds by itself (some
hundred MiB on a GPU), the workspaces of a GPU's kernels, and what its allocator cannot use.
"""

import copy
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.batch import Batch, Source, Target
from uda_seg.components import image_columns, regions, vertical_order
from uda_seg.config import needed_by
from uda_seg.data.cache.stores import free_memory
from uda_seg.methods.base import Method
from uda_seg.networks import cpu_layers, resizing
from uda_seg.runs.identity import device_count
from uda_seg.training.adaptation import Adaptation, pieces
from uda_seg.training.ledger import Ledger
from uda_seg.training.setup import make_adaptation

log = logging.getLogger(__name__)

GIB = 2**30


@dataclass(frozen=True)
class Need:
    """Bytes of a step.

    Attributes:
        weights: of all networks, teachers and buffers included.
        optimizer: its states.
        gradients: of what is trained.
        most: that live at once.
        missing: why a part of the step is not in `most`; None if all is.
    """

    weights: int
    optimizer: int
    gradients: int
    most: int
    missing: str | None = None

    def __str__(self) -> str:
        activations = self.most - self.weights - self.optimizer - self.gradients
        parts = {"weights": self.weights, "optimizer": self.optimizer, "gradients": self.gradients}
        parts["activations"] = max(activations, 0)
        listed = ", ".join(f"{name} {size / GIB:.2g}" for name, size in parts.items())
        kind = "about" if self.missing is None else "at least"
        return f"{kind} {self.most / GIB:.2g} GiB ({listed})"


@contextmanager
def _in_place_of_values() -> Iterator[None]:
    """Nothing fake is kept for later, regions are as large as they are on average, and columns are
    of one class.
    """
    uncached = resizing.shares.__wrapped__
    with (
        mock.patch.object(resizing, "shares", uncached),
        mock.patch.object(regions, "gather", _spread_evenly),
        mock.patch.object(vertical_order, "source_columns", _of_one_class),
        mock.patch.object(vertical_order, "pack_padded_sequence", lambda rows, *_, **__: rows),
        mock.patch.object(vertical_order, "pad_packed_sequence", lambda rows, **_: (rows, None)),
    ):
        yield


def _spread_evenly(numbers: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`regions.gather` where all regions are as large."""
    shape = (count, -(-numbers.numel() // count))
    return torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool)


def _of_one_class(
    label: Tensor, window: Tensor | None, columns: int, segments: int
) -> image_columns.Columns:
    """`image_columns.source_columns`, each of equal pieces."""
    height, width = label.shape[1:]
    shape = (len(label) * min(columns, width), math.ceil((segments * height / width) ** 0.5))
    numbers = torch.zeros(shape, dtype=torch.long)
    return image_columns.Columns(numbers, numbers.float(), numbers[:, 0], numbers)


def estimate(
    method: Method, config: Mapping[str, Any], watching: AbstractContextManager | None = None
) -> Need:
    """What a step of this config needs.

    Args:
        method: as the config makes it, whatever its weights; it stays as it is.
        config: of the run, resolved. Its images are those of `augment.crop`, or else `size`.
        watching: entered while the step runs, such as what counts its operations.

    """
    fake, ledger = _fake(), Ledger(_on_cpu(config["trainer"]))
    twin = _without_values(method, fake, ledger)
    weights = ledger.live
    if not _on_cpu(config["trainer"]):
        cpu_layers.undo(twin)
    settings = {**config["trainer"], "compile": [], "fused": False}  # fake tensors know neither
    module = make_adaptation(dict(config), twin, list(method.network.class_names), (), settings)
    optimizer = module.configure_optimizers()["optimizer"]
    with fake, ledger:
        trained = {w for group in optimizer.param_groups for w in group["params"]}
        gradients = sum(w.numel() * w.element_size() for w in trained if w.requires_grad)
        for weight in trained:  # a first update makes the optimizers' states
            weight.grad = torch.empty_like(weight) if weight.requires_grad else None
        optimizer.step()
        optimizer.zero_grad()
        states = ledger.live - weights
        batch = example_batch(config, twin)
        ledger.most = ledger.live
        with _in_place_of_values(), watching or nullcontext():
            missing = _why_not(run_step, module, optimizer, batch, config["trainer"]["precision"])
        several = device_count(config["trainer"]["devices"]) * config["trainer"]["num_nodes"] > 1
        return Need(weights, states, gradients, ledger.most + several * gradients, missing)


def _why_not(run: Callable[..., None], *arguments: Any) -> str | None:
    """What it fails of: a method may look at values, which nobody knows here."""
    try:
        run(*arguments)
    except Exception as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return None


def run_step(module: Adaptation, optimizer: Any, batch: Batch, precision: str) -> None:
    """As `Adaptation.training_step`, with the first two pieces of a batch: others are as large as
    the second.
    """
    accumulate = min(module.accumulate, 2)
    module.method.train()
    with _autocast(precision):
        for piece in pieces(batch, accumulate):
            for losses in module.method.losses(piece):
                objective = module.objective(losses) / accumulate
                if objective.requires_grad:
                    objective.backward()
    optimizer.step()
    module.method.after_step()


def example_batch(config: Mapping[str, Any], method: Method) -> Batch:
    """Of the shapes of a run's, or of two pieces of one; all labels are 0."""
    settings, needs = config["trainer"], needed_by(config["method"])
    accumulate = settings["accumulate"]
    count = settings["batch_size"] // accumulate * min(accumulate, 2)

    def image(domain: Mapping[str, Any]) -> Tensor:
        return torch.rand(count, 3, *(domain["augment"]["crop"] or domain["size"]))

    labelled = config["target" if method.supervised_by == "target" else "source"]
    source, target = image(labelled), image(config["target"])
    if not method.reads_target:
        target = target[..., :0, :0]
    window = torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(count, 1)
    cells = torch.zeros(count, *target.shape[-2:], dtype=torch.long)
    return Batch(
        Source(
            source,
            torch.zeros(count, *source.shape[-2:], dtype=torch.long),
            depth=torch.ones_like(source[:, :1]) if "source.depth" in needs else None,
            window=window,
        ),
        Target(
            target,
            window=window,
            superpixels=cells if "target.superpixels" in needs else None,
            index=torch.arange(count),
        ),
    )


def say_need(method: Method, config: Mapping[str, Any]) -> None:
    """Into the log: what a step needs, and that it is too much, if it is."""
    need = estimate(method, config)
    why = (
        ""
        if need.missing is None
        else f"; a part cannot be computed without values ({need.missing})"
    )
    log.info("memory: a step needs %s%s", need, why)
    free = _free(config["trainer"])
    if free is not None and need.most > free:
        log.warning(
            "memory: %.2g GiB are free; trainer.checkpointing=true needs less, and memory=8gb "
            "(11gb, 16gb, 24gb, 80gb) chooses what fits (docs/memory.md)",
            free / GIB,
        )


def wanted(settings: Mapping[str, Any]) -> bool:
    """Whether `trainer.estimate` asks for it; on a CPU, "auto" does not."""
    chosen = settings.get("estimate", False)
    return not _on_cpu(settings) if chosen == "auto" else bool(chosen)


def _on_cpu(settings: Mapping[str, Any]) -> bool:
    there = torch.cuda.is_available() or torch.backends.mps.is_available()
    kind = settings["accelerator"]
    return kind == "cpu" or (kind == "auto" and not there)


def _free(settings: Mapping[str, Any]) -> int | None:
    if _on_cpu(settings):
        return free_memory()
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


def _fake() -> Any:
    from torch._subclasses.fake_tensor import FakeTensorMode  # takes a second

    return FakeTensorMode(allow_non_fake_inputs=True)


def _without_values(method: Method, *modes: Any) -> Method:
    """A copy whose weights and buffers are fake; those that are shared stay shared."""
    made: dict[int, Any] = {}
    with ExitStack() as stack:
        for mode in modes:
            stack.enter_context(mode)
        for tensor in [*method.parameters(), *method.buffers()]:
            like = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
            is_weight = isinstance(tensor, nn.Parameter)
            made[id(tensor)] = nn.Parameter(like, tensor.requires_grad) if is_weight else like
    return copy.deepcopy(method, made)


@contextmanager
def _autocast(precision: str) -> Iterator[None]:
    """As a GPU has it: what CUDA keeps in 32 bits and a CPU does not stays in 32 bits."""
    if precision == "32-true":
        yield
        return

    def in_32_bits(function: Callable) -> Callable:
        return lambda tensor, *rest, **named: function(tensor.float(), *rest, **named)

    with ExitStack() as stack:
        for name in ("layer_norm", "softmax", "log_softmax", "cross_entropy"):
            stack.enter_context(mock.patch.object(F, name, in_32_bits(getattr(F, name))))
        for name in ("softmax", "log_softmax", "norm"):
            wrapped = in_32_bits(getattr(Tensor, name))
            stack.enter_context(mock.patch.object(Tensor, name, wrapped))
        stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        yield
