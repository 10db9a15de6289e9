"""A published table beside ours: on the terminal, as Markdown, as CSV."""

import csv
import io
import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report.comparison import Spread
from uda_seg.report.published import Value
from uda_seg.report.reproduction import Entry, Reproduction, footnotes
from uda_seg.report.reproduction_grid import Cell, classes, full_label, legend, not_run, notes, sums

MAIN = ("paper", "ours", "difference", "gap closed", "runs")
"""Columns that a narrow terminal shows."""


def print_reproduction(table: Reproduction, console: Console | None = None) -> None:
    """The means; classes are in the files."""
    console = console or Console()
    heads, rows = sums(table)
    cells = [[plain(cell) for cell in row] for row in rows]
    shown = list(range(len(heads)))
    if _width(heads, cells) > console.width:
        shown = [place for place, head in enumerate(heads) if not place or _main(table, head)]
        cells = [[full_label(table, e), *c[1:]] for e, c in zip(table.entries, cells, strict=True)]
    drawn = Table()
    for place in shown:
        left = not place or heads[place] in ("network", "runs")
        drawn.add_column(Text(heads[place]), justify="left" if left else "right")
    for row in cells:
        drawn.add_row(*(Text(row[place]) for place in shown))
    console.print(f"\n{table.title}", style="bold", markup=False)
    console.print(drawn)
    if len(shown) < len(heads):
        left_out = ", ".join(head for place, head in enumerate(heads) if place not in shown)
        console.print(f"In the files, for want of room here: {left_out}.", style="dim")
    for name, words in explanations(table):
        console.print(f"{name}: {words}.", style="dim", highlight=False, markup=False)


def _main(table: Reproduction, head: str) -> bool:
    """Whether a narrow terminal shows the column: of several means, only the first."""
    mean, _, what = head.rpartition(": ")
    return what in MAIN and mean in ("", table.columns[0].label)


def _width(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) + 3 for column in zip(heads, *cells)) + 1


def explanations(table: Reproduction) -> list[tuple[str, str]]:
    """What stands below the table: letters, columns, notes, and what was not run."""
    heads, _ = sums(table)
    letters = [(letter, origin.words) for origin, letter in footnotes(table).items()]
    meanings = legend(table, heads, SELECTIONS[table.selection]).items()
    lines = [*letters, *meanings, *notes(table)]
    lines += [(f"not run ({why})", "; ".join(names)) for why, names in not_run(table).items()]
    return [(name, words.rstrip(".")) for name, words in lines]


def plain(cell: Cell) -> str:
    """For a terminal: 42.4†[a]."""
    return f"{cell.text}{'†' if cell.recalled else ''}{f'[{cell.letter}]' if cell.letter else ''}"


def reproduction_markdown(table: Reproduction) -> str:
    """Title, means, classes, and everything that has to be said about them."""
    parts = [f"## {table.title}", "", table.text, ""]
    parts += [f"Published: {table.paper}.", ""] if table.paper else []
    for heads, rows in (sums(table), classes(table)):
        if rows:
            parts += [*_markdown(heads, rows), ""]
    parts += [f"* {name}: {words}." for name, words in explanations(table)]
    return "\n".join(parts) + "\n"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for row in rows:
        lines.append("| " + " | ".join(_marked(cell) for cell in row) + " |")
    return lines


def _marked(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|") + ("†" if cell.recalled else "")
    return text + (f"<sup>{cell.letter}</sup>" if cell.letter else "")


def reproduction_csv(table: Reproduction) -> str:
    """Plain numbers with four decimals; every published one with its origin."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows = [_csv_row(table, entry) for entry in table.entries]
    writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def _csv_row(table: Reproduction, entry: Entry) -> dict[str, str]:
    seeds = " ".join(map(str, entry.line.seeds)) if entry.line else ""
    row = {"name": entry.name, "label": entry.label, "network": entry.backbone, "seeds": seeds}
    for column in table.columns:
        row |= _value(f"paper_{column.key}", entry.published.means[column.key])
        row |= _ours(f"ours_{column.key}", entry.means.get(column.key))
        row[f"difference_{column.key}"] = _number(entry.difference(column))
    row |= _ours(f"ours_best_{table.columns[0].key}", entry.best)
    row |= _value("paper_oracle", entry.published.oracle)
    line = entry.line
    row |= _ours("over_source_only", line.over_baseline if line else None)
    row |= _ours("over_control", line.over_control if line else None)
    row["gap_closed"] = _number(line.gap_closed if line else None)
    row["paper_gap_closed"] = _number(table.paper_gap(entry))
    iou = line.iou if line else {}
    for name in table.classes:
        row |= _value(f"paper_{name}", entry.published.iou[name])
        row[f"ours_{name}"] = _number(iou.get(name))
    row |= {"not_run": entry.state.why, "note": entry.note}
    return row


def _value(key: str, value: Value) -> dict[str, str]:
    origin = value.origin.kind if value.origin.kind == "unknown" else value.origin.words
    return {key: _number(value.number), f"{key}_origin": origin}


def _ours(key: str, value: Spread | None) -> dict[str, str]:
    deviation = value.deviation if value else None
    return {key: _number(value.mean if value else None), f"{key}_std": _number(deviation)}


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4f}"
