"""What two processes of a CPU are worth, and what the cost of a step grows with.

    python benchmarks/scaling.py [--rounds 12] [--figure outputs/scaling.png] [--figure-only]
                                 [overrides of train …]

Two processes, a thread each, on gloo; each does the same step on its own images. Ways take turns
step by step: one process while the other waits; both, without a word between them (what the
machine itself gives); gradients averaged once a step (`trainer.strategy=auto`); torch's reducer,
as Lightning drives it (`trainer.strategy=ddp_find_unused_parameters_true`). A way's time is the
slower process's; efficiency is one process's time over it, the median over rounds.

2026-11-26, --rounds 6, Intel Xeon of two cores, nothing else running, torch 2.15.0: AdaptSegNet on
`small`, 4 + 4 images of 128x256.

                          wall ms   efficiency   all-reduces   MB
    one                      1396        1.00
    two, no exchange         1434        0.97             0     0
    two, averaged once       1503        0.93             4    25.5
    two, reducer             1540        0.90            11    76.4

Two of the four all-reduces are of the pixels that count in a loss, 4 bytes each: both processes
meet at them in the middle of a step. Without them the same day 0.96, beside 0.98 without exchange.

A step takes 9.0 times as long for 16 times the pixels, 5.9 for 8 times the images, 2.4 for 150
classes instead of 2; listing 100,000 files 1.1 s. One batch over and over: new images are faster.
First rounds of 8 times the images (64 of 128x256, `small`): RPT's 0.46 -> 3.3 s, 7.2 times; CBST's,
which asks for the mirror images too, 0.33 -> 2.3 s, 7.1 times.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from hydra import compose, initialize_config_dir
from lightning.pytorch.overrides.distributed import prepare_for_backward
from measure import machine, table
from omegaconf import OmegaConf
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile

from uda_seg.batch import Batch, Source, Target, TargetPass
from uda_seg.config import conf_folder
from uda_seg.data.files.listing import walk
from uda_seg.networks.modes import evaluating
from uda_seg.runs.memory import keep_freed_memory
from uda_seg.training import setup
from uda_seg.training.gradients import average, share

SETTINGS = "method=adaptseg backbone=small trainer.batch_size=4 source=toytown"
WORDS = [*SETTINGS.split(), "target=toytown_camera", "backbone.pretrained=none"]
ONE, SILENT, ONCE, REDUCER = WAYS = (
    "one",
    "two, no exchange",
    "two, averaged once",
    "two, reducer",
)


def config_of(words: list[str]) -> Any:
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return OmegaConf.to_container(compose("train", words), resolve=True)


class Step:
    """A training step on random images.

    Args:
        words: overrides of train.
        size: height and width.
        batch: images of each domain.
        classes: how many there are.
    """

    def __init__(self, words: list[str], size: tuple[int, int], batch: int, classes: int) -> None:
        config = config_of([*WORDS, *words])
        torch.manual_seed(0)
        names = [f"class {number}" for number in range(classes)]
        self.module = setup.make_adaptation(config, setup.make_method(config, names), names)
        self.optimizer = self.module.configure_optimizers()["optimizer"]
        self.wrapper: DistributedDataParallel | None = None
        self.module.method.train()
        label = torch.randint(classes, (batch, *(side // 16 for side in size)))
        label = label.repeat_interleave(16, 1).repeat_interleave(16, 2)
        images = (torch.rand(batch, 3, *size) for _ in range(2))
        self.batch = Batch(Source(next(images), label), Target(next(images)))

    def wrap(self) -> None:
        self.wrapper = DistributedDataParallel(self.module.method, find_unused_parameters=True)

    def __call__(self, averaged: bool = False) -> None:
        self.optimizer.zero_grad()
        for losses in self.module.method.losses(self.batch):
            objective = self.module.objective(losses)
            if self.wrapper is not None:
                prepare_for_backward(self.wrapper, objective)
            objective.backward()
        if averaged:
            for parameters in self.optimizer.parameters():
                average(parameters)
        self.optimizer.step()
        self.module.method.after_step()
        if averaged:
            share(self.module.buffers())


def process(rank: int, rounds: int, place: str, words: list[str]) -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    dist.init_process_group("gloo", init_method=f"file://{place}/meet", rank=rank, world_size=2)
    plain, wrapped = (Step(words, (128, 256), 4, 19) for _ in range(2))
    wrapped.wrap()
    work = {
        ONE: lambda: alone(plain) if rank == 0 else None,
        SILENT: lambda: alone(plain),
        ONCE: lambda: plain(averaged=True),
        REDUCER: wrapped,
    }
    walls: dict[str, list[float]] = {way: [] for way in WAYS}
    processors: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds + 2):
        for way in WAYS[:: -1 if turn % 2 else 1]:
            dist.barrier()
            wall, processor = time.perf_counter(), time.process_time()
            work[way]()
            own = time.perf_counter() - wall, time.process_time() - processor
            slower = torch.tensor(own, dtype=torch.float64)
            dist.all_reduce(slower, op=dist.ReduceOp.MAX)
            if turn >= 2:
                walls[way].append(float(slower[0]))
                processors[way].append(float(slower[1]))
    sent = {way: collectives(work[way]) for way in WAYS[1:]}
    if rank == 0:
        report(walls, processors, sent)
    dist.barrier()
    dist.destroy_process_group()


def alone(step: Step) -> None:
    """A step that counts its own images only, as if there were no other process."""
    with patch.object(dist, "is_initialized", return_value=False):
        step()


def collectives(work: Any) -> tuple[int, int, float]:
    """All-reduces and broadcasts of a step, and megabytes of both."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        work()
    count, size = Counter[str](), 0
    for event in seen.events():
        if event.name in ("gloo:all_reduce", "gloo:broadcast"):
            count[event.name] += 1
            size += 4 * sum(torch.Size(shape).numel() for shape in event.input_shapes)
    return count["gloo:all_reduce"], count["gloo:broadcast"], size / 1e6


