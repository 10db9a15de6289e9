"""The runs behind a comparison: which there are, which are done, and running the rest.

Runs are processes of their own, `python -m uda_seg train …`, so that each is exactly what a user
would start by hand and its command stands in its folder.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uda_seg import run_folder
from uda_seg.errors import ConfigError, UserError


@dataclass(frozen=True)
class Job:
    """One row and seed of a comparison.

    Attributes:
        row: its name in the comparison.
        seed: of the run.
        steps: it trains.
        folder: of the run.
        overrides: of the train command, without folder and resume.
        after: folder of the run whose network it starts from, or None.
        cost: how long it takes, in steps of a plain run.
    """

    row: str
    seed: int
    steps: int
    folder: Path
    overrides: tuple[str, ...]
    after: Path | None
    cost: float

    @property
    def done(self) -> bool:
        """Finished, and by this very command."""
        if _read(self.folder / "job.json").get("overrides") != list(self.overrides):
            return False
        return bool(_read(self.folder / "scores.json").get("finished"))

    def command(self) -> list[str]:
        """Continues the run if there is a checkpoint of the same command."""
        line = [sys.executable, "-m", "uda_seg", "train", *self.overrides]
        line += [_setting("hydra.run.dir", self.folder), "trainer.progress=false"]
        same = _read(self.folder / "job.json").get("overrides") == list(self.overrides)
        if same and (self.folder / "checkpoints" / "last.ckpt").is_file():
            line.append(_setting("resume", self.folder))
        return line


class Running:
    """A job's process.

    Args:
        job: to run.
        threads: of torch, in that process.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self.job = job
        command = job.command()
        job.folder.mkdir(parents=True, exist_ok=True)
        run_folder.write_json(job.folder / "job.json", {"overrides": list(job.overrides)})
        (job.folder / "progress.json").unlink(missing_ok=True)
        self.log = (job.folder / "output.txt").open("w")
        self.process = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        )

    def progress(self) -> dict[str, Any]:
        """What the run last said of itself: step, seconds_left and so on."""
        return _read(self.job.folder / "progress.json")

    def ended(self) -> bool:
        """Whether the process is over.

        Raises:
            UserError: it failed; with the end of what it printed.
        """
        code = self.process.poll()
        if code is None:
            return False
        self.log.close()
        if code != 0:
            printed = (self.job.folder / "output.txt").read_text().strip().splitlines()[-15:]
            raise UserError(
                f"{self.job.row}, seed {self.job.seed}: ended with exit code {code}; "
                f"its folder is {self.job.folder}; it said at last:\n" + "\n".join(printed)
            )
        return True

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


def jobs(
    comparison: Mapping[str, Any], seeds: Sequence[int], extra: Sequence[str], folder: Path
) -> list[Job]:
    """All runs of a comparison, seed by seed, in the order of its rows."""
    return [
        _job(comparison, row, seed, extra, folder) for seed in seeds for row in comparison["rows"]
    ]


def _job(
    comparison: Mapping[str, Any], row: str, seed: int, extra: Sequence[str], folder: Path
) -> Job:
    entry = comparison["rows"][row]
    after = entry.get("after")
    if after is not None and after not in comparison["rows"]:
        raise ConfigError(
            f"comparison.rows.{row}.after: there is no row {after!r}; "
            f"there are {', '.join(comparison['rows'])}"
        )
    start = folder.absolute() / after / f"seed{seed}" if after else None
    overrides = [*comparison["common"], *entry["overrides"], f"trainer.steps={entry['steps']}"]
    overrides += [*extra, f"seed={seed}"]
    if start is not None:
        overrides.append(_setting("initial", start))
    here = folder.absolute() / row / f"seed{seed}"
    cost = entry["steps"] * entry.get("cost", 1.0)
    return Job(row, seed, entry["steps"], here, tuple(overrides), start, cost)


def run_all(pending: Sequence[Job], at_once: int, threads: int) -> Iterator[list[Running]]:
    """Runs jobs, `at_once` at a time; yields the running ones a few times a second.

    A job that starts from another run's network waits for that run. Of those that are ready the
    costliest begins first, so that none is left over for one core at the end.
    """
    waiting, running = list(pending), list[Running]()
    try:
        while waiting or running:
            running = [one for one in running if not one.ended()]
            busy = {one.job.folder for one in running} | {job.folder for job in waiting}
            ready = [job for job in waiting if job.after not in busy]
            for job in sorted(ready, key=lambda job: -job.cost):
                if len(running) < at_once:
                    waiting.remove(job)
                    running.append(Running(job, threads))
            yield running
            time.sleep(0.3)
    finally:
        for one in running:
            if one.process.poll() is None:
                one.stop()


def _setting(key: str, path: Path) -> str:
    """key='path', quoted for Hydra's grammar: folders may have any name."""
    quoted = str(path).replace("'", "\\'")
    return f"{key}='{quoted}'"


def _read(path: Path) -> dict[str, Any]:
    """A JSON file, or nothing while it is not there."""
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}
