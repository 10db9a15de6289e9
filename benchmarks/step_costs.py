"""Operations and memory of one training step, computed without a GPU and without the memory.

    python benchmarks/step_costs.py [--precision bf16-mixed] [--rate 50] ["overrides of train" …]

Each argument is one command line of train, in quotes; without any, the rows of the self-training
family at their published sizes. The memory is `uda_seg.training.memory`'s estimate, the operations
are counted meanwhile. Nothing here was run on a GPU.

TFLOP: of convolutions and products of matrices, two a multiply-add, as torch counts them. memory:
the most bytes of tensors that live at once (weights, gradients, states, activations, temporaries),
to which a GPU adds some hundred MiB of its own, cuDNN's workspace and what its allocator cannot
use. seconds: TFLOP at --rate TFLOP/s, which is an assumption. Reading images is not counted, nor is
strong augmentation (under a thousandth).
"""

import argparse
import math
import shlex
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from uda_seg.config import conf_folder
from uda_seg.data.datasets.classes import SPACES
from uda_seg.training import setup
from uda_seg.training.memory import estimate

CLASSES = list(SPACES["cityscapes_19"])
COMMANDS = (
    "experiment=dacs_gta5_to_cityscapes",
    "experiment=daformer_gta5_to_cityscapes method=source_only",
    "experiment=daformer_gta5_to_cityscapes",
    "experiment=daformer_gta5_to_cityscapes method=mic method@method.base=daformer",
    "experiment=hrda_gta5_to_cityscapes",
    "experiment=mic_gta5_to_cityscapes",
)


def step_costs(words: str, precision: str) -> tuple[float, float, int]:
    """FLOP, bytes and weights of a step of `python -m uda_seg WORDS`."""
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        overrides = [*shlex.split(words), "backbone.pretrained=none", "trainer.accelerator=gpu"]
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    config["trainer"]["precision"] = precision
    method = setup.make_method(config, CLASSES)
    need, counter = estimate(method, config), Operations()
    estimate(method, config, counter)
    weights = sum(weight.numel() for weight in method.network.parameters())
    return counter.total, need.most, weights


class Operations(TorchDispatchMode):
    """Operations of convolutions and products of matrices, two a multiply-add.

    Torch's own counter follows modules by hooks, which a gradient that is taken within a backward
    pass does not bear: an adversary's, whose one look serves both sides.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        result = function(*arguments, **(named or {}))
        if (formula := FORMULAS.get(function.overloadpacket)) is not None:
            self.total += formula(*arguments, **(named or {}), out_val=result)
        return result


def _convolution_backward(gradient: Any, image: Any, weight: Any, *rest: Any, **_: Any) -> int:
    """Of shapes. Torch takes the weights' gradient of a depthwise convolution for a full one."""
    wanted = sum(rest[-1][:2])  # the gradients of image and weight: each as dear as the answer
    batch, _channels, *size = gradient
    return 2 * wanted * math.prod((batch, *size, *weight))


FORMULAS = {
    **flop_registry,
    torch.ops.aten.convolution_backward: shape_wrapper(_convolution_backward),
}


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
