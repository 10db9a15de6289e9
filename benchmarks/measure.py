"""How the benchmarks here measure: candidates take turns, tables show medians and ratios."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from uda_seg.runs.memory import ask_for_large_pages

ask_for_large_pages()  # as the command line does, before torch is imported

Clock = Callable[[], float]


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Clock = time.process_time,
    warm_up: int = 1,
) -> dict[str, list[float]]:
    """Seconds that each way took in each round, by its name.

    A busy machine slows all of them alike, since they take turns; the order turns round too, so
    that none always follows the same other.

    Args:
        clock: seconds of this process on the processor, or `time.perf_counter`.
        warm_up: rounds that are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(warm_up + rounds):
        for name, way in list(ways.items())[:: -1 if turn % 2 else 1]:
            start = clock()
            way()
            taken = clock() - start
            if turn >= warm_up:
                seconds[name].append(taken)
    return seconds


def ratio(base: Sequence[float], other: Sequence[float]) -> float:
    """How many times as fast the other is: the median over rounds of base / other."""
    return statistics.median(b / o for b, o in zip(base, other, strict=True))


def peak_megabytes() -> float:
    """The most memory that this process has held so far; measure a candidate in a process alone.

    Linux gives a new program its parent's peak in `ru_maxrss`: there its own is read.
    """
    own = Path("/proc/self/status")
    if own.exists():
        line = next(line for line in own.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    """Processor, cores, and the versions that matter."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            found = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
            name = next(found, name)
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "torchvision", "timm", "lightning"))
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows as a Markdown table; numbers with three digits that count."""
    lines = [header, ["---"] * len(header), *([_text(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(cell: object) -> str:
    return (
        f"{cell:.3g}"
        if isinstance(cell, float) and abs(cell) < 100
        else (f"{cell:.0f}" if isinstance(cell, float) else str(cell))
    )
