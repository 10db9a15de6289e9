"""Processor time of training steps of networks for CPUs, method by method.

    python benchmarks/backbones.py ["small" "small_fast backbone.head.width=96" …]
                                   [--rounds 6] [--methods source_only adaptseg_tuned]

A candidate is a backbone, and perhaps overrides of it, in quotes. A step is one of `train` without
its engine: 4 + 4 random images of 128x256 in 19 classes, new ones each time (of one batch over and
over, softmax ends in numbers so small that a processor slows down), backward and optimizer.

26 Nov 2026, Intel Xeon of two cores, busy, torch 2.15.0, --rounds 8 (AdaptSegNet: 6), ms a step and
times as fast as the first:

                                                      source only     AdaptSegNet, tuned
    small                                             321             704
    small_fast                                        196 (1.63)      492 (1.44)
    small_fast backbone.head.width=96                 208 (1.54)      509 (1.39)
    small_fast backbone.head.fusion=deepest_aspp      214 (1.51)      518 (1.37)
    small backbone.encoder.output_stride=16           189 (1.69)

and in another run of source only small 292, small_fast 186 (1.57), with deepest_aspp 198 (1.46),
with a width of 48 179 (1.63); daformer_small 356 beside small's 310 before. 1.5 at the same oracle
was the goal: docs/results.md. What AdaptSegNet's discriminators cost is the same on both.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from measure import machine, ratio, table, take_turns
from omegaconf import OmegaConf

from uda_seg.batch import Batch, Source, Target
from uda_seg.config import conf_folder
from uda_seg.runs.memory import keep_freed_memory
from uda_seg.training import setup
from uda_seg.training.trainer import set_up_torch

CANDIDATES = (
    "small",
    "small_fast",
    "small_fast backbone.head.width=96",
    "small_fast backbone.head.fusion=deepest_aspp",
    "small backbone.encoder.output_stride=16",
    "daformer_small",
)
CLASSES = [f"class {i}" for i in range(19)]


def images(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    label = torch.randint(19, (4, 8, 16), generator=random)
    colors = torch.rand(4, 3, 32, 64, generator=random)
    return F.interpolate(colors, (128, 256)), label.repeat_interleave(16, 1).repeat_interleave(
        16, 2
    )


def stepper(candidate: str, method_name: str) -> Callable[[], None]:
    backbone, *overrides = candidate.split()
    words = [f"method={method_name}", f"backbone={backbone}", *overrides]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", words), resolve=True)
    torch.manual_seed(0)
    method = setup.make_method(config, CLASSES)
    module = setup.make_adaptation(config, method, CLASSES)
    optimizer = module.configure_optimizers()["optimizer"]
    method.train()
    seeds = iter(range(0, 10**6, 2))

    def step() -> None:
        seed = next(seeds)
        (source, label), (target, _) = images(seed), images(seed + 1)
        optimizer.zero_grad()
        for losses in method.losses(Batch(Source(source, label), Target(target))):
            module.objective(losses).backward()
        optimizer.step()
        method.after_step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--methods", nargs="+", default=["source_only", "adaptseg_tuned"])
    parser.add_argument("candidates", nargs="*", default=CANDIDATES)
    given = parser.parse_args()
    set_up_torch(1)
    keep_freed_memory()
    print(f"{machine()}\n")
    for name in given.methods:
        ways = {candidate: stepper(candidate, name) for candidate in given.candidates}
        seconds = take_turns(ways, given.rounds, warm_up=2)
        base = next(iter(seconds.values()))
        rows = [[c, 1000 * statistics.median(s), ratio(base, s)] for c, s in seconds.items()]
        print(table([name, "ms a step", "times as fast as the first"], rows), flush=True)


if __name__ == "__main__":
    main()
