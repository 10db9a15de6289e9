"""Tables: of one run on the terminal; of many runs on the terminal, as Markdown and as CSV."""

import csv
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uda_seg.evaluation.measures import is_plain
from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report.comparison import LEGEND, PROTOCOLS, SHORT, Line, Row, Spread, compare
from uda_seg.runs.files import write_text

SUMS = ("mIoU", "over baseline", "over control", "gap closed")
"""Heads of the columns that sum a row up."""

__all__ = [
    "Row",
    "comparison_csv",
    "comparison_markdown",
    "print_comparison",
    "print_run",
    "run_table",
    "write_csv",
]


def print_run(scores: Mapping[str, Any], console: Console | None = None) -> None:
    """Per-class IoU of one run's selections side by side."""
    console = console or Console()
    console.print(
        f"\n{scores['run_name']}: IoU on {scores['target']}, percent", style="bold", markup=False
    )
    console.print(run_table(scores))
    for line in run_caveats(scores):
        console.print(line, style="yellow", highlight=False, markup=False)
    for name, words in SELECTIONS.items():
        if name in scores["selections"]:
            console.print(f"{name}: {words}", style="dim", highlight=False)


def run_caveats(scores: Mapping[str, Any]) -> list[str]:
    """What to know of a run's mIoU, one line for selections of which the same is true."""
    said: dict[str, list[str]] = {}
    for name, selection in scores["selections"].items():
        if selection["caveat"]:
            said.setdefault(selection["caveat"], []).append(name)
    every = len(scores["selections"])
    return [
        f"mIoU: {words}" if len(names) == every else f"mIoU ({', '.join(names)}): {words}"
        for words, names in said.items()
    ]


def run_table(scores: Mapping[str, Any]) -> Table:
    """Classes as rows, selections as columns; `scores` as `scores.load` gives them."""
    there = scores["selections"]
    names = sorted(there, key=lambda name: [*SELECTIONS, name].index(name))
    chosen = {name: there[name] for name in names}
    table = Table()
    table.add_column("class")
    for name, selection in chosen.items():
        table.add_column(f"{name}\nstep {selection['step']}", justify="right")
    for name in scores["classes"]:
        table.add_row(name, *(number(one["iou"][name]) for one in chosen.values()))
    table.add_section()
    columns = [_figures(one, scores["classes"]) for one in chosen.values()]
    for words in columns[0]:
        values = (number(figures[words]) for figures in columns)
        table.add_row(words, *values, style="bold" if words == "mIoU" else None)
    return table


def _figures(selection: Mapping[str, Any], classes: Sequence[str]) -> dict[str, float]:
    """What stands below the classes, by its name."""
    subsets = {
        PROTOCOLS[key]: value
        for key, value in selection["protocols"].items()
        if not is_plain(key, classes)
    }
    accuracies = {"pixel accuracy": "accuracy", "mean accuracy": "mean_accuracy"}
    shares = {words: selection[key] for words, key in accuracies.items()}
    return {"mIoU": selection["miou"], **subsets, **shares}


def print_comparison(
    rows: Sequence[Row], console: Console | None = None, selection: str = "last", **roles: str
) -> None:
    """One table; rows turn into columns where the terminal is too narrow. `roles`: `compare`."""
    console = console or Console()
    lines = compare(rows, **roles, selection=selection)
    heads, cells = grid(lines, short=True)
    bold = best(lines)
    width = sum(max(map(len, column)) + 3 for column in zip(heads, *cells)) + 1
    if width <= console.width:
        table = _rich(heads, cells, lambda i, j: (i, heads[j]) in bold)
    else:
        heads, cells = grid(lines, short=False)
        bold = best(lines, short=False)
        turned = list(zip(heads, *cells))
        wrapped = ["\n".join(textwrap.wrap(label, 13)) for label in turned[0]]
        table = _rich(wrapped, turned[1:], lambda i, j: (j - 1, heads[i + 1]) in bold)
    console.print(f"\n{caption(lines, selection)}", style="bold", markup=False)
    console.print(table)
    console.print("Bold: best without target labels. Percent.", style="dim")
    for name, meaning in legend(lines).items():
        console.print(f"{name}: {meaning}.", style="dim", highlight=False)


def comparison_markdown(rows: Sequence[Row], selection: str = "last", **roles: str) -> str:
    """A Markdown table with its caption and legend; `roles` as for `compare`."""
    lines = compare(rows, **roles, selection=selection)
    heads, cells = grid(lines, short=True)
    bold = best(lines)
    text = [caption(lines, selection), ""]
    text += ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for i, row in enumerate(cells):
        marked = [f"**{c}**" if (i, heads[j]) in bold else c for j, c in enumerate(row)]
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in marked) + " |")
    text += ["", "Bold: best without target labels. Percent.", ""]
    text += [f"* {name}: {meaning}." for name, meaning in legend(lines).items()]
    return "\n".join(text) + "\n"


