"""Tables of runs: their cells and what stands below, before a format is chosen (`writers`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report.columns import SHORT, Column, class_column, run_columns
from uda_seg.report.published import Origin, Value
from uda_seg.report.rows import Row, Spread


@dataclass(frozen=True)
class Cell:
    """What stands in a table.

    Attributes:
        text: that stands there.
        letter: of its footnote, or nothing.
        recalled: the number is not read, but remembered.
        best: it is the highest of its column.
        value: by which a page shades it, NaN for none.
        main: it is of the most important column.
        is_word: it holds no number.
    """

    text: str
    letter: str = ""
    recalled: bool = False
    best: bool = False
    value: float = math.nan
    main: bool = False
    is_word: bool = False

    @property
    def shaded(self) -> bool:
        return not math.isnan(self.value)


DASH = Cell("–")


@dataclass(frozen=True)
class Grid:
    """Heads and rows of cells; the first cell of a row names it.

    Attributes:
        heads: above the columns.
        rows: of cells.
        hints: the heads in full.
        section: of the rows, the first that sums up; None where there are no sections.
    """

    heads: list[str]
    rows: list[list[Cell]]
    hints: list[str]
    section: int | None = None

    def without_labels(self) -> "Grid":
        return Grid(self.heads[1:], [row[1:] for row in self.rows], self.hints[1:])

    def turned(self) -> "Grid":
        """Rows as columns and columns as rows."""
        heads = [self.heads[0], *(row[0].text for row in self.rows)]
        rows = [[Cell(h), *(r[j] for r in self.rows)] for j, h in enumerate(self.hints) if j]
        sums = [place for place, row in enumerate(rows) if any(cell.main for cell in row)]
        return Grid(heads, rows, heads, sums[0] if sums else None)


@dataclass(frozen=True)
class Table:
    """Rows that stand together.

    Attributes:
        title: its headline; a report's says what the rows have in common.
        rows: in their order.
        columns: in their order.
        text: what to know when reading it.
        paper: that it comes from, or None.
        classes: names, of a table whose classes stand below it; empty where they are columns.
        selection: which checkpoint of our runs counts.
        remarks: what else a reader has to know about rows and runs that are not in it.
    """

    title: str
    rows: Sequence[Row]
    columns: Sequence[Column]
    text: str = ""
    paper: str | None = None
    classes: Sequence[str] = ()
    selection: str = "last"
    remarks: Sequence[str] = ()

    @property
    def has_published(self) -> bool:
        return any(v.known for row in self.rows for v in row.published.means.values())

    @property
    def finished(self) -> list[Row]:
        """The rows that were run."""
        return [row for row in self.rows if row.runs]

    @cached_property
    def shown(self) -> list[Column]:
        """The columns that apply."""
        return [
            column
            for column in self.columns
            if column.is_shown
            and (column.stays or any(_is_there(column, row) for row in self.rows))
        ]

    @cached_property
    def letters(self) -> dict[Origin, str]:
        """A letter for every origin of published numbers, in the order they are met."""
        values = [value for row in self.rows for value in row.published.values()]
        origins = list(dict.fromkeys(value.origin for value in values if value.known))
        return dict(zip(origins, "abcdefghijklmnopqrstuvwxyz"))

    def label(self, row: Row) -> str:
        """With its network, where there are several; the usual one of a table has no name."""
        several = len({other.network for other in self.rows}) > 1
        return f"{row.label} ({row.network})" if several and row.network else row.label

    def grid(self, columns: Sequence[Column] | None = None) -> Grid:
        columns = self.shown if columns is None else columns
        best = {column.key: self._best(column) for column in columns}
        rows = [
            [Cell(self.label(row)), *(self._cell(c, row, best[c.key]) for c in columns)]
            for row in self.rows
        ]
        heads = [column.head for column in columns]
        return Grid(["", *heads], rows, ["", *(column.full or column.head for column in columns)])

    def class_grid(self) -> Grid:
        """The table of classes: a line for the paper and one for ours."""
        rows: list[list[Cell]] = []
        for row in self.rows if self.classes else ():
            theirs = [row.published.of_class(name) for name in self.classes]
            label, origins = Cell(self.label(row)), {v.origin for v in theirs if v.known}
            if len(origins) == 1:  # told once
                origin = origins.pop()
                paper = Cell("paper", self.letters[origin], origin.kind == "recalled")
                rows.append([label, paper, *(Cell(self._published(v).text) for v in theirs)])
            elif origins:
                rows.append([label, Cell("paper"), *map(self._published, theirs)])
            if row.runs:
                ours = [self._cell(class_column(name), row, math.nan) for name in self.classes]
                rows.append([label, Cell("ours"), *ours])
        heads = ["", "of", *(SHORT.get(name, name) for name in self.classes)]
        return Grid(heads, rows, ["", "of", *self.classes])

    def _best(self, column: Column) -> float:
        """The best number of a column, oracles left out; NaN where none is best."""
        rivals = [row for row in self.finished if row.role != "oracle"]
        numbers = [n for row in rivals if not math.isnan(n := column.number(row))]
        marked = column.is_best is not None and len(rivals) > 1 and not self.classes
        return column.is_best(numbers) if marked and numbers and column.is_best else math.nan

    def _cell(self, column: Column, row: Row, best: float) -> Cell:
        value, number = column.of(row), column.number(row)
        if column.kind == "words":
            return Cell(str(value), is_word=True)
        if column.kind == "published":
            return self._published(value, column.unknown)
        if math.isnan(number):
            return DASH
        text = column.format.format(number)
        if isinstance(value, Spread):
            text = value.text(sign="+" in column.format)
        is_best = number == best and row.role != "oracle"
        text += (f" {column.mark}" if is_best else "  ") if column.mark else ""
        return Cell(
            text,
            best=is_best and not column.mark,
            value=number if column.shade else math.nan,
            main=column.key == "miou",
        )

    def _published(self, value: Value, unknown: str = "?") -> Cell:
        if not value.known:
            return Cell(unknown)
        text = f"{value.number:.2f}".rstrip("0")
        text += "0" if text.endswith(".") else ""
        return Cell(text, self.letters[value.origin], value.origin.kind == "recalled")

    # What stands below

    def caption(self) -> str:
        """Domains, seeds and checkpoint, or nothing without any run."""
        return f"{self.origin()}, {SELECTIONS[self.selection]}" if self.finished else ""

    def origin(self) -> str:
        """Domains and seeds of the rows that were run."""
        run = self.finished[0].runs[0]
        seeds = sorted({seed for row in self.rows for seed in row.seeds})
        words = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
        return f"{run['source']} → {run['target']}, {words}"

    def explanations(self) -> list[tuple[str, str]]:
        """Letters, columns, notes, and what was not run."""
        lines = [(letter, origin.words) for origin, letter in self.letters.items()]
        lines += self.meanings()
        lines += [(self.label(row), row.note) for row in self.rows if row.note]
        lines += [*self.caveats(), *self.first_weights()]
        lines += [(f"not run ({w})", "; ".join(names)) for w, names in self.not_run().items()]
        return [(name, words.rstrip(".")) for name, words in lines]

    def meanings(self) -> list[tuple[str, str]]:
        """What heads and signs mean, those that are there."""
        terms = {column.term or column.head: column.meaning for column in self.shown}
        signs = {cell.text for row in self.grid().rows for cell in row[1:]}
        dash = "does not apply" if len(self.finished) == len(self.rows) else (
            "not run, or does not apply"
        )  # fmt: skip
        terms |= {"?": "not known to us; never a guess"} if "?" in signs else {}
        terms |= {"–": dash} if "–" in signs else {}
        return [(term, meaning) for term, meaning in terms.items() if meaning]

    def caveats(self) -> list[tuple[str, str]]:
        """Rows, and what to know of their mIoU; under one name what is true of all of them."""
        caveats = {self.label(row): "; ".join(row.caveats) for row in self.rows if row.caveats}
        if len(set(caveats.values())) == 1 and len(caveats) == len(self.finished):
            return [("mIoU of every row", next(iter(caveats.values())))]
        return [(f"mIoU of {label}", words) for label, words in caveats.items()]

    def first_weights(self) -> list[tuple[str, str]]:
        """What encoders were before training, and whose terms hold for that."""
        named: dict[str, list[str]] = {}
        for row in self.finished:
            if words := row.runs[0].get("first_weights"):
                named.setdefault(words, []).append(self.label(row))
        if len(named) == 1:
            return [("first weights", next(iter(named)))]
        return [(f"first weights of {', '.join(rows)}", words) for words, rows in named.items()]

    def not_run(self) -> dict[str, list[str]]:
        """Why rows have not all of their runs, and which rows."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.why:
                reasons.setdefault(row.why, []).append(self.label(row))
        return reasons


def _is_there(column: Column, row: Row) -> bool:
    return bool(column.of(row)) if column.kind == "words" else not math.isnan(column.number(row))


def run_table(rows: Sequence[Row], title: str = "", **more: Any) -> Table:
    """A table without published numbers, of rows that stand beside each other."""
    return Table(title, rows, run_columns(rows), **more)
