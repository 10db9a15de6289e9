"""Processor time of a CPU run's training steps and scorings, against another checkout's.

    python benchmarks/steps.py [--against OTHER/CHECKOUT] [--rounds 15] [--methods source_only …]
                               [overrides of train, such as trainer.batch_size=2 …]

Each checkout runs in processes of its own, which take turns step by step, so that a busy machine
slows all of them; the time is the process's own on the processor (user and kernel), and the table
shows medians. A round is one training step and one scored batch of validation images.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

METHODS = ("source_only", "adaptive_bn", "adaptseg_tuned", "target_only")
HERE = Path(__file__).resolve().parents[1]


def worker(overrides: list[str]) -> None:
    """Prints a line of numbers for each line it reads."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from uda_seg.config import conf_folder

    try:
        from uda_seg.runs.memory import keep_freed_memory

        keep_freed_memory()
    except ImportError:  # a checkout from before
        pass
    import torch

    from uda_seg.networks.modes import evaluating

    try:
        from uda_seg.training import setup
        from uda_seg.training.trainer import set_up_torch
    except ImportError:  # a checkout from before
        from uda_seg.commands import train as setup

        set_up_torch = getattr(setup, "set_up_torch", torch.set_num_threads)
    set_up_torch(1)
    # As Lightning does for trainer.deterministic=warn.
    torch.use_deterministic_algorithms(True, warn_only=True)
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        config: Any = OmegaConf.to_container(compose("train", overrides), resolve=True)
    torch.manual_seed(0)
    pair = setup.make_data_module(config, Path(tempfile.mkdtemp()))
    method = setup.make_method(config, list(pair.space.classes))
    module = setup.make_adaptation(config, method, list(pair.space.classes))
    optimizer = module.configure_optimizers()["optimizer"]
    pair.trainer = module.trainer = Alone()  # type: ignore[assignment]
    training, scoring = iter(pair.train_dataloader()), iter(pair.val_dataloader())
    method.train()

    def step() -> None:
        batch = pair.on_after_batch_transfer(next(training), 0)
        optimizer.zero_grad()
        for losses in method.losses(batch):
            module.objective(losses).backward()
        optimizer.step()

    def score() -> None:
        with evaluating(module):
            module.validation_step(pair.on_after_batch_transfer(next(scoring), 0), 0)

    for task in (step, step, score, score):
        task()
    for _ in sys.stdin:
        print(json.dumps([measured(step), measured(score)]), flush=True)


class Alone:
    """As much of a Lightning trainer as a data module asks for."""

    global_step, global_rank, world_size, num_devices = 0, 0, 1, 1


def measured(task: Any) -> tuple[float, float, int]:
    """User and kernel seconds, and page faults."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    task()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return (
        after.ru_utime - before.ru_utime,
        after.ru_stime - before.ru_stime,
        after.ru_minflt - before.ru_minflt,
    )


def started(checkout: Path, overrides: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", *overrides],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, help="folder of another checkout")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("overrides", nargs="*", help="of train")
    arguments = parser.parse_args()
    checkouts = {"here": HERE} | ({"other": arguments.against} if arguments.against else {})
    print("| method | checkout | step: user ms | kernel ms | faults | scoring: ms | faults |")
    print("|---|---|---|---|---|---|---|")
    for method in arguments.methods:
        # A step of the demo, in which scenes are drawn once and found in memory from then on.
        overrides = [f"method={method}", "backbone=small", "trainer=cpu", "trainer.workers=0"]
        overrides += arguments.overrides
        workers = {name: started(folder, overrides) for name, folder in checkouts.items()}
        found: dict[str, list] = {name: [] for name in workers}
        for _ in range(arguments.rounds):
            for name, process in workers.items():
                print(file=process.stdin, flush=True)
                found[name].append(json.loads(process.stdout.readline()))
        for name, rounds in found.items():
            workers[name].stdin.close()
            workers[name].wait()
            (user, kernel, faults), (user_2, kernel_2, faults_2) = (
                [statistics.median(values) for values in zip(*part, strict=True)]
                for part in zip(*rounds, strict=True)
            )
            print(
                f"| {method} | {name} | {1000 * user:.0f} | {1000 * kernel:.0f} | {faults:.0f} "
                f"| {1000 * (user_2 + kernel_2):.0f} | {faults_2:.0f} |"
            )


if __name__ == "__main__":
    worker(sys.argv[2:]) if sys.argv[1:2] == ["--worker"] else main()
