"""Run every row of a comparison for every seed; print one table, write one page."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uda_seg.cli.job_configs import configs
from uda_seg.config import own_folder
from uda_seg.evaluation import scores
from uda_seg.experiments.job_progress import complaints, watch
from uda_seg.experiments.rows import Job, check_replaced, jobs
from uda_seg.experiments.runner import RunError, slots
from uda_seg.report.comparison import Row
from uda_seg.report.page import write_page
from uda_seg.report.table import comparison_markdown, print_comparison, write_csv
from uda_seg.runs import files

log = logging.getLogger(__name__)


def run(config: dict[str, Any], folder: Path) -> None:
    comparison = config["comparison"]
    wanted = jobs(comparison, config["seeds"], config["overrides"], folder, own_folder())
    configs(wanted)
    pending = [job for job in wanted if not job.done]
    log.info(
        "%s: %d runs, %d of them done; folder %s",
        comparison["name"], len(wanted), len(wanted) - len(pending), folder,
    )  # fmt: skip
    if config["dry_run"]:
        for job in wanted:
            log.info("%s %s", "done   " if job.done else "pending", " ".join(job.command()[1:]))
        return
    check_replaced(wanted, folder)
    failed: dict[Path, str] = {}
    watch(wanted, slots(config["jobs"], threads=config["threads"]), failed)
    report(comparison, [job for job in wanted if job.folder not in failed], folder)
    if failed:
        raise RunError(
            f"{len(failed)} of {len(wanted)} runs failed; the same command tries them again\n"
            + complaints(wanted, failed)
        )


def report(comparison: dict[str, Any], finished: Sequence[Job], folder: Path) -> None:
    """Table on the terminal, `table.md`, `table.csv` and `index.html` in the folder."""
    rows = [
        Row(
            name=row,
            label=entry["label"],
            folders=[job.folder for job in finished if job.row == row],
            runs=[scores.load(j.folder / "scores.json") for j in finished if j.row == row],
        )
        for row, entry in comparison["rows"].items()
        if entry.get("shown", True)
    ]
    rows = [row for row in rows if row.runs]
    if not rows:
        log.warning("no run has finished: there is nothing to compare yet")
        return
    roles = {role: comparison[role] for role in ("baseline", "control", "oracle")}
    print_comparison(rows, **roles)
    files.write_text(folder / "table.md", comparison_markdown(rows, **roles))
    write_csv(folder / "table.csv", rows, **roles)
    write_page(
        folder / "index.html", comparison["title"], comparison["text"], rows, **roles,
        command=f"python -m uda_seg compare comparison={comparison['name']}",
    )  # fmt: skip
    log.info("page: %s", folder / "index.html")
