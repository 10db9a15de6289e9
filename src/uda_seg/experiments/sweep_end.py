"""What is left at a sweep's end: a table, sweep.csv, sweep.svg, and the jobs that failed."""

import logging
import shlex
import sys
from pathlib import Path

from uda_seg.errors import UserError
from uda_seg.experiments import sweep_folder
from uda_seg.runs import run_folder

log = logging.getLogger(__name__)


def conclude(folder: Path, training: bool) -> int:
    """Writes and says what a sweep found.

    Args:
        folder: of the sweep.
        training: whether its jobs are runs, with scores.

    Returns:
        The exit code: the greatest of the jobs'; 1 if one was not finished.
    """
    facts, jobs, code = sweep_folder.read(folder), sweep_folder.jobs(folder), 0
    if training:
        _write(folder, facts, jobs)
    missing = []
    for job in jobs:
        why = sweep_folder.failure(job)
        if why:
            code = max(code, why["exit_code"])
            missing.append(f"  {job.name}: {why['message'].partition(chr(10))[0]}")
        elif training and not run_folder.finished(job):
            code = max(code, 1)
            missing.append(f"  {job.name}: was not finished")
    if facts.get("gave_up"):
        code = max(code, 1)
        missing.append(f"  the launcher: {facts['gave_up']}")
    if missing:
        lines = [
            f"uda-seg: {len(missing)} of {len(jobs)} jobs are not done:",
            *missing,
            _cure(facts),
        ]
        print("\n".join(lines), file=sys.stderr, flush=True)
    return code


def _cure(facts: dict) -> str:
    command = facts.get("command", "the same command")
    again = command if "resume=" in command else f"{command} resume=auto"
    if facts.get("sweeper") == "optuna":
        return (
            f"A failed trial is not tried again; a larger hydra.sweeper.n_trials goes on: {again}"
        )
    return f"What is missing is tried again by: {again}"


def _write(folder: Path, facts: dict, jobs: list[Path]) -> None:
    from uda_seg.report import sweep as report
    from uda_seg.report.published_curves import read_published

    names = facts.get("published") or []
    names = [names] if isinstance(names, str) else names
    try:
        published = [curve for name in names for curve in read_published(name)]
        began = [job for job in jobs if (job / "config.yaml").is_file()]
        by = facts["objective"] if facts.get("sweeper") == "optuna" else None
        found = report.look(began, list(facts.get("swept", {})), by)
        report.write_csv(found, folder / "sweep.csv")
        drawn = report.write_figure(found, published, folder / "sweep.svg")
        report.print_table(found)
    except UserError as error:  # the runs are done, whatever is wrong with their summary
        log.warning("no summary: %s", error)
        return
    files = "sweep.csv" + (f", sweep.svg ({', '.join(drawn)})" if drawn else "")
    print(f"{folder}: {files}")
    words = [f"runs={folder}", *([f"published={names[0]}"] if names else [])]
    print(f"page: {shlex.join(['python', '-m', 'uda_seg', 'report', *words])}", flush=True)
