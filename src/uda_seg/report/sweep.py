"""What a sweep found: a table, a CSV file, and mIoU against what was swept as one SVG file."""

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console

from uda_seg.evaluation.scores import method_label
from uda_seg.report.columns import (
    INFORMATION,
    LABEL_FREE,
    MEASURES,
    MIOU,
    ORACLE_BEST,
    Column,
    part_columns,
)
from uda_seg.report.figures import Series, draw_curves
from uda_seg.report.parameters import Drawing, Family, PublishedCurve, drawing, families
from uda_seg.report.rows import Row
from uda_seg.report.runs import Run, read
from uda_seg.report.table import Table
from uda_seg.report.tables_of_runs import tables
from uda_seg.report.writers import to_csv, to_rich
from uda_seg.runs.files import write_text

CRITERION = "information_maximisation"
ROW = 18
"""Pixels between two lines of text in a figure."""
WRAP = 118
"""Letters in such a line, at most."""


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep.

    Attributes:
        swept: keys with several values, the seed left out.
        runs: all that have been begun and can be read.
        found: the finished ones, in rows of several seeds.
        chosen_by: what a search maximised; None of a grid.
    """

    swept: list[str]
    runs: list[Run]
    found: list[Table]
    chosen_by: str | None = None

    @property
    def choice(self) -> str:
        """What target labels were used for, in words."""
        if self.chosen_by is None:
            return "Target labels chose nothing."
        if self.chosen_by == CRITERION:
            return "The values were searched without labels, by information maximisation."
        return "The values were searched by these very labels: an oracle's choice."


def look(folders: Sequence[Path], swept: Sequence[str], chosen_by: str | None = None) -> Sweep:
    """
    Args:
        folders: run folders of a sweep.
        swept: its keys.
        chosen_by: see `Sweep`.
    """
    runs = [read(folder) for folder in folders]
    finished = [run for run in runs if run.finished]
    found = tables(finished, {}, "last")[0] if finished else []
    return Sweep([key for key in swept if key != "seed"], runs, found, chosen_by)


def write_csv(sweep: Sweep, path: Path) -> None:
    """One row a run, numbers with four decimals; unfinished runs have no scores."""
    runs = {run.folder.name: run for run in sweep.runs}
    rows = [
        Row(name, name, [run.folder], [run.scores] if run.scores and run.finished else [])
        for name, run in runs.items()
    ]

    def words(key: str, of: Callable[[Run], Any]) -> Column:
        return Column(key, key, lambda row: of(runs[row.name]), "words")

    columns = [
        words("job", lambda run: run.folder.name),
        *map(_swept_column, sweep.swept),
        words("seed", lambda run: run.config.get("seed", "")),
        words("finished", lambda run: str(run.finished).lower()),
        words("steps", lambda run: run.steps[0]),
        *(replace(column, kind="number") for column in (MIOU, LABEL_FREE, ORACLE_BEST, *MEASURES)),
        INFORMATION,
        Column("training_seconds", "seconds", _seconds, "number"),
        *part_columns(rows),
    ]
    write_text(path, to_csv(rows, columns))


def _swept_column(key: str) -> Column:
    return Column(key, key, lambda row: _said(row, key), "words")


def _seconds(row: Row) -> float | None:
    return row.runs[0].get("training_seconds") if row.runs else None


def print_table(sweep: Sweep, console: Console | None = None) -> None:
    """Means over seeds, in the order of the values."""
    console = console or Console()
    columns = [
        *map(_swept_column, sweep.swept),
        Column("seeds", "seeds", lambda row: ", ".join(map(str, row.seeds)), "words"),
        replace(MIOU, mark="*"),
        LABEL_FREE,
        *(replace(column, is_best=None) for column in MEASURES),
        replace(INFORMATION, is_best=max, mark="†"),
    ]
    for table in sweep.found:
        rows = sorted(table.rows, key=lambda row: _order(row, sweep.swept))
        grid = replace(table, rows=rows).grid(columns)
        console.print(f"\n{table.title}: percent, last step", style="bold", markup=False)
        console.print(to_rich(grid.without_labels()))
    if sweep.found:
        console.print("* highest mIoU: to take it is a choice by target labels, an oracle's.")
        console.print("† most information in the predictions on target images: no label is used.")
        console.print(sweep.choice if sweep.chosen_by else "", end="\n" if sweep.chosen_by else "")


def write_figure(sweep: Sweep, published: Sequence[PublishedCurve], path: Path) -> list[str]:
    """One figure for each number that was swept, above each other.

    Returns:
        The keys that are drawn; nothing is written without any.
    """
    drawn = [
        (table, found)
        for table in sweep.found
        for key in sweep.swept
        if (found := _drawing(table.rows, key, published)) is not None
    ]
    if drawn:
        blocks = [_block(table, found, published, sweep.choice) for table, found in drawn]
        write_text(path, stacked(blocks))
    return [found.plot.x_label for _, found in drawn]


def _drawing(rows: Sequence[Row], key: str, published: Sequence[PublishedCurve]) -> Drawing | None:
    """A curve for rows that differ in this number alone; else dots, all of one color."""
    members = families(rows).get(key)
    if members and sum(len(one.points) for one in members) > 2:
        return drawing(key, members, rows, published, "last")
    points: dict[float, Row] = {}
    for row in rows:
        try:
            points[float(_said(row, key))] = row
        except ValueError:
            return None
    if len(points) < 2:
        return None
    method = method_label(rows[0].runs[0]["method"])
    alone = bool(members)
    return drawing(key, [Family(method, {}, points)], rows, published, "last", connected=alone)


def _block(
    table: Table, found: Drawing, published: Sequence[PublishedCurve], choice: str
) -> tuple[str, list[Series], list[str]]:
    """A figure as SVG, its legend, and what stands below it."""
    seeds = max(len(row.seeds) for row in table.rows)
    text = f"{table.title}. mIoU at the last step. {choice}"
    text += " Mean over seeds; the band goes from the lowest to the highest." if seeds > 1 else ""
    notes = [text]
    papers = [one for one in published if one.key == found.plot.x_label and one.origin]
    notes += [f"{paper.label}: {paper.origin}." for paper in papers]
    notes += ["Published curves are of their own data and networks."] if papers else []
    notes += [f"Outside the figure: {', '.join(found.beyond)}."] if found.beyond else []
    series = [curve.series for curve in found.curves]
    return draw_curves(found.curves, found.plot), series, notes


def stacked(blocks: Sequence[tuple[str, list[Series], list[str]]]) -> str:
    """One SVG file out of figures, each with its legend above and its notes below."""
    parts, y, width = [], 10.0, 760.0
    for figure, series, notes in blocks:
        for one in series:
            parts.append(
                f'<line x1="20" x2="48" y1="{y + 8:g}" y2="{y + 8:g}" stroke-width="3" '
                f'stroke-dasharray="{one.dash}" style="stroke:{one.color}"/>'
                f'<text x="56" y="{y + 12:g}">{escape(one.label)}</text>'
            )
            y += ROW
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', figure)
        assert size is not None
        across, down = float(size[1]), float(size[2])
        place = f'<svg x="0" y="{y + 4:g}" width="{across:g}" height="{down:g}" '
        parts.append(figure.replace('<svg class="figure" ', place, 1))
        y += down + 4 + ROW
        for line in (line for text in notes for line in textwrap.wrap(text, WRAP)):
            parts.append(f'<text x="20" y="{y:g}" fill="#555">{escape(line)}</text>')
            y += ROW
        y += ROW
    inside = re.sub(r"var\([^,()]+, ([^()]+)\)", r"\1", "".join(parts))  # for viewers without CSS
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {y:g}" width="{width:g}" '
        f'height="{y:g}" font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="white"/>{inside}</svg>\n'
    )


def _said(row: Row, key: str) -> str:
    return read(row.folders[0]).overrides.get(key, "")


def _order(row: Row, swept: Sequence[str]) -> list[tuple[bool, float, str]]:
    found = []
    for key in swept:
        said = _said(row, key)
        try:
            found.append((False, float(said), said))
        except ValueError:
            found.append((True, 0.0, said))
    return found
