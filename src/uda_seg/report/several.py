"""The page of any set of run folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.report.page import Choices, write_page
from uda_seg.report.parameters import check_against
from uda_seg.report.runs import find, read, spec_of
from uda_seg.report.tables_of_runs import tables


def write_report(
    path: Path,
    patterns: Sequence[str],
    roles: Mapping[str, str | None],
    choices: Choices,
    title: str | None = None,
    command: str | None = None,
) -> str:
    """
    Args:
        path: of the HTML file.
        patterns: see `find`.
        roles: see `tables`.
        choices: what of the runs is shown.
        title: the page's headline; None: that of the runs' table, or "Runs".
        command: that made the page, to be shown.

    Returns:
        What is on the page, in words.

    Raises:
        UserError: there is nothing to show, or what was asked for does not exist.
    """
    runs = [read(folder) for folder in find(patterns)]
    found, remarks = tables(runs, roles, choices.selection)
    check_against(choices.against, found)
    finished = sum(run.finished for run in runs)
    words = f"{len(runs)} runs" if len(runs) != 1 else "1 run"
    said = f"{words}, {finished} finished, in {sum(len(table.rows) for table in found)} rows"
    if len(found) > 1:
        said += f" of {len(found)} tables"
    headline = (
        title or _headline([spec_of(run.folder) for run in runs]) or _named(patterns) or "Runs"
    )
    text = f"{said}. Rows are means over seeds."
    write_page(path, headline, text, found, choices, command, remarks)
    return said


def _headline(specs: Sequence[dict[str, Any] | None]) -> str | None:
    """A table's title, if all runs are of one."""
    titles = {spec["title"] if spec else None for spec in specs}
    return titles.pop() if len(titles) == 1 else None


def _named(patterns: Sequence[str]) -> str | None:
    """After the one folder that was given."""
    only = Path(patterns[0]).resolve()
    if len(patterns) > 1 or not only.is_dir():
        return None
    return "/".join(only.parts[-2:]) if (only / "scores.json").is_file() else only.name
