"""What a step needs of memory: estimated, and measured; and what checkpointing and slices save.

    python benchmarks/memory.py estimate [--precision 32-true] ["overrides of train" …]
    python benchmarks/memory.py checkpointing [--rounds 3] ["overrides of train" …]
    python benchmarks/memory.py slices [--rounds 3] ["overrides of train" …]

measured: the most bytes that torch's allocator held at once during the step, as its profiler notes
each allocation, with the weights, states and images that were there before. On a CPU; on a GPU it
would be `torch.cuda.max_memory_allocated` (benchmarks/gpu_steps.py), which was not done here.
checkpointing: peak and processor time with over without it, by turns, the median of ratios.
slices: the same, of losses that are computed a few rows at a time, over those of whole maps.

Printed on 26 November 2026, Intel Xeon, 2 cores, busy, torch 2.15, 128x192, batch 2, tiny network,
estimate / measured: most methods 1.00, dacs_daformer 1.02, road 0.98, gio_ada 0.97, rpt, fda 0.95,
rpt_plain 0.89; source_only on the networks 0.94 (segformer_small), 0.96 (VGG-16), else 1.00 to
1.01; hrda_small 0.91. The whole of it: docs/memory.md.
checkpointing --rounds 1, source_only on deeplab_resnet50, batch 1: at 256x384 601 -> 397 MiB
(0.66), at 128x192 323 -> 297 MiB (0.92), time 1.31; at 512x768, quiet, 1814 -> 924 MiB (0.51), time
1.27. --rounds 3, adaptseg at 128x192, batch 1: ResNet-101 1083 -> 803 MiB (0.74), time 1.26,
ResNet-50 661 -> 517 (0.78), 1.25: at this size weights are most of it.
slices --rounds 3, tiny, 512x1024, 19 classes, batch 1, MiB: source_only 238 -> 179 (0.75), dacs
257 -> 191 (0.74), minent 623 -> 316 (0.51); on small_fast 757 -> 698 (0.92), time 1.03; on
deeplab_resnet50 2379 -> 2379, with checkpointing 1195 -> 1195: the peak is not at the loss. Time
1.00 and 1.02 there, 0.57 to 1.07 on the tiny network (other runs shared the cores). Maps of up to
8 million numbers are whole since: cross-entropy of 4 x 19 x 128 x 256 took 13 to 17 ms in slices
and 6 to 9 whole.
"""

import argparse
import shlex
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from hydra import compose, initialize_config_dir
from measure import machine, ratio, table, take_turns
from omegaconf import OmegaConf
from torch.profiler import ProfilerActivity, profile

from uda_seg import losses
from uda_seg.batch import Batch
from uda_seg.config import conf_folder
from uda_seg.data.datasets.classes import SPACES
from uda_seg.training import setup
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.memory import estimate, example_batch, run_step

SMALL = "source=camvid target=camvid trainer.batch_size=2 trainer.accelerator=cpu"
SIZE = "source.size=[128,192] target.size=[128,192]"
METHODS = (
    "source_only", "target_only", "adaptive_bn", "adaptseg", "adaptseg_single", "adaptseg_feature",
    "adaptseg trainer.accumulate=2", "road", "rpt", "rpt_plain", "pit", "gio_ada", "minent",
    "advent", "fda", "cbst", "crst", "dacs", "dacs_daformer", "daformer", "mrm", "mic",
    "mic method@method.base=adaptseg", "mic method@method.base=minent",
)  # fmt: skip
NETWORKS = (
    "small", "small_fast", "deeplab_resnet50", "deeplab_resnet101_full4", "deeplab_vgg16",
    "dlv2red_resnet101", "pspnet_resnet101", "daformer_small", "segformer_small",
    "daformer_pvt_v2_b0", "daformer_convnext_tiny", "vfm_tiny",
)  # fmt: skip
ESTIMATED = (
    *(f"method={method} backbone=tiny {SMALL} {SIZE}" for method in METHODS),
    *(f"method=source_only backbone={network} {SMALL} {SIZE}" for network in NETWORKS),
    *(
        f"method={method} backbone={network} {SMALL} {SIZE}"
        for method, network in (
            ("hrda", "hrda_tiny"),
            ("hrda", "hrda_small"),
            ("hrda", "hrda_dlv2red_resnet101"),
            ("vfm_uda", "vfm_tiny"),
            ("adaptseg", "small"),
            ("adaptseg", "deeplab_resnet50"),
            ("dacs trainer.accumulate=2", "deeplab_resnet50"),
            ("dacs trainer.checkpointing=true", "deeplab_resnet50"),
        )
    ),
)
CHECKPOINTED = tuple(
    f"method={method} backbone={network} {SMALL} source.size=[192,320] target.size=[192,320] "
    "trainer.batch_size=1"
    for method, network in (
        ("adaptseg", "deeplab_resnet101"),
        ("adaptseg", "deeplab_resnet50"),
        ("dacs", "deeplab_resnet50"),
    )
)

