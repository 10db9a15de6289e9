"""Tables as text: for a terminal, as Markdown, CSV, LaTeX and HTML. One writer a format."""

import csv
import io
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from uda_seg.evaluation.scores import SELECTIONS, part_of_split
from uda_seg.report.columns import Column, measures_of_a_run
from uda_seg.report.published import Value
from uda_seg.report.rendering import render
from uda_seg.report.rows import Row, Spread
from uda_seg.report.table import Cell, Grid, Table
from uda_seg.runs.files import write_text

BEST = "Bold: best without target labels. Percent."
NARROW_LABEL, TURNED_LABEL = 26, 13
"""Letters to a line of a row's label: beside split columns, and above those of a turned table."""


def write_tables(table: Table, folder: Path) -> None:
    """`table.md`, `table.csv` and `table.tex` in the folder, each as a whole."""
    write_text(folder / "table.md", markdown(table))
    write_text(folder / "table.csv", to_csv(table.rows, table.columns))
    write_text(folder / "table.tex", latex(table))


# Terminal


def print_table(table: Table, console: Console | None = None) -> None:
    """What does not fit is turned, or stands in several tables below each other."""
    console = console or Console()
    console.print("\n" + "\n".join(_headlines(table)), style="bold", markup=False)
    grid = table.grid()
    for part in fit(grid, table.shown, console.width):
        console.print(to_rich(part))
    if _has_best(grid):
        console.print(BEST, style="dim")
    for name, words in table.explanations():
        console.print(f"{name}: {words}.", style="dim", highlight=False, markup=False)


