"""Tables of a retrieval, from `retrieval.json` alone: on the terminal, and as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

SCHEMA = 1

DESCRIPTORS = {
    "features": "the deepest features, averaged over the image",
    "classes": "class histogram of the predicted softmax, whole image and 3×3 cells",
}

HEADS = {"precision": "P", "average_precision": "mAP", "layout": "layout", "other_domain": "other"}
ALL_KS = ("precision",)
"""Metrics that the table shows at every k; the others at the largest."""


@dataclass(frozen=True)
class Line:
    """A line of a direction's table: one metric of one descriptor."""

    descriptor: str
    metric: str
    cells: tuple[str, ...]
    clear: tuple[bool, ...]
    """Whether a cell is a difference whose 95 % interval leaves out 0."""


def directions(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Queries and gallery, in the file's order."""
    return list(dict.fromkeys((row["queries"], row["gallery"]) for row in result["rows"]))


def title(result: Mapping[str, Any], direction: tuple[str, str]) -> str:
    words = []
    for domain, role in zip(direction, ("queries", "in the gallery"), strict=True):
        side = result[domain]
        words.append(f"{side['images']} {side['name']} {side['split']} {role}")
    return f"{direction[0]} → {direction[1]}: {', '.join(words)}"


def grid(result: Mapping[str, Any], direction: tuple[str, str]) -> tuple[list[str], list[Line]]:
    """Heads and lines: chance, the best blind answer, every run, differences to the last one, and
    the best possible.
    """
    rows = [row for row in result["rows"] if (row["queries"], row["gallery"]) == direction]
    largest = max(result["k"])
    columns = list(dict.fromkeys((row["run"], row["over"]) for row in rows))
    columns.sort(key=lambda column: column[1] is not None)
    lines: dict[tuple[str, str], dict[tuple[str, Any], Mapping[str, Any]]] = {}
    for row in rows:
        if row["metric"] in ALL_KS or row["k"] in (None, largest):
            metric = HEADS[row["metric"]] + ("" if row["k"] is None else f"@{row['k']}")
            line = lines.setdefault((row["descriptor"], metric), {})
            line[row["run"], row["over"]] = row
    heads = [run if over is None else f"{run} − {over}" for run, over in columns]
    return ["chance", "blind", *heads, "best"], [
        _line(descriptor, metric, [line.get(column) for column in columns])
        for (descriptor, metric), line in lines.items()
    ]


def _line(descriptor: str, metric: str, rows: Sequence[Mapping[str, Any] | None]) -> Line:
    """What runs are held against is the same for all of them."""
    texts, clear = [], []
    for row in rows:
        value, half = (row["value"], row["half_width"]) if row else (None, None)
        if row is None or row["over"] is None:
            texts.append(_number(value))
        else:
            texts.append(_number(value, sign=True) + ("" if half is None else f" ± {half:.1f}"))
        clear.append(value is not None and half is not None and abs(value) > half)
    one = next(row for row in rows if row is not None and row["over"] is None)
    cells = (_number(one["chance"]), _number(one["blind"]), *texts, _number(one["best"]))
    return Line(descriptor, metric, cells, (False, False, *clear, False))


def _number(value: float | None, sign: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.1f}" if sign else f"{value:.1f}"


def legend(result: Mapping[str, Any]) -> dict[str, str]:
    """What the table's words mean."""
    largest, relevant = max(result["k"]), f"{100 * result['relevant']:g} %"
    words = {f"{name}": meaning for name, meaning in DESCRIPTORS.items()}
    if result["judged"]:
        words |= {
            "relevant": f"the {relevant} of the gallery whose labels' layouts are most like the "
            "query's",
            "P@k": "of the k nearest, how many are relevant",
            "mAP": "mean average precision over the whole ranking",
            f"layout@{largest}": "mean similarity of the label layouts of query and neighbors: "
            "histogram intersection, whole image and 3×3 cells",
        }
    words |= {
        f"other@{largest}": "of the nearest among both domains' images, how many are of the other "
        "domain: the nearer to chance, the less the domains are told apart",
        "chance": "expected of neighbors drawn at random",
    }
    if result["judged"]:
        words["blind"] = (
            "one order for all queries, first what is relevant to most: what is not above this "
            "may not have looked at the query"
        )
        words["best"] = "neighbors chosen by their labels (for other: chance)"
    if any(row["over"] is not None for row in result["rows"]):
        words["−"] = (
            "difference over the same queries ± half its 95 % interval, bold where that leaves out "
            "0; it covers the choice of queries, not that of a training seed"
        )
    return words


def print_result(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints each direction's values, then the differences, and what the words mean."""
    console = console or Console()
    runs = len(result["runs"])
    for direction in directions(result):
        heads, lines = grid(result, direction)
        places = range(len(heads))
        console.print(f"\n{title(result, direction)}", style="bold", markup=False, highlight=False)
        for columns in ([*places[: runs + 2], places[-1]], places[runs + 2 : -1]):
            if columns:
                console.print(_table(heads, lines, columns, console.width), crop=False)
    console.print("Percent.", style="dim")
    for name, meaning in legend(result).items():
        console.print(f"{name}: {meaning}.", style="dim", highlight=False, markup=False)


def _table(
    heads: Sequence[str], lines: Sequence[Line], columns: Sequence[int], width: int
) -> Table:
    """Some of the columns: all together are wider than a terminal. Heads wrap between words, or
    within them where there is no room; numbers never do.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = [max(len(line.descriptor) for line in lines), max(len(line.metric) for line in lines)]
    for head in ("by", ""):
        table.add_column(head, no_wrap=True)
    titles = [heads[place].replace("_", " ") for place in columns]
    numbers = [max(len(line.cells[place]) for line in lines) for place in columns]
    words = [max([n, *map(len, title.split())]) for n, title in zip(numbers, titles, strict=True)]
    room = width - sum(names) - 2 * (len(names) + len(columns)) - 2
    least = words if sum(words) <= room else numbers
    if sum(numbers) > room:
        table.width = width + sum(numbers) - room  # rather too wide than without a column
    for title, narrowest in zip(titles, least, strict=True):
        table.add_column(Text(title), justify="right", min_width=narrowest, overflow="fold")
    before: str | None = None
    for line in lines:
        if before not in (None, line.descriptor):
            table.add_section()
        cells = [
            Text(line.cells[place], "bold" if line.clear[place] else "dim" * (place < 2))
            for place in columns
        ]
        table.add_row(line.descriptor if line.descriptor != before else "", line.metric, *cells)
        before = line.descriptor
    return table


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same keys as CSV; what does not apply stays empty."""
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
