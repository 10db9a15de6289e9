"""What a start costs: processor time of whole processes, and how much of it is imports.

    python benchmarks/start.py [--rounds 3] [--against OTHER/CHECKOUT]

Every row is a process of its own with one thread; another checkout's takes turns with it, in the
same environment. "Imports" is the time until the modules are there that the command needs.

2026-11-26, --rounds 1, Intel Xeon of two cores, seconds of processor time: import uda_seg 0.03,
--help 0.14, a wrong key 0.46, import torch 1.8, lightning 5.4, imports of a run 4.9, a run of one
step 10.5 (goal 5), evaluate 9.4. By turns with a checkout of that morning: 9.9 instead of 11.8.

Of a run's imports (`python -X importtime`, 8.0 s with its own costs) torch has 3.7 s, of which 2.0
are torch._dynamo, which torchvision's roi_align asks for; scipy has 1.3 (torchmetrics' audio, for
scipy.signal) and matplotlib 0.5 (torchmetrics' plots): all by way of torchmetrics, which Lightning
imports.

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
