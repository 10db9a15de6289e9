"""Processor time and memory of a training step: ours against bare and published loops, by turns.

    python benchmarks/step.py [--rows resnet101:adaptseg …] [--ways engine bare plain] [--rounds 9]
                              [--source 128 256] [--target 112 224] [--against OTHER/CHECKOUT]
                              [overrides of train, such as trainer.accumulate=2 …]

The ways, each in a process of its own, which take turns step by step:

- `engine`: what the command line runs: Lightning, logging, checks, progress;
- `bare`: a loop over the same modules: method.losses, objective, optimizer, schedule;
- `plain`: the published algorithm in plain PyTorch, of plain layers (`published.py`);
- `other`: the engine of another checkout, with --against.

A way may have overrides of its own behind a plus: `engine+trainer.fused=true`.

Time is the process's own on the processor (user and kernel), one thread; ratios are medians over
rounds. Images and labels of 19 classes are random, 1 + 1 a step, and decoded once. `loss` is the
last step's: the ways see the same images, and agree unless a method draws random numbers.
26 Nov 2026, Intel Xeon of two cores, nothing else on it, torch 2.15.0, --rounds 5, DACS and MIC
with --target 128 256:

                       engine ms   engine over bare   plain over engine
    resnet50:source_only     609    -0.8 %              1.12
    resnet50:adaptseg       1364     1.3 %              1.10
    resnet101:adaptseg      2124    -1.5 %              1.08
    resnet101:dacs          2504    -0.8 %              1.11
    resnet101:mic           3725    -1.8 %              1.10
    vgg16:adaptseg          1546    -2.9 %              1.12
    small:source_only         74    -3.6 %              1.98
    small:adaptseg           351    -1.3 %              1.53
    small:dacs               220     0.2 %              1.73
    small:mic                277     2.7 %              1.93

Of AdaptSegNet and DACS on ResNet-101 3.7 and 2.5 % were gained since that morning (--against); of
`small` with --target 128 256 trainer.batch_size=4 1.9 % of source only's 241 ms, 2.3 % of
AdaptSegNet's 1,200, 3.0 % of DACS's 570. With trainer.precision=bf16-mixed trainer.fused=true (AMX;
weights in 32 bits) those three take 195, 651 and 470 ms (1.24, 1.84 and 1.21 times as fast), and
AdaptSegNet on ResNet-101 1,201 instead of 2,507 (2.1; 2.3 times as fast as plain): rounding is then
that of eight bits, so it is no default. trainer.fused=true alone: nothing to 2 %.

Goal for ResNet-101: 1.15 with the same arithmetic, not reached. Convolutions are three quarters of
AdaptSegNet's step, at 160 to 190 GFLOP/s, where a large product of matrices makes 184; what is left
is bound by memory (batch norm 6 %, ReLU 2 %, sums of gradients and the optimizers some 8 %).
Tried without gain: foreach optimizers, gradients of the discriminator by products of matrices,
batch norm's by others than torch's kernels. SGD's fused kernel rounds momentum otherwise.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import measure
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parents[1]
BACKBONES = {
    "resnet101": ["backbone=deeplab_resnet101"],
    "resnet50": ["backbone=deeplab_resnet50"],
    "vgg16": ["backbone=deeplab_vgg16"],
    "small": ["backbone=small"],
    "small_fast": ["backbone=small_fast"],
}
METHODS = {
    "source_only": ["method=source_only"],
    "adaptseg": ["method=adaptseg"],
    "dacs": ["method=dacs"],
    "mic": ["method=mic", "method@method.base=dacs_daformer"],
}
ROWS = (
    "resnet101:adaptseg", "resnet101:dacs", "resnet101:mic", "resnet50:source_only",
    "resnet50:adaptseg", "vgg16:adaptseg", "small:source_only", "small:adaptseg", "small:dacs",
    "small:mic",
)  # fmt: skip
STEPS, WARM_UP = 250_000, 2


class Turns:
    """Waits for a line before each step, and answers with what the step before it took."""

    def __init__(self) -> None:
        self.before: resource.struct_rusage | None = None

    def step_over(self, loss: float) -> None:
        after = resource.getrusage(resource.RUSAGE_SELF)
        if (before := self.before) is not None:
            used = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
            faults = after.ru_minflt - before.ru_minflt
            print(json.dumps([sum(used), faults, measure.peak_megabytes(), loss]), flush=True)
        if not sys.stdin.readline():
            os._exit(0)
        self.before = resource.getrusage(resource.RUSAGE_SELF)


def worker(way: str, overrides: list[str]) -> None:
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from uda_seg.config import conf_folder
    from uda_seg.data.datasets.classes import CITYSCAPES_TRAIN_IDS
    from uda_seg.runs.memory import keep_freed_memory

    if way != "plain":  # nobody's own loop does
        keep_freed_memory()
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    for domain in ("source", "target"):
        config[domain]["classes"] = dict(CITYSCAPES_TRAIN_IDS)
    import torch

    torch.set_num_threads(1)
    {"engine": engine, "bare": bare, "plain": plain}[way](config, Turns())


def engine(config: dict[str, Any], turns: Turns) -> None:
    """`train`, whose callbacks have one more at their end."""
    from lightning import Callback

    from uda_seg.commands import train
    from uda_seg.runs.memory import leave_out_what_is_imported

    leave_out_what_is_imported()  # as the command line does

    class Stepped(Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            turns.step_over(float(module.last_losses["segmentation"]))

    make_trainer = train.make_trainer

    def made(*arguments: Any) -> Any:
        trainer = make_trainer(*arguments)
        trainer.callbacks.append(Stepped())
        return trainer

    with mock.patch.object(train, "make_trainer", made):
        train.run(config, Path(tempfile.mkdtemp()))


class Alone:
    """As much of a Lightning trainer as a data module asks for."""

    global_step, global_rank, world_size, num_devices = 0, 0, 1, 1


def parts(config: dict[str, Any]) -> tuple[Any, Any, Iterator[Any]]:
    """Module, method and batches, made as `train` makes them."""
    import torch

    from uda_seg.training import setup

    torch.manual_seed(config["seed"])
    data = setup.make_data_module(config, Path(tempfile.mkdtemp()))
    classes = list(data.space.classes)
    method = setup.make_method(config, classes)
    module = setup.make_adaptation(config, method, classes)
    data.trainer = module.trainer = Alone()  # type: ignore[assignment]
    method.train()
    batches = (data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader())
    return module, method, batches


def bare(config: dict[str, Any], turns: Turns) -> None:
    import torch

    from uda_seg.runs.memory import leave_out_what_is_imported
    from uda_seg.training.optimization import seed_step
    from uda_seg.training.trainer import set_up_torch

    leave_out_what_is_imported()
    set_up_torch(1)
    torch.use_deterministic_algorithms(True, warn_only=True)  # as trainer.deterministic=warn
    module, method, batches = parts(config)
    made = module.configure_optimizers()
    optimizer, schedule = made["optimizer"], made["lr_scheduler"]
    loss = None
    for step, batch in enumerate(batches):
        seed_step(module.seed, step, 0)
        optimizer.zero_grad()
        for losses in method.losses(batch):
            module.objective(losses).backward()
            loss = losses.get("segmentation", loss)
        optimizer.step()
        schedule.step()
        method.after_step()
        turns.step_over(float(loss.detach()))  # type: ignore[union-attr]


def plain(config: dict[str, Any], turns: Turns) -> None:
    import published
    import torch

    from uda_seg.config import build, optimizers_of
    from uda_seg.training.optimization import polynomial

    module, method, batches = parts(config)
    network = published.PlainDeepLab(method.network)
    groups = network.groups(method.network.head_factor)
    optimizers = [build(config["backbone"]["optimizer"])(groups)]
    for group in optimizers[0].param_groups:
        group["lr"] *= group.pop("factor", 1.0)
    after_step: Callable[[], None] = lambda: None  # noqa: E731
    if config["method"]["name"] == "source_only":
        loop = published.source_only(network)
    elif config["method"]["name"] == "adaptseg":
        judges = [
            published.plain_discriminator(adversary.discriminator)
            for adversary in method.adversaries.values()
        ]
        factory = build(optimizers_of(config["method"])["discriminator"])
        optimizers += [factory(judge.parameters()) for judge in judges]
        loop = published.adaptsegnet(network, judges, method.weights)
    else:
        masks = "masked" in method.weights
        strength = (method.base if masks else method).augmentation.strength
        loop = published.SelfTraining(network, masks, strength, getattr(method, "block", 0))
        after_step = loop.after_step
    del module, method
    schedules = [polynomial(o, 250_000, 0.9, 0) for o in optimizers]
    network.train()
    torch.manual_seed(0)
    for batch in batches:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = loop(batch)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
        after_step()
        turns.step_over(float(loss.detach()))


def write_images(folder: Path, size: list[int]) -> None:
    """Four images and labels of 19 classes, in blocks."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (folder / kind / split).mkdir(parents=True)
        for number in range(4):
            cells = random.integers(0, 19, (-(-size[0] // 16), -(-size[1] // 16)))
            label = cells.repeat(16, 0).repeat(16, 1)[: size[0], : size[1]].astype(np.uint8)
            noise = random.integers(0, 60, (*size, 3)) + 10 * label[..., None]
            Image.fromarray(label).save(folder / "labels" / split / f"{number}.png")
            Image.fromarray(noise.astype(np.uint8)).save(
                folder / "images" / split / f"{number}.png"
            )


@contextmanager
def data(source: list[int], target: list[int]) -> Iterator[list[str]]:
    """Overrides that read random images."""
    with tempfile.TemporaryDirectory() as folder:
        words = []
        for domain, size in (("source", source), ("target", target)):
            write_images(Path(folder, domain), size)
            words += [f"{domain}=folder", f"{domain}.root={folder}/{domain}"]
            words += [f"{domain}.name={domain}", f"{domain}.size={list(size)}"]
        yield words


def started(way: str, overrides: list[str], against: Path | None) -> subprocess.Popen[str]:
    checkout = against if way == "other" and against else HERE
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", way.replace("other", "engine"), *overrides],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def row(name: str, ways: list[str], rounds: int, words: list[str], other: Path | None) -> list[Any]:
    """Cells of the table."""
    backbone, method = name.split(":")
    words = [
        *BACKBONES[backbone], "backbone.pretrained=none", *METHODS[method], "trainer=cpu",
        "trainer.batch_size=1", "trainer.workers=0", "trainer.threads=1", "trainer.panels=0",
        f"trainer.steps={STEPS}", f"trainer.validate_every={STEPS}", "cache=ram",
        f"trainer.checkpoint_every={STEPS}", *words,
    ]  # fmt: skip
    workers = {}
    for way in ways:
        kind, *changes = way.split("+")
        workers[way] = started(kind, [*words, *changes], other)
    found: dict[str, list[Any]] = {way: [] for way in ways}
    for turn in range(WARM_UP + rounds):
        for way, process in list(workers.items())[:: -1 if turn % 2 else 1]:
            print(file=process.stdin, flush=True)
            answer = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            found[way] += [answer] if turn >= WARM_UP else []
    for process in workers.values():
        process.stdin.close()  # type: ignore[union-attr]
        process.wait()
    times = {way: [answer[0] for answer in answers] for way, answers in found.items()}
    cells: list[Any] = [name, *(1000 * statistics.median(t) for t in times.values())]
    if "engine" in times and "bare" in times:
        cells.append(f"{100 * (measure.ratio(times['engine'], times['bare']) - 1):+.1f} %")
    cells += [f"{measure.ratio(times[way], times[ways[0]]):.3f}" for way in ways[1:]]
    cells.append(" / ".join(f"{answers[-1][2]:.0f}" for answers in found.values()))
    cells.append(" / ".join(f"{answers[-1][3]:.5f}" for answers in found.values()))
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", default=ROWS)
    parser.add_argument("--ways", nargs="+", default=["engine", "bare", "plain"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--source", nargs=2, type=int, default=[128, 256], help="height, width")
    parser.add_argument("--target", nargs=2, type=int, default=[112, 224])
    parser.add_argument("--against", type=Path, help="folder of another checkout")
    parser.add_argument("overrides", nargs="*", help="of train")
    arguments = parser.parse_args()
    ways = arguments.ways + (["other"] if arguments.against else [])
    header = ["row", *(f"{way} ms" for way in ways)]
    header += ["engine over bare"] if {"engine", "bare"} <= set(ways) else []
    header += [f"{way} / {ways[0]}" for way in ways[1:]]
    header += ["peak MB: " + " / ".join(ways), "loss"]
    rows = []
    with data(arguments.source, arguments.target) as words:
        for name in arguments.rows:
            every = [*words, *arguments.overrides]
            rows.append(row(name, ways, arguments.rounds, every, arguments.against))
            print(rows[-1], file=sys.stderr, flush=True)
    print(measure.machine(), measure.table(header, rows), sep="\n\n")


if __name__ == "__main__":
    worker(sys.argv[2], sys.argv[3:]) if sys.argv[1:2] == ["--worker"] else main()
