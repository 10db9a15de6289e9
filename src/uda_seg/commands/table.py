"""Run a published table, row by row and seed by seed; print ours beside the paper's numbers."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.cli.job_configs import configs
from uda_seg.config import own_folder
from uda_seg.evaluation import scores
from uda_seg.experiments.dry_run import plan_lines
from uda_seg.experiments.job_progress import complaints, watch
from uda_seg.experiments.requirements import Need, needs
from uda_seg.experiments.rows import Job, check_replaced, jobs, wanted_rows
from uda_seg.experiments.runner import RunError, slots
from uda_seg.report.comparison import Row
from uda_seg.report.reproduction import State, check_table, reproduction
from uda_seg.report.reproduction_latex import reproduction_latex
from uda_seg.report.reproduction_page import write_reproduction
from uda_seg.report.reproduction_text import (
    print_reproduction,
    reproduction_csv,
    reproduction_markdown,
)
from uda_seg.runs import files

log = logging.getLogger(__name__)


def run(config: dict[str, Any], folder: Path) -> None:
    table = config["table"]
    check_table(table)
    chosen = wanted_rows(table, config["rows"])
    every = jobs(table, config["seeds"], config["overrides"], folder, own_folder())
    wanted = [job for job in every if job.row in chosen]
    missing = {row: list(needs(made)) for row, made in configs(wanted).items()}
    if config["dry_run"]:
        for line in plan_lines(table, wanted, missing, config["jobs"]):
            log.info("%s", line)
    else:
        check_replaced(wanted, folder)
    failed = {} if config["dry_run"] else _run(wanted, missing, config)
    states = states_of(every, chosen, missing, failed)
    write(table, every, states, config["selection"], folder)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(wanted)} runs are missing; the same command tries them again\n"
            + complaints(wanted, failed)
        )


def _run(
    wanted: Sequence[Job], missing: Mapping[str, Sequence[Need]], config: Mapping[str, Any]
) -> dict[Path, str]:
    """Runs what is not done and can be run; folder to why of what failed or could not."""
    pending = [job for job in wanted if not job.done]
    failed = {
        job.folder: f"not started: {lacking(missing[job.row])}"
        for job in pending
        if lacking(missing[job.row])
    }
    log.info(
        "%s: %d runs, %d of them done, %d cannot be started here",
        config["table"]["name"], len(wanted), len(wanted) - len(pending), len(failed),
    )  # fmt: skip
    watch(wanted, slots(config["jobs"], threads=config["threads"]), failed)
    return failed


def lacking(found: Sequence[Need]) -> str:
    """What a run cannot do without, in one line."""
    return "; ".join(need.words for need in found if need.blocks)


def states_of(
    every: Sequence[Job],
    chosen: set[str],
    missing: Mapping[str, Sequence[Need]],
    failed: Mapping[Path, str],
) -> dict[str, State]:
    """Of every row: how many of its runs there are, and why others are not."""
    states = {}
    for row in dict.fromkeys(job.row for job in every):
        mine = [job for job in every if job.row == row]
        left = [job for job in mine if not job.done]
        whys: dict[str, list[str]] = {}
        for job in left:
            if job.folder in failed:
                words = failed[job.folder].partition("; its")[0]
                whys.setdefault(words, []).append(str(job.seed))
        if not left:
            states[row] = State("all" if len(mine) > 1 else "done")
            continue
        runs = f"{len(mine) - len(left)} of {len(mine)}" if len(left) < len(mine) else "not run"
        if whys:
            why = "; ".join(f"{words}, seed {', '.join(seeds)}" for words, seeds in whys.items())
        elif row not in chosen:
            why = "not asked for"
        else:
            why = f"needs {lacking(missing[row])}" if lacking(missing[row]) else "not run yet"
        states[row] = State(runs, why)
    return states


def write(
    table: Mapping[str, Any],
    every: Sequence[Job],
    states: Mapping[str, State],
    selection: str,
    folder: Path,
) -> None:
    """The table on the terminal, as table.md, table.csv, table.tex and index.html."""
    rows = {}
    for row, entry in table["rows"].items():
        done = [job for job in every if job.row == row and job.done]
        if done:
            runs = [scores.load(job.folder / "scores.json") for job in done]
            rows[row] = Row(row, str(entry["label"]), [job.folder for job in done], runs)
    made = reproduction(table, rows, states, selection)
    print_reproduction(made)
    files.write_text(folder / "table.md", reproduction_markdown(made))
    files.write_text(folder / "table.csv", reproduction_csv(made))
    files.write_text(folder / "table.tex", reproduction_latex(made))
    command = f"python -m uda_seg table table={table['name']}"
    write_reproduction(folder / "index.html", made, command)
    log.info("table and page: %s/table.md, .csv, .tex and index.html", folder)