def report(
    walls: dict[str, list[float]], processors: dict[str, list[float]], sent: dict[str, Any]
) -> None:
    rows = []
    for way in WAYS:
        efficiency = statistics.median(a / b for a, b in zip(walls[ONE], walls[way], strict=True))
        middle = statistics.median(a / b for a, b in zip(walls[SILENT], walls[way], strict=True))
        times = (1000 * statistics.median(kind[way]) for kind in (walls, processors))
        apart = "" if way == ONE else f"{middle:.2f}"
        rows.append((way, *times, f"{efficiency:.2f}", apart, *sent.get(way, ("", "", ""))))
    header = "way|wall ms|processor ms|efficiency|against no exchange|all-reduces|broadcasts|MB"
    print(table(header.split("|"), rows), flush=True)


def growth(figure: Path, rounds: int, words: list[str]) -> None:
    """Processor time against what a step and a run grow with, each alone."""
    torch.set_num_threads(1)
    keep_freed_memory()
    sizes = [(64, 128), (96, 192), (128, 256), (192, 384), (256, 512)]
    groups = {
        "pixels of an image": [(h * w, ((h, w), 2, 19)) for h, w in sizes],
        "images a step and domain": [(n, ((128, 256), n, 19)) for n in (1, 2, 4, 8)],
        "classes": [(n, ((128, 256), 2, n)) for n in (2, 19, 66, 150)],
    }
    curves = {}
    for name, points in groups.items():
        steps = [Step(words, *point) for _, point in points]
        seconds: list[list[float]] = [[] for _ in steps]
        for turn in range(rounds // 2 + 1):
            for step, found in zip(steps, seconds, strict=True):
                start = time.process_time()
                step()
                found.extend([time.process_time() - start] if turn else [])
        medians = [statistics.median(found) for found in seconds]
        curves[name] = ([x for x, _ in points], medians, "s a step")
    curves["images of a training set"] = (*listing_times(), "s to list")
    for method in ("rpt_plain", "cbst"):
        curves[f"images of a round of {method}"] = (*round_times(method), "s a round")
    print()
    rows = []
    for name, (xs, ys, unit) in curves.items():
        times = ", ".join(f"{x}: {y:.3g}" for x, y in zip(xs, ys, strict=True))
        rows.append((name, times, unit, f"{ys[-1] / ys[0]:.1f} for {xs[-1] / xs[0]:.0f} times"))
    print(table(["grows with", "processor time", "", "times"], rows))
    draw(curves, figure)


def listing_times() -> tuple[list[int], list[float]]:
    counts, seconds = [1000, 10_000, 100_000], []
    with tempfile.TemporaryDirectory() as folder:
        there = 0
        for count in counts:
            for number in range(there, count):
                (Path(folder) / f"{number:06}.png").touch()
            there, start = count, time.process_time()
            assert len(walk(Path(folder)).files) == count
            seconds.append(time.process_time() - start)
    return counts, seconds


def round_times(method_name: str) -> tuple[list[int], list[float]]:
    """Of first rounds, in which RPT's clusters are made too."""
    counts, seconds = [8, 16, 32, 64], []
    words = [f"method={method_name}", *WORDS[1:]]
    words += ["method.cluster_count=64"] if method_name == "rpt_plain" else []
    squares = torch.arange(8 * 16).view(8, 16).repeat_interleave(16, 0).repeat_interleave(16, 1)
    for count in counts:
        method = setup.make_method(config_of(words), [f"class {number}" for number in range(19)])
        method.round = 1
        images = [
            Target(
                torch.randint(256, (4, 3, 128, 256), dtype=torch.uint8),
                superpixels=squares.expand(4, -1, -1),
                index=torch.arange(first, first + 4),
            )
            for first in range(0, count, 4)
        ]
        start = time.process_time()
        with evaluating(method):
            method.start_round(TargetPass(images, count, torch.device("cpu")))
        seconds.append(time.process_time() - start)
    return counts, seconds


def draw(curves: dict[str, Any], figure: Path) -> None:
    import matplotlib.pyplot as plt

    plot, axes = plt.subplots(2, len(curves) // 2, figsize=(2 * len(curves), 6.8))
    for axis, (name, (xs, ys, unit)) in zip(axes.flat, curves.items(), strict=True):
        axis.plot(xs, ys, "o-")
        axis.plot([0, xs[-1]], [0, ys[-1]], ":", color="gray", label="in proportion")
        axis.set(xlabel=name, ylabel=f"processor {unit}", xlim=(0, None), ylim=(0, None))
        axis.locator_params(axis="x", nbins=4)
        axis.legend(frameon=False)
    figure.parent.mkdir(parents=True, exist_ok=True)
    plot.tight_layout()
    plot.savefig(figure, dpi=110)
    print(f"\n{figure}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--figure", type=Path, default=Path("outputs/scaling.png"))
    parser.add_argument("--figure-only", action="store_true", help="without two processes")
    parser.add_argument("--process", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("overrides", nargs="*", help="of train")
    given = parser.parse_args()
    if given.process:
        process(int(given.process[0]), given.rounds, given.process[1], given.overrides)
        return
    print(f"{machine()}\n", flush=True)
    if not given.figure_only:
        two_processes()
    growth(given.figure, given.rounds, given.overrides)


def two_processes() -> None:
    with tempfile.TemporaryDirectory() as place:
        own = [sys.executable, __file__, *sys.argv[1:]]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        started = [
            subprocess.Popen([*own, "--process", str(rank), place], env=environment)
            for rank in range(2)
        ]
        if any(one.wait() for one in started):
            raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
