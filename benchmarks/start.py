"""What a start costs: processor time of whole processes, and how much of it is imports.

    python benchmarks/start.py [--rounds 3] [--against OTHER/CHECKOUT]

Every row is a process of its own with one thread; another checkout's takes turns with it, in the
same environment. "Imports" is the time until the modules are there that the command needs.

2026-11-26, --rounds 3, Intel Xeon of two cores with other work beside it, seconds of processor
time, by turns with a checkout of that morning (5bd9386): import uda_seg 0.03, --help 0.11, a wrong
key 0.34, import torch 1.5, lightning 4.7, imports of a run 4.1, a run of one step 4.4 instead of
8.3 (goal 5), evaluate 5.1 instead of 7.3. All others are what they were, up to 14 %.

The run's time, commit by commit, medians of four turns: 7.6; 6.0 when trainer.limit_val_images
scored 8 images instead of 100; 4.8 when the process was no longer taken apart at its end; 4.6
without a second save of its last step; 4.1 without scipy.signal. The last three hold for any
run, the first for trainer=debug alone. The rows of imports import plainly and end as Python does:
scipy.signal and the end are in them.

Of a run's imports (`python -X importtime`, 3.8 s with its own costs) torch had 1.1, torch._dynamo
0.9, scipy.signal 0.7, matplotlib (torchmetrics' plots) 0.35, torchvision itself 0.1. torchvision's
roi_align asks for _dynamo, and every optimizer would.

A wrong key took 0.24 where this was first measured; that day's code (543b7a9) takes 0.45 to 0.51
here, by turns with today's 0.44 to 0.49, of which `import omegaconf, hydra` 0.19. Where sources are
compiled anew (PYTHONDONTWRITEBYTECODE=1, as here) that is some 0.03 of it.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import machine, ratio, table

RUN = ["backbone=tiny", "trainer=debug", "trainer.steps=1"]


def rows(folder: str) -> dict[str, list[str]]:
    run = ["-m", "uda_seg"]
    return {
        "import uda_seg": ["-c", "import uda_seg"],
        "--help": [*run, "--help"],
        "--version": [*run, "--version"],
        "a wrong key": [*run, "trainer.step=5"],
        "import torch": ["-c", "import torch"],
        "import lightning": ["-c", "import lightning"],
        "imports of a run": ["-c", "import gc; gc.disable(); import uda_seg.commands.train"],
        "a run of one step": [*run, *RUN, f"hydra.run.dir={folder}/run"],
        "imports of evaluate": ["-c", "import gc; gc.disable(); import uda_seg.commands.evaluate"],
        "evaluate": [*run, "evaluate", f"checkpoint={folder}/run", f"hydra.run.dir={folder}/score"],
    }


def seconds(words: list[str], checkout: Path) -> tuple[float, float]:
    """On the processor, and by the clock."""
    path = {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], env=os.environ | path, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout of this repository")
    arguments = parser.parse_args()
    checkouts = [Path(__file__).parents[1].resolve()]
    checkouts += [arguments.against.resolve()] if arguments.against else []
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for turn in range(arguments.rounds + 1):
        for number, checkout in list(enumerate(checkouts))[:: -1 if turn % 2 else 1]:
            with tempfile.TemporaryDirectory() as folder:
                for name, words in rows(folder).items():
                    taken = seconds(words, checkout)
                    if turn:  # the first warms the disk
                        found.setdefault(name, [[] for _ in checkouts])[number].append(taken)
    print(f"{machine()}; medians of {arguments.rounds}\n")
    header = ["", "processor, s", "clock, s"]
    header += ["against the other, times as fast"] if arguments.against else []
    lines = []
    for name, both in found.items():
        ours, *others = [[processor for processor, _ in one] for one in both]
        line = [name, statistics.median(ours), statistics.median(clock for _, clock in both[0])]
        lines.append([*line, *(ratio(other, ours) for other in others)])
    print(table(header, lines))


if __name__ == "__main__":
    main()
