"""Run every row of a comparison for every seed; print one table, write one page."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from uda_seg import run_folder
from uda_seg.comparison import Job, Running, jobs, run_all
from uda_seg.evaluation import scores
from uda_seg.report.comparison import Row
from uda_seg.report.page import write_page
from uda_seg.report.table import comparison_markdown, print_comparison, write_csv

log = logging.getLogger(__name__)

FIRST = 20
"""Steps before a run's speed says something: the first ones draw images and warm caches."""


def run(config: DictConfig, folder: Path) -> float | None:
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    comparison = plain["comparison"]
    wanted = jobs(comparison, plain["seeds"], plain["overrides"], folder)
    pending = [job for job in wanted if not job.done]
    log.info(
        "%s: %d runs, %d of them done; folder %s",
        comparison["name"], len(wanted), len(wanted) - len(pending), folder,
    )  # fmt: skip
    if plain["dry_run"]:
        for job in wanted:
            log.info("%s %s", "done   " if job.done else "pending", " ".join(job.command()[1:]))
        return None
    threads = plain["threads"] or max(1, (os.cpu_count() or 1) // plain["jobs"])
    watch(wanted, pending, plain["jobs"], threads)
    return report(comparison, wanted, folder)


def watch(wanted: Sequence[Job], pending: Sequence[Job], at_once: int, threads: int) -> None:
    """Runs what is pending under one bar per running job and one for the whole."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns) as bars:
        total = sum(job.steps for job in wanted)
        done = total - sum(job.steps for job in pending)
        whole = bars.add_task("all runs", total=total, completed=done, said="")
        shown: dict[Path, TaskID] = {}
        state: dict[Path, dict[str, Any]] = {}
        for running in run_all(pending, at_once, threads):
            for one in running:
                job, said = one.job, one.progress()
                if job.folder not in shown:
                    name = f"{job.row}, seed {job.seed}"
                    shown[job.folder] = bars.add_task(name, total=job.steps, said="starts")
                if said:
                    state[job.folder] = said
                    bars.update(shown[job.folder], completed=said["step"], said=_words(said))
            _forget(bars, shown, running)
            current = {one.job.folder for one in running}
            seen = sum(
                state.get(job.folder, {}).get("step", 0) if job.folder in current else job.steps
                for job in pending
                if job.folder in state
            )
            bars.update(whole, completed=done + seen, said=_left(pending, state, current, at_once))


def _forget(bars: Progress, shown: dict[Path, TaskID], running: Sequence[Running]) -> None:
    for folder in shown.keys() - {one.job.folder for one in running}:
        bars.remove_task(shown.pop(folder))


def _words(said: dict[str, Any]) -> str:
    rate = said.get("images_per_second")
    return f"step {said['step']}/{said['steps']}" + (f", {rate:.1f} images/s" if rate else "")


def _left(
    pending: Sequence[Job], state: dict[Path, dict[str, Any]], current: set[Path], at_once: int
) -> str:
    """Time left, from the mean time of a step so far; runs that have not begun count the same."""
    speeds = [
        said["seconds_left"] / (said["steps"] - said["step"])
        for said in state.values()
        if said.get("seconds_left") and FIRST <= said["step"] < said["steps"]
    ]
    if not speeds:
        return ""
    steps = sum(
        job.steps - (state[job.folder]["step"] if job.folder in state else 0)
        for job in pending
        if job.folder in current or job.folder not in state
    )
    minutes = steps * sum(speeds) / len(speeds) / min(at_once, max(1, len(pending))) / 60
    return f"about {minutes:.0f} min left"


def report(comparison: dict[str, Any], wanted: Sequence[Job], folder: Path) -> float | None:
    """Table on the terminal, `table.md`, `table.csv` and `index.html` in the folder."""
    rows = [
        Row(
            name=row,
            label=entry["label"],
            folders=[job.folder for job in wanted if job.row == row],
            runs=[scores.load(j.folder / "scores.json") for j in wanted if j.row == row],
        )
        for row, entry in comparison["rows"].items()
        if entry.get("shown", True)
    ]
    roles = {role: comparison[role] for role in ("baseline", "control", "oracle")}
    print_comparison(rows, **roles)
    run_folder.write_text(folder / "table.md", comparison_markdown(rows, **roles))
    write_csv(folder / "table.csv", rows, **roles)
    write_page(
        folder / "index.html", comparison["title"], comparison["text"], rows, **roles,
        command=f"python -m uda_seg compare comparison={comparison['name']}",
    )  # fmt: skip
    log.info("page: %s", folder / "index.html")
    return None
