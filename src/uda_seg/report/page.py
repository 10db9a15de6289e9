"""Runs as one HTML file: no server, no script, nothing from outside, pictures inside.

Reads `scores.json` (through `Row.runs`) and, of the run folders, `pictures/NNN_*.png`,
`metrics.csv` and the command; a part whose files are not there is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path

import numpy as np

from uda_seg.report import figures, summary, table, training
from uda_seg.report.boards import Board
from uda_seg.report.comparison import Line, Row, compare
from uda_seg.report.confusion import confusion
from uda_seg.report.figures import Series
from uda_seg.report.gallery import gallery
from uda_seg.report.parameters import PublishedCurve, parameter_curves
from uda_seg.report.part import Part, folded, scroller
from uda_seg.runs.files import write_text

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
    several = len(boards) > 1
    contents = [(f"part-{place}", part.title) for place, part in enumerate(above)]
    sections = [
        f'<h2 id="part-{place}">{escape(part.title)}</h2>{part.body}'
        for place, part in enumerate(above)
    ]
    for place, board in enumerate(boards):
        name = f"table-{place + 1}"
        parts = list(_parts(board, choices))
        if several:
            contents.append((name, board.title))
        else:
            contents += [(f"{name}-{i}", part.title) for i, part in enumerate(parts)]
        sections.append(_section(name, board, parts, several))
    page = [
        f"<header><h1>{escape(title)}</h1><p>{escape(text)}</p>",
        f'{_contents(contents)}</header><main id="main">',
        *sections,
        _remarks(remarks, "Not in the tables"),
        f"<h2>The command</h2><pre>{escape(command)}</pre>" if command else "",
    ]
    write_text(Path(path), _document(title, "\n".join(page)))


def drawn(lines: Sequence[Line], most: int = MOST_DRAWN) -> list[Line]:
    """Those that figures have room for, in their order: roles, and the best of the others."""
    others = [line for line in lines if line.role is None]
    room = max(most - (len(lines) - len(others)), 1)
    best = {id(line) for line in sorted(others, key=_falling)[:room]}
    return [line for line in lines if line.role is not None or id(line) in best]


def _falling(line: Line) -> float:
    return -float(np.nan_to_num(line.miou.mean))


def is_scored(lines: Sequence[Line]) -> bool:
    """Whether the target has labels."""
    return any(np.isfinite(line.miou.mean) for line in lines)


def _parts(board: Board, choices: Choices) -> Iterator[Part]:
    every, selection = board.lines, choices.selection
    lines = drawn(every)
    looks = figures.series_of([line.row.label for line in lines], [line.role for line in lines])
    logged = training.logged(lines)
    scored = is_scored(every)
    optional = [
        summary.scores_table(every, selection) if scored else None,
        parameter_curves(every, selection, choices.published, choices.against) if scored else None,
        gallery(lines, len(every) - len(lines)),
        training.miou_curves(lines, looks),
        training.loss_curves(logged, looks),
        training.label_free_curves(lines, logged, looks),
        _bars(lines, looks) if scored else None,
        confusion(_worth_a_matrix(lines), selection),
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
    solid = [Series(look.label, look.colour) for look in looks]
    return Part("Class by class", figures.key(solid) + scroller(bars, "IoU of every class"))


def _section(name: str, board: Board, parts: Sequence[Part], several: bool) -> str:
    """The cards, then part after part; below a heading of its own where there are several."""
    lines = drawn(board.lines)
    looks = figures.series_of([line.row.label for line in lines], [line.role for line in lines])
    head, tag = (f"<h2>{escape(board.title)}</h2>", "h3") if several else ("", "h2")
    cards = summary.cards(lines, looks) if is_scored(lines) else ""
    said = f'<p class="soft">{escape(_facts(board.lines, len(lines)))}</p>'
    body = "\n".join(
        f'<{tag} id="{name}-{place}">{escape(part.title)}</{tag}>{part.body}'
        for place, part in enumerate(parts)
    )
    return (
        f'<section id="{name}">{head}{said}{cards}'
        f"{_remarks(board.remarks, 'What to know about these rows')}{body}</section>"
    )


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


def _remarks(remarks: Sequence[str], title: str) -> str:
    if not remarks:
        return ""
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return folded(f"{title} ({len(remarks)})", f"<ul>{items}</ul>")


def _contents(entries: Sequence[tuple[str, str]]) -> str:
    links = "".join(f'<li><a href="#{name}">{escape(words)}</a></li>' for name, words in entries)
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _document(title: str, body: str) -> str:
    style = resources.files("uda_seg.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n"
        f'<body><a class="skip" href="#main">Skip to the results</a>\n<div class="page">{body}\n'
        "</main></div></body></html>\n"
    )
