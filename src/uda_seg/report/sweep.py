"""What a sweep found: a table, a CSV file, and mIoU against what was swept as one SVG file."""

import csv
import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from uda_seg.evaluation.scores import method_label
from uda_seg.report.boards import Board, boards
from uda_seg.report.comparison import Line, Spread, spread
from uda_seg.report.figures import Series, draw_curves
from uda_seg.report.grouping import grouped
from uda_seg.report.parameters import Drawing, Family, PublishedCurve, drawing, families
from uda_seg.report.runs import Run, read
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
    found: list[Board]
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
    found = boards(grouped(finished), {}, "last")[0] if finished else []
    return Sweep([key for key in swept if key != "seed"], runs, found, chosen_by)


def write_csv(sweep: Sweep, path: Path) -> None:
    """One row a run, numbers with four decimals; unfinished runs have no scores."""
    text = io.StringIO()
    scores = ("miou", "miou_label_free", "miou_oracle_best", CRITERION)
    heads = ["job", *sweep.swept, "seed", "finished", "steps", *scores, "training_seconds"]
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(heads)
    for run in sweep.runs:
        done = run.scores if run.finished else None
        chosen = done["selections"] if done else {}
        mious = [chosen.get(name, {}).get("miou") for name in ("last", "label_free", "oracle_best")]
        said = [run.overrides.get(key, "") for key in sweep.swept]
        seed = run.config.get("seed", "")
        figures = [*mious, _criterion(done), (done or {}).get("training_seconds")]
        row = [run.folder.name, *said, seed, str(run.finished).lower(), run.steps[0]]
        rows.writerow([*row, *("" if v is None or math.isnan(v) else f"{v:.4f}" for v in figures)])
    write_text(path, text.getvalue())


def print_table(sweep: Sweep, console: Console | None = None) -> None:
    """Means over seeds, in the order of the values."""
    console = console or Console()
    for board in sweep.found:
        lines = sorted(board.lines, key=lambda line: _order(line, sweep.swept))
        table = Table()
        for key in sweep.swept:
            table.add_column(key)
        for head in ("seeds", "mIoU", "mIoU, step chosen\nwithout labels", "information, nats"):
            table.add_column(head, justify="right")
        seen = _marked(
            [line.miou.text() for line in lines], [line.miou.mean for line in lines], "*"
        )
        blind = [_blind(line) for line in lines]
        unseen = _marked([f"{nats:.3f}" for nats in blind], blind, "†")
        for line, *figures in zip(lines, seen, unseen, strict=True):
            said = [_said(line, key) for key in sweep.swept]
            seeds = ", ".join(map(str, line.seeds))
            table.add_row(*said, seeds, figures[0], _label_free(line).text(), figures[1])
        console.print(f"\n{board.title}: percent, last step", style="bold", markup=False)
        console.print(table)
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
        (board, found)
        for board in sweep.found
        for key in sweep.swept
        if (found := _drawing(board.lines, key, published)) is not None
    ]
    if drawn:
        blocks = [_block(board, found, published, sweep.choice) for board, found in drawn]
        write_text(path, stacked(blocks))
    return [found.plot.x_label for _, found in drawn]


def _drawing(
    lines: Sequence[Line], key: str, published: Sequence[PublishedCurve]
) -> Drawing | None:
    """A curve for rows that differ in this number alone; else dots, all of one color."""
    members = families(lines).get(key)
    if members and sum(len(one.points) for one in members) > 2:
        return drawing(key, members, lines, published, "last")
    points: dict[float, Line] = {}
    for line in lines:
        try:
            points[float(_said(line, key))] = line
        except ValueError:
            return None
    if len(points) < 2:
        return None
    method = method_label(lines[0].row.runs[0]["method"])
    alone = bool(members)
    return drawing(key, [Family(method, {}, points)], lines, published, "last", connected=alone)


def _block(
    board: Board, found: Drawing, published: Sequence[PublishedCurve], choice: str
) -> tuple[str, list[Series], list[str]]:
    """A figure as SVG, its legend, and what stands below it."""
    seeds = max(len(line.seeds) for line in board.lines)
    text = f"{board.title}. mIoU at the last step. {choice}"
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


def _said(line: Line, key: str) -> str:
    return read(line.row.folders[0]).overrides.get(key, "")


def _order(line: Line, swept: Sequence[str]) -> list[tuple[bool, float, str]]:
    found = []
    for key in swept:
        said = _said(line, key)
        try:
            found.append((False, float(said), said))
        except ValueError:
            found.append((True, 0.0, said))
    return found


def _marked(texts: Sequence[str], values: Sequence[float], mark: str) -> list[str]:
    """Texts with a mark behind that of the highest value; – for NaN."""
    known = [value for value in values if not math.isnan(value)]
    ends = [f" {mark}" if known and value == max(known) else "  " for value in values]
    whole = ["–" if math.isnan(value) else text for text, value in zip(texts, values)]
    return [text + end for text, end in zip(whole, ends)]


def _label_free(line: Line) -> Spread:
    chosen = [run["selections"].get("label_free", {}) for run in line.row.runs]
    return spread([one.get("miou", math.nan) for one in chosen])


def _blind(line: Line) -> float:
    values = [v for run in line.row.runs if (v := _criterion(run)) is not None]
    return spread(values).mean


def _criterion(scores: Mapping[str, Any] | None) -> float | None:
    history = (scores or {}).get("history") or [{}]
    return history[-1].get(CRITERION)