def print_run(
    scores: Mapping[str, Any],
    console: Console | None = None,
    beside: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Per-class IoU of one run's selections side by side; `scores` as `scores.load` gives them,
    `beside` those of the same checkpoint on each of several targets.
    """
    console = console or Console()
    where = " of ".join(filter(None, (part_of_split(scores), scores["target"])))
    console.print(f"\n{scores['run_name']}: IoU on {where}, percent", style="bold", markup=False)
    there = scores["selections"]
    names = sorted(there, key=lambda name: [*SELECTIONS, name].index(name))
    every = "all together\n" if beside else ""
    heads = {name: f"{every}{name}\nstep {there[name]['step']}" for name in names}
    each = [(str(one["target"]), str(one["target"]), one, names[0]) for one in beside]
    each += [(name, heads[name], scores, name) for name in names]
    rows = [Row(name, head, runs=[dict(one)], selection=at) for name, head, one, at in each]
    columns = [replace(column, is_best=None) for column in measures_of_a_run(rows)]
    grid = Table("", rows, columns).grid().turned()
    bold = [[replace(cell, best=line[1].main) for cell in line] for line in grid.rows]
    console.print(to_rich(replace(grid, heads=["class", *grid.heads[1:]], rows=bold)))
    for line in run_caveats(scores):
        console.print(line, style="yellow", highlight=False, markup=False)
    for name, words in SELECTIONS.items():
        if name in there:
            console.print(f"{name}: {words}", style="dim", highlight=False)


def run_caveats(scores: Mapping[str, Any]) -> list[str]:
    """What to know of a run's mIoU, one line for selections of which the same is true."""
    having: dict[str, list[str]] = {}
    for name, selection in scores["selections"].items():
        if selection["caveat"]:
            having.setdefault(selection["caveat"], []).append(name)
    every = len(scores["selections"])
    return [
        f"mIoU: {words}" if len(names) == every else f"mIoU ({', '.join(names)}): {words}"
        for words, names in having.items()
    ]


def fit(grid: Grid, columns: Sequence[Column], width: int) -> list[Grid]:
    """Grids that a terminal of this width shows whole.

    A table that is too wide is turned if it has more columns than rows and fits so. Else its
    columns are dealt out to tables below each other, means and gains before single classes.
    """
    if _width(grid) <= width:
        return [grid]
    turned = _wrapped_heads(grid.turned())
    if len(grid.heads) > len(grid.rows) and _width(turned) <= width:
        return [turned]
    labels = [Cell(textwrap.fill(row[0].text, NARROW_LABEL)) for row in grid.rows]
    order = sorted(range(1, len(grid.heads)), key=lambda place: columns[place - 1].rank)
    grids: list[Grid] = []
    while order:
        taken = 1
        while taken < len(order) and _width(_part(grid, labels, order[: taken + 1])) <= width:
            taken += 1
        grids.append(_part(grid, labels, order[:taken]))
        order = order[taken:]
    return grids


def _part(grid: Grid, labels: Sequence[Cell], places: Sequence[int]) -> Grid:
    """Some of the columns."""
    heads = [grid.heads[0], *(grid.heads[place] for place in places)]
    rows = [[label, *(row[p] for p in places)] for label, row in zip(labels, grid.rows)]
    return Grid(heads, rows, heads)


def _wrapped_heads(grid: Grid) -> Grid:
    heads = [textwrap.fill(head, TURNED_LABEL) for head in grid.heads]
    return Grid(heads, grid.rows, heads, grid.section)


def _width(grid: Grid) -> int:
    """Of the whole table, with its rules."""
    texts = [grid.heads, *([plain(cell) for cell in row] for row in grid.rows)]
    columns = ("\n".join(column).split("\n") for column in zip(*texts))
    return sum(max(map(len, lines)) + 3 for lines in columns) + 1


def to_rich(grid: Grid) -> RichTable:
    """A table for a terminal; the first column is left-aligned, and so are those of words."""
    drawn = RichTable()
    for place, head in enumerate(grid.heads):
        left = place == 0 or all(row[place].is_word for row in grid.rows)
        drawn.add_column(Text(head), justify="left" if left else "right", no_wrap=place == 0)
    for number, row in enumerate(grid.rows):
        if number == grid.section:
            drawn.add_section()
        drawn.add_row(*(Text(plain(cell), "bold" if cell.best else "") for cell in row))
    return drawn


def plain(cell: Cell) -> str:
    """For a terminal: 42.4†[a]."""
    return f"{cell.text}{'†' * cell.recalled}{f'[{cell.letter}]' if cell.letter else ''}"


def _headlines(table: Table) -> list[str]:
    """The title; of a table without published numbers also what its rows have in common."""
    caption = "" if table.classes else table.caption()
    return [line for line in (table.title, caption) if line]


def _has_best(grid: Grid) -> bool:
    return any(cell.best for row in grid.rows for cell in row)


# Markdown


def markdown(table: Table) -> str:
    """Title, table, classes, and everything that has to be said about them."""
    parts = [f"## {table.title}", "", table.text, ""] if table.title else []
    parts += [f"Published: {table.paper}.", ""] if table.paper else []
    parts += [line for line in _headlines(table)[1 if table.title else 0 :] for line in (line, "")]
    for grid in _grids(table):
        parts += [*_markdown_lines(grid), ""]
    parts += [BEST, ""] if _has_best(table.grid()) else []
    parts += [f"* {name}: {words}." for name, words in table.explanations()]
    return "\n".join(parts) + "\n"


def _grids(table: Table) -> Iterator[Grid]:
    yield table.grid()
    if (classes := table.class_grid()).rows:
        yield classes


def _markdown_lines(grid: Grid) -> list[str]:
    lines = ["| " + " | ".join(grid.heads) + " |", "|---|" + "---:|" * (len(grid.heads) - 1)]
    return lines + ["| " + " | ".join(map(_marked, row)) + " |" for row in grid.rows]


def _marked(cell: Cell) -> str:
    text = cell.text.replace("|", "\\|") + "†" * cell.recalled
    text = f"**{text}**" if cell.best else text
    return text + (f"<sup>{cell.letter}</sup>" if cell.letter else "")


# CSV


def to_csv(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """Plain numbers with four decimals, deviations and origins in columns of their own."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    endings = {"spread": ("", "_std"), "published": ("", "_origin")}
    writer.writerow([c.key + end for c in columns for end in endings.get(c.kind, ("",))])
    writer.writerows([part for column in columns for part in _csv(column, row)] for row in rows)
    return text.getvalue()


def _csv(column: Column, row: Row) -> list[str]:
    value = column.of(row)
    if isinstance(value, Value):
        kind = value.origin.kind
        return [_decimals(value.number), kind if kind == "unknown" else value.origin.words]
    if column.kind == "words":
        return [str(value)]
    numbers: list[float | None] = [column.number(row)]
    if column.kind == "spread":
        numbers.append(value.deviation if isinstance(value, Spread) else None)
    return [_decimals(number) for number in numbers]


def _decimals(number: float | None) -> str:
    return "" if number is None or math.isnan(number) else f"{number:.4f}"


# LaTeX

SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "–": "--", "−": "$-$", "→": r"$\rightarrow$", "×": r"$\times$",
    "λ": r"$\lambda$", "¹": "$^1$", "²": "$^2$", "³": "$^3$", "†": r"$\dagger$", "’": "'",
    "“": "``", "”": "''", "é": r"\'e", "·": r"$\cdot$", "…": r"\dots{}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Text as LaTeX source: signs escaped, those beyond ASCII as commands."""
    return "".join(SIGNS.get(sign, sign) for sign in text)


def latex(table: Table) -> str:
    """`tabular`s to be \\input, with \\usepackage{booktabs}; classes are wide, for a `table*`."""
    parts = [
        *(f"% {escape_latex(line)}" for line in _headlines(table)),
        "% \\usepackage{booktabs}; made by python -m uda_seg table",
    ]
    for number, grid in enumerate(_grids(table)):
        parts += [*(["", "% Class by class"] if number else []), *_tabular(grid)]
    parts += ["", "% What stands below:", r"\begin{itemize}"]
    explanations = [tuple(map(escape_latex, pair)) for pair in table.explanations()]
    parts += [f"  \\item {name}: {words}." for name, words in explanations]
    return "\n".join([*parts, r"\end{itemize}", ""])


def _tabular(grid: Grid) -> list[str]:
    return [
        f"\\begin{{tabular}}{{l{'r' * (len(grid.heads) - 1)}}}",
        r"  \toprule",
        f"  {' & '.join(map(escape_latex, grid.heads))} \\\\",
        r"  \midrule",
        *(f"  {' & '.join(map(_latex_cell, row))} \\\\" for row in grid.rows),
        r"  \bottomrule",
        r"\end{tabular}",
    ]


def _latex_cell(cell: Cell) -> str:
    above = (r"\dagger " if cell.recalled else "") + cell.letter
    text = f"\\textbf{{{escape_latex(cell.text)}}}" if cell.best else escape_latex(cell.text)
    return text + (f"$^{{{above}}}$" if above else "")


# HTML


def to_html(grid: Grid, label: str) -> Markup:
    """A table that may be wider than the screen; `label` is for screen readers."""
    return render("table.html", grid=grid, label=label)