def comparison_csv(rows: Sequence[Row], selection: str = "last", **roles: str) -> str:
    """Plain numbers with four decimals, means and deviations in columns of their own."""
    lines = compare(rows, **roles, selection=selection)

    def pair(value: Spread | None) -> list[float | None]:
        return [value.mean, value.deviation] if value else [None, None]

    classes, known = list(lines[0].iou), list(lines[0].protocols)
    heads = ["name", "label", "role", "seeds", *classes]
    for figure in ("miou", *known, "over_baseline", "over_control"):
        heads += [figure, f"{figure}_std"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*heads, "gap_closed"])
    for line in lines:
        values: list[float | None] = list(line.iou.values())
        for value in (line.miou, *line.protocols.values(), line.over_baseline, line.over_control):
            values += pair(value)
        values.append(line.gap_closed)
        words = [line.row.name, line.row.label, line.role or "", " ".join(map(str, line.seeds))]
        missing = (None if v is None or np.isnan(v) else f"{v:.4f}" for v in values)
        writer.writerow([*words, *missing])
    return text.getvalue()


def write_csv(path: Path, rows: Sequence[Row], selection: str = "last", **roles: str) -> None:
    """`comparison_csv` into a file, as a whole."""
    write_text(Path(path), comparison_csv(rows, selection, **roles))


def grid(lines: Sequence[Line], short: bool) -> tuple[list[str], list[list[str]]]:
    """Column heads and cells of a comparison: only the columns that apply."""
    names = list(lines[0].iou)
    columns = {"": [line.row.label for line in lines]}
    for name in names:
        head = SHORT.get(name, name) if short else name
        columns[head] = [number(line.iou[name]) for line in lines]
    columns["mIoU"] = [line.miou.text() for line in lines]
    for key in lines[0].protocols:
        if not is_plain(key, names):
            columns[PROTOCOLS[key]] = [line.protocols[key].text() for line in lines]
    for head, gains in (
        ("over baseline", [line.over_baseline for line in lines]),
        ("over control", [line.over_control for line in lines]),
    ):
        if any(gains):
            columns[head] = [gain.text(sign=True) if gain else "–" for gain in gains]
    if any(line.gap_closed is not None for line in lines):
        columns["gap closed"] = [
            "–" if line.gap_closed is None else f"{line.gap_closed:.0f} %" for line in lines
        ]
    return list(columns), [list(row) for row in zip(*columns.values())]


def legend(lines: Sequence[Line]) -> dict[str, str]:
    """What the columns of `grid` mean, those that are there."""
    heads = grid(lines, short=True)[0]
    shown = {"mIoU 16/13" if head in ("mIoU 16", "mIoU 13") else head for head in (*heads, "–")}
    shown |= {"of 19"} if any(head.endswith(" of 19") for head in heads) else set()
    return {name: meaning for name, meaning in LEGEND.items() if name in shown} | caveats(lines)


def caveats(lines: Sequence[Line]) -> dict[str, str]:
    """Rows, and what to know of their mIoU; under one name what is true of all of them."""
    said = {line.row.label: "; ".join(line.caveats) for line in lines if line.caveats}
    if len(set(said.values())) == 1 and len(said) == len(lines):
        return {"mIoU of every row": next(iter(said.values()))}
    return {f"mIoU of {label}": words for label, words in said.items()}


def caption(lines: Sequence[Line], selection: str) -> str:
    run = lines[0].row.runs[0]
    seeds = sorted({seed for line in lines for seed in line.seeds})
    words = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    return f"{run['source']} → {run['target']}, {words}, {SELECTIONS.get(selection, selection)}"


def number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def best(lines: Sequence[Line], short: bool = True) -> set[tuple[int, str]]:
    """(line, head) of the highest number in each column of scores, oracles left out."""
    rivals = [(i, line) for i, line in enumerate(lines) if line.role != "oracle"]
    found = set()
    for name in ("mIoU", *lines[0].iou):
        values = {i: line.miou.mean if name == "mIoU" else line.iou[name] for i, line in rivals}
        top = max((v for v in values.values() if not np.isnan(v)), default=np.inf)
        head = SHORT.get(name, name) if short else name
        found |= {(i, head) for i, v in values.items() if v == top}
    return found if len(rivals) > 1 else set()


def _rich(
    heads: Sequence[str], cells: Sequence[Sequence[str]], bold: Callable[[int, int], bool]
) -> Table:
    table = Table()
    for j, head in enumerate(heads):
        table.add_column(Text(head), justify="left" if j == 0 else "right", no_wrap=j == 0)
    for i, row in enumerate(cells):
        if row[0] == "mIoU":
            table.add_section()
        table.add_row(*(Text(c, "bold" if bold(i, j) else "") for j, c in enumerate(row)))
    return table
