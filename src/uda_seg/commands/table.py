"""Run a published table, row by row and seed by seed; print ours beside the paper's numbers."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.cli.job_configs import configs
from uda_seg.config import own_folder
from uda_seg.evaluation import scores
from uda_seg.experiments.asked_for import asked_for
from uda_seg.experiments.dry_run import plan_lines
from uda_seg.experiments.job_progress import complaints
from uda_seg.experiments.requirements import Need, lacking, needs_of_rows, run_missing
from uda_seg.experiments.rows import Job, check_replaced, jobs, wanted_rows
from uda_seg.experiments.runner import RunError, slots
from uda_seg.report.page import write_table_page
from uda_seg.report.rows import Row
from uda_seg.report.spec import table_of
from uda_seg.report.writers import print_table, write_tables
from uda_seg.runs.identity import device_count

log = logging.getLogger(__name__)


def run(config: dict[str, Any], folder: Path, verb: str = "table") -> None:
    """
    Args:
        config: of the command.
        folder: of the table; its runs go below it.
        verb: `table`, or `compare`, which leaves the published numbers out.

    Raises:
        RunError: some runs failed, or could not be started; the table is written all the same.
    """
    spec = asked_for(config, verb)
    chosen = wanted_rows(spec, config["rows"])
    every = jobs(spec, config["seeds"], config["overrides"], folder, own_folder())
    wanted = [job for job in every if job.row in chosen]
    composed = configs(wanted)
    missing = needs_of_rows(wanted, composed)
    devices = max(device_count(made["trainer"]["devices"]) for made in composed.values())
    places = slots(config["jobs"], config["gpus"], devices, config["threads"])
    if config["dry_run"]:
        for line in plan_lines(spec, wanted, missing, len(places)):
            log.info("%s", line)
        failed = {}
    else:
        check_replaced(wanted, folder)
        failed = run_missing(spec["name"], wanted, missing, places)
    rows = rows_of(every, chosen, missing, failed, config["selection"])
    write(spec, rows, config["selection"], folder, verb)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(wanted)} runs are missing; the same command tries them again\n"
            + complaints(wanted, failed)
        )


def rows_of(
    every: Sequence[Job],
    chosen: set[str],
    missing: Mapping[str, Sequence[Need]],
    failed: Mapping[Path, str],
    selection: str,
) -> dict[str, Row]:
    """Rows by name: their finished runs, how many these are, and why there are no others."""
    rows = {}
    for name in dict.fromkeys(job.row for job in every):
        mine = [job for job in every if job.row == name]
        if mine[0].verb == "evaluate" and selection != "last":
            why = "networks are scored together at their last step alone"
            rows[name] = Row(name, name, state="not run", why=why)
            continue
        done = [job for job in mine if job.done]
        row = rows[name] = Row(name, name, [job.folder for job in done])
        row.runs = [scores.load(job.folder / "scores.json") for job in done]
        if len(done) == len(mine):
            row.state = "all" if len(mine) > 1 else "done"
            continue
        row.state = f"{len(done)} of {len(mine)}" if done else "not run"
        reasons: dict[str, list[str]] = {}
        for job in mine:
            if job.folder in failed:
                words = failed[job.folder].partition("; its")[0]
                reasons.setdefault(words, []).append(str(job.seed))
        if reasons:
            parts = (f"{words}, seed {', '.join(seeds)}" for words, seeds in reasons.items())
            row.why = "; ".join(parts)
        elif name not in chosen:
            row.why = "not asked for"
        else:
            row.why = f"needs {words}" if (words := lacking(missing[name])) else "not run yet"
    return rows


def write(
    spec: Mapping[str, Any], rows: Mapping[str, Row], selection: str, folder: Path, verb: str
) -> None:
    """The table on the terminal, as table.md, table.csv, table.tex and index.html."""
    table = table_of(spec, rows, selection)
    if not table.finished and not table.classes:
        log.warning("no run has finished: there is nothing to compare yet")
        return
    print_table(table)
    write_tables(table, folder)
    command = f"python -m uda_seg {verb} table={spec['name']}"
    write_table_page(folder / "index.html", table, command)
    log.info("table and page: %s/table.md, .csv, .tex and index.html", folder)