SLICED = tuple(
    f"method={method} backbone={network} source=gta5 target=cityscapes label_space="
    "cityscapes_19 source.size=[512,1024] target.size=[512,1024] source.augment.crop=null "
    f"target.augment.crop=null trainer.accelerator=cpu trainer.batch_size=1"
    for method, network in (
        ("source_only", "tiny"),
        ("dacs", "tiny"),
        ("minent", "tiny"),
        ("source_only", "small_fast"),
        ("source_only", "deeplab_resnet50"),
        ("source_only trainer.checkpointing=true", "deeplab_resnet50"),
    )
)


def classes_of(config: dict[str, Any]) -> list[str]:
    return list(SPACES[config["label_space"] or "camvid_11"])


def composed(words: str, precision: str) -> dict[str, Any]:
    overrides = [*shlex.split(words), f"trainer.precision={precision}"]
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    if "pretrained" in config["backbone"]:
        config["backbone"]["pretrained"] = "none"
    return dict(config)


class Step:
    """A step that can be run, with its optimizers' states there."""

    def __init__(self, config: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self.precision, classes = config["trainer"]["precision"], classes_of(config)
        self.method = setup.make_method(config, classes)
        self.module: Adaptation = setup.make_adaptation(config, self.method, classes)
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.batch: Batch = example_batch(config, self.method)
        self()

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        run_step(self.module, self.optimizer, self.batch, self.precision)

    def held(self) -> int:
        """Bytes between two steps."""
        self.optimizer.zero_grad()
        states = [s for o in self.optimizer.optimizers.values() for s in o.state.values()]
        tensors = [*self.method.parameters(), *self.method.buffers()]
        tensors += [value for state in states for value in state.values()]
        for domain in (self.batch.source, self.batch.target):
            tensors += vars(domain).values()
        storages = [t.untyped_storage() for t in tensors if isinstance(t, torch.Tensor)]
        return sum({one.data_ptr(): one.nbytes() for one in storages}.values())

    def peak(self) -> int:
        before = self.held()
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            self()
        events = watched.profiler.kineto_results.events()  # type: ignore[union-attr]
        changes = sorted(
            (event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"
        )
        live = most = 0
        for _, change in changes:
            live += change
            most = max(most, live)
        return before + most


def shorter(words: str) -> str:
    left_out = ("source", "target", "trainer.acc", "label_space")
    kept = [w for w in words.split() if not w.startswith(left_out)]
    return " ".join(kept) + (" trainer.accumulate=2" if "accumulate=2" in words else "")


def estimates(commands: list[str], precision: str) -> None:
    show("train", "estimate, MiB", "measured, MiB", "estimate / measured")
    for words in commands:
        config = composed(words, precision)
        method = setup.make_method(config, classes_of(config))
        need, measured = estimate(method, config), Step(config).peak()
        sizes = (need.most / 2**20, measured / 2**20, need.most / measured)
        print(line(f"`{shorter(words)}`{' *' if need.missing else ''}", *sizes), flush=True)
    print("\n* a part of the step cannot be computed without values")


def checkpointed(commands: list[str], precision: str, rounds: int) -> None:
    show("train", "MiB", "MiB with checkpointing", "peak ratio", "time ratio")
    for words in commands:
        without, with_it = (
            Step(composed(f"{words} trainer.checkpointing={name}", precision))
            for name in ("false", "true")
        )
        compare(words, (without, without.peak), (with_it, with_it.peak), rounds)


def sliced(commands: list[str], precision: str, rounds: int) -> None:
    show("train", "MiB of whole maps", "MiB in slices", "peak ratio", "time ratio")
    for words in commands:
        step, whole = Step(composed(words, precision)), mock.patch.object(losses, "SLICES", 1)
        compare(words, (whole(step), whole(step.peak)), (step, step.peak), rounds)


Way = tuple[Callable[[], Any], Callable[[], int]]
"""A step, and its peak in bytes."""


def compare(words: str, without: Way, with_it: Way, rounds: int) -> None:
    seconds = take_turns({"without": without[0], "with": with_it[0]}, rounds, warm_up=0)
    time = 1 / ratio(seconds["without"], seconds["with"])
    before, after = without[1](), with_it[1]()
    sizes = (before / 2**20, after / 2**20, after / before)
    print(line(f"`{shorter(words)}`", *sizes, time), flush=True)


def show(*header: str) -> None:
    print(table(header, []), flush=True)


def line(*cells: object) -> str:
    return table((), [cells]).splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["estimate", "checkpointing", "slices"])
    parser.add_argument("--precision", default="32-true", choices=["32-true", "bf16-mixed"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("commands", nargs="*", help="each in quotes")
    arguments = parser.parse_intermixed_args()
    torch.set_num_threads(1)
    print(f"{machine()}, {arguments.precision}\n")
    commands = arguments.commands
    if arguments.what == "estimate":
        estimates(commands or list(ESTIMATED), arguments.precision)
    elif arguments.what == "checkpointing":
        checkpointed(commands or list(CHECKPOINTED), arguments.precision, arguments.rounds)
    else:
        sliced(commands or list(SLICED), arguments.precision, arguments.rounds)


if __name__ == "__main__":
    main()
