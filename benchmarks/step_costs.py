"""Operations and memory of one training step, computed without a GPU and without the memory.

    python benchmarks/step_costs.py [--precision bf16-mixed] [--rate 50] ["overrides of train" …]

Each argument is one command line of train, in quotes; without any, the rows of the self-training
family at their published sizes. The method's own losses are computed on fake tensors, which have
shapes and no values: a step with its backward passes and its optimizers, whose states are there
already. Nothing here was run on a GPU.

TFLOP: of convolutions and products of matrices, two a multiply-add, as torch counts them. memory:
the most bytes of tensors that live at once (weights, gradients, states, activations, temporaries),
to which a GPU adds some hundred MiB of its own, cuDNN's workspace and what its allocator cannot
use. seconds: TFLOP at --rate TFLOP/s, which is an assumption. Reading images is not counted, nor is
strong augmentation (under a thousandth).
"""

import argparse
import math
import shlex
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from uda_seg.batch import Batch, Source, Target
from uda_seg.components.strong_augmentation import StrongAugmentation
from uda_seg.config import conf_folder
from uda_seg.data.datasets.classes import SPACES
from uda_seg.networks import cpu_layers
from uda_seg.training import setup

FAKE = FakeTensorMode()
"""One for all commands: torch does not let two meet."""
CLASSES = list(SPACES["cityscapes_19"])
COMMANDS = (
    "experiment=dacs_gta5_to_cityscapes",
    "experiment=daformer_gta5_to_cityscapes method=source_only",
    "experiment=daformer_gta5_to_cityscapes",
    "experiment=daformer_gta5_to_cityscapes method=mic method@method.base=daformer",
    "experiment=hrda_gta5_to_cityscapes",
    "experiment=mic_gta5_to_cityscapes",
)


class Ledger(TorchDispatchMode):
    """Bytes of the storages that live, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        if func is torch.ops.aten._local_scalar_dense.default:
            return 0.5  # a value, which nobody knows here
        result = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self.enter, result)
        return result

    def enter(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.live += size
            self.most = max(self.most, self.live)
            weakref.finalize(storage, self.leave, key, size)
        return tensor

    def leave(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.live -= size


def step_costs(words: str, precision: str) -> tuple[float, float, int]:
    """FLOP, bytes and weights of a step of `python -m uda_seg WORDS`."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [*shlex.split(words), "backbone.pretrained=none", "trainer.accelerator=cpu"]
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    method = setup.make_method(config, CLASSES)
    cpu_layers.undo(method)  # a GPU has its own
    module = setup.make_adaptation(config, method, CLASSES)
    with ExitStack() as stack:
        stack.enter_context(FAKE)
        ledger = stack.enter_context(Ledger())
        _make_fake(method)
        stack.enter_context(_without_values())
        optimizer = module.configure_optimizers()["optimizer"]
        batch = _batch(config)
        method.train()

        for group in optimizer.param_groups:  # a first update makes the optimizers' states
            for weight in group["params"]:
                weight.grad = torch.empty_like(weight) if weight.requires_grad else None
        optimizer.step()
        optimizer.zero_grad()
        ledger.most = ledger.live
        backward = {torch.ops.aten.convolution_backward: _convolution_backward}
        with FlopCounterMode(display=False, custom_mapping=backward) as counter:
            with _autocast(precision):
                for losses in method.losses(batch):
                    module.objective(losses).backward()
            optimizer.step()
            method.after_step()
        weights = sum(weight.numel() for weight in method.network.parameters())
        return counter.get_total_flops(), ledger.most, weights


def _convolution_backward(gradient: Any, image: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """Of shapes. Torch takes the weights' gradient of a depthwise convolution for a full one."""
    wanted = sum(rest[-1][:2])  # the gradients of image and weight: each as dear as the answer
    batch, _channels, *size = gradient
    return 2 * wanted * math.prod((batch, *size, *weight))


def _make_fake(method: nn.Module) -> None:
    """Weights and buffers, with shapes and no values; those that are shared stay shared."""
    made: dict[int, Any] = {}

    def of(tensor: Any) -> Any:
        if id(tensor) not in made:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype)
            if isinstance(tensor, nn.Parameter):
                empty = nn.Parameter(empty, tensor.requires_grad)
            made[id(tensor)] = (empty, tensor)
        return made[id(tensor)][0]

    for module in method.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = of(tensor)


def _batch(config: dict[str, Any]) -> Batch:
    def image(domain: dict[str, Any]) -> Tensor:
        size = domain["augment"]["crop"] or domain["size"]
        return torch.empty(config["trainer"]["batch_size"], 3, *size)

    source, target = image(config["source"]), image(config["target"])
    label = torch.zeros(len(source), *source.shape[-2:], dtype=torch.long)
    whole = torch.empty(len(target), 4)
    return Batch(Source(source, label, window=whole), Target(target, window=whole))


@contextmanager
def _without_values() -> Iterator[None]:
    """What hangs on values is left out, or answered as if class 0 were pasted."""
    with (
        mock.patch("uda_seg.methods.dacs.class_masks", lambda label, *_: label[:, None] == 0),
        mock.patch.object(
            StrongAugmentation, "__call__", lambda self, images, together=False: images
        ),
    ):
        yield


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--precision", default="bf16-mixed", choices=["bf16-mixed", "32-true"])
    parser.add_argument("--rate", type=float, default=50, help="TFLOP/s, assumed")
    parser.add_argument("commands", nargs="*", default=COMMANDS, help="each in quotes")
    arguments = parser.parse_args()
    print(f"| train | weights, M | TFLOP | GiB ({arguments.precision}) | s at {arguments.rate:g} |")
    print("|---|---:|---:|---:|---:|")
    for words in arguments.commands:
        flop, size, weights = step_costs(words, arguments.precision)
        seconds = flop / 1e12 / arguments.rate
        print(
            f"| `{words}` | {weights / 1e6:.1f} | {flop / 1e12:.1f} | {size / 2**30:.1f} "
            f"| {seconds:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
