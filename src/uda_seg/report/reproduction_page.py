"""The page of a published table: the paper's numbers beside ours, then our runs."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from uda_seg.report.boards import Board
from uda_seg.report.page import Choices, write_boards
from uda_seg.report.part import Part, note, scroller
from uda_seg.report.reproduction import Reproduction
from uda_seg.report.reproduction_grid import Cell, classes, not_run, sums
from uda_seg.report.reproduction_text import explanations


def write_reproduction(path: Path, table: Reproduction, command: str) -> None:
    """Writes the page, whole or not at all; `command` is shown at its end."""
    text = f"{table.text} Published: {table.paper}." if table.paper else table.text
    boards = [
        Board(backbone, lines)
        for backbone in dict.fromkeys(entry.backbone for entry in table.entries)
        if (lines := table.lines(backbone))
    ]
    choices = Choices(table.selection)
    write_boards(path, table.title, text, boards, choices, command, above=parts(table))


def parts(table: Reproduction) -> list[Part]:
    """What stands before the runs."""
    title = "Published and ours" if table.has_published else "The table"
    heads, rows = sums(table)
    found = [Part(title, _table(heads, rows, "means") + _terms(table))]
    heads, rows = classes(table)
    if rows:
        words = "IoU of every class, percent; our rows once they have been run."
        found.append(
            Part("Published and ours, class by class", note(words) + _table(heads, rows, "classes"))
        )
    left = "".join(
        f"<li><b>{escape('; '.join(names))}</b>: {escape(why)}</li>"
        for why, names in not_run(table).items()
    )
    if left:
        found.append(Part("What was not run", f"<ul>{left}</ul>"))
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], label: str) -> str:
    head = "".join(f'<th scope="col">{escape(words)}</th>' for words in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0].text)}</th>'
        + "".join(f"<td>{_cell(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return scroller(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>", label)


def _cell(cell: Cell) -> str:
    mark = "†" if cell.recalled else ""
    return escape(cell.text) + mark + (f"<sup>{cell.letter}</sup>" if cell.letter else "")


def _terms(table: Reproduction) -> str:
    """Letters, columns and notes; what was not run has a part of its own."""
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(words)}.</dd>"
        for name, words in explanations(table)
        if not name.startswith("not run (")
    )
    return f"<dl>{items}</dl>"
