"""Runs as one HTML file: no server, no script, nothing from outside, pictures inside.

Reads `scores.json` (through `Row.runs`) and, of the run folders, `pictures/NNN_*.png`,
`metrics.csv` and the command; a part whose files are not there is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from uda_seg.report import curves, figures, rendering, summary, table
from uda_seg.report.boards import Board
from uda_seg.report.comparison import Line, Row, compare
from uda_seg.report.confusions import confusions
from uda_seg.report.figures import Series
from uda_seg.report.gallery import gallery
from uda_seg.report.parameters import PublishedCurve, parameter_curves
from uda_seg.report.rendering import Part, render

MOST_DRAWN = 10
"""Rows in figures and galleries; a table has room for all."""
MOST_MATRICES = 4
"""Rows whose confusion is shown."""


@dataclass(frozen=True)
class Choices:
    """What of the runs is shown.

    Attributes:
        selection: which checkpoint of every run counts.
        against: the number that mIoU is drawn against; None: whichever differs between rows.
        published: curves drawn beside it.
    """

    selection: str = "last"
    against: str | None = None
    published: Sequence[PublishedCurve] = ()


def write_page(
    path: Path,
    title: str,
    text: str,
    rows: Sequence[Row],
    baseline: str | None = None,
    control: str | None = None,
    oracle: str | None = None,
    selection: str = "last",
    command: str | None = None,
    published: Sequence[PublishedCurve] = (),
) -> None:
    """A page of one table; see `write_boards`.

    Args:
        path: of the HTML file.
        title: its headline.
        text: what is compared, in a sentence or two.
        rows: of the table.
        baseline: as the three after it, see `compare`.
        control: see `compare`.
        oracle: see `compare`.
        selection: see `compare`.
        command: that made the runs, to be shown.
        published: curves beside those of a number that differs between rows.
    """
    board = Board("", compare(rows, baseline, control, oracle, selection))
    choices = Choices(selection, published=published)
    write_boards(path, title, text, [board], choices, command)


def write_boards(
    path: Path,
    title: str,
    text: str,
    boards: Sequence[Board],
    choices: Choices,
    command: str | None = None,
    remarks: Sequence[str] = (),
    above: Sequence[Part] = (),
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file.
        title: its headline.
        text: what is compared, in a sentence or two.
        boards: one section each.
        choices: what of them is shown.
        command: that made the page or the runs, to be shown.
        remarks: on runs that are on no board.
        above: parts that stand before the boards.
    """
    sections = [_section(board, choices) for board in boards]
    rendering.write_page(
        path,
        "runs.html",
        title=title,
        text=text,
        above=above,
        sections=sections,
        remarks=remarks,
        command=command,
    )


def drawn(lines: Sequence[Line], most: int = MOST_DRAWN) -> list[Line]:
    """Those that figures have room for, in their order: roles, and the best of the others."""
    others = [line for line in lines if line.role is None]
    room = max(most - (len(lines) - len(others)), 1)
    best = {id(line) for line in sorted(others, key=_falling)[:room]}
    return [line for line in lines if line.role is not None or id(line) in best]


def _falling(line: Line) -> float:
    return -float(np.nan_to_num(line.miou.mean))


@dataclass(frozen=True)
class _Section:
    """What the page says about one board."""

    title: str
    facts: str
    cards: Markup
    remarks: Sequence[str]
    parts: list[Part]


def _section(board: Board, choices: Choices) -> _Section:
    lines = drawn(board.lines)
    looks = figures.series_of([line.row.label for line in lines], [line.role for line in lines])
    cards = summary.cards(lines, looks) if is_scored(lines) else Markup()
    facts = _facts(board.lines, len(lines))
    parts = list(_parts(board.lines, lines, looks, choices))
    return _Section(board.title, facts, cards, board.remarks, parts)


def is_scored(lines: Sequence[Line]) -> bool:
    """Whether the target has labels."""
    return any(np.isfinite(line.miou.mean) for line in lines)


def _parts(
    every: Sequence[Line], lines: Sequence[Line], looks: Sequence[Series], choices: Choices
) -> Iterator[Part]:
    selection = choices.selection
    logged = curves.logged(lines)
    scored = is_scored(every)
    optional = [
        summary.scores_table(every, selection) if scored else None,
        parameter_curves(every, selection, choices.published, choices.against) if scored else None,
        gallery(lines, len(every) - len(lines)),
        curves.miou_curves(lines, looks),
        curves.loss_curves(logged, looks),
        curves.label_free_curves(lines, logged, looks),
        _bars(lines, looks) if scored else None,
        confusions(_worth_a_matrix(lines), selection),
        summary.selections(every) if scored else None,
        summary.costs(every),
        summary.meanings(every) if scored else None,
        summary.origin(every),
    ]
    yield from (part for part in optional if part is not None)


def _worth_a_matrix(lines: Sequence[Line]) -> list[Line]:
    """The best rows, the best first, and the baseline."""
    rivals = [line for line in lines if line.role not in ("oracle", "baseline")]
    best = sorted(rivals, key=_falling)[: MOST_MATRICES - 1]
    others = [line for line in lines if line.role == "baseline"] or (lines if not best else [])
    return [*best, *others][:MOST_MATRICES]


def _bars(lines: Sequence[Line], looks: Sequence[Series]) -> Part:
    values = [list(line.iou.values()) for line in lines]
    names = list(lines[0].iou)
    bars = figures.class_bars(names, looks, values, "IoU of every class, percent")
    solid = [Series(look.label, look.color) for look in looks]
    label = "IoU of every class"
    body = render("figure.html", words="", looks=solid, label=label, figure=bars)
    return Part("Class by class", body)


def _facts(lines: Sequence[Line], shown: int) -> str:
    run = lines[0].row.runs[0]
    caption = table.caption(lines, "").rpartition(", ")[0]
    networks = ", ".join(dict.fromkeys(str(line.row.runs[0]["backbone"]) for line in lines))
    words = f"{caption} · network {networks} · {len(run['classes'])} classes"
    if shown < len(lines):
        words += (
            f" · {len(lines)} rows, all in the table; figures and pictures show {shown}: "
            "baseline, control and oracle where there are such, and the best of the others"
        )
    words += "".join(f" · {name}: {said}" for name, said in table.caveats(lines).items())
    if not is_scored(lines):
        words += " · the target has no labels, so there is no mIoU"
    return words
