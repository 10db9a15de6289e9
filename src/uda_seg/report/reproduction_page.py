"""The page of a published table: the paper's numbers beside ours, then our runs."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from uda_seg.report.boards import Board
from uda_seg.report.page import Choices, write_boards
from uda_seg.report.rendering import Part, render
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
    # what was not run has a part of its own
    terms = [pair for pair in explanations(table) if not pair[0].startswith("not run (")]
    found = [Part(title, _table(*sums(table), "means", meanings=terms))]
    heads, rows = classes(table)
    if rows:
        words = "IoU of every class, percent; our rows once they have been run."
        body = _table(heads, rows, "classes", words)
        found.append(Part("Published and ours, class by class", body))
    if reasons := not_run(table):
        found.append(Part("What was not run", render("not_run.html", reasons=reasons)))
    return found


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    label: str,
    words: str = "",
    meanings: Sequence[tuple[str, str]] = (),
) -> Markup:
    values = {"heads": heads, "rows": rows, "label": label, "words": words, "meanings": meanings}
    return render("published_table.html", **values)
