"""Runs as one HTML file: no server, no script, nothing from outside, pictures inside.

Reads `scores.json` (through `Row.runs`) and, of the run folders, `pictures/NNN_*.png`,
`metrics.csv`, `pseudo_labels.csv` and the command; a part whose files are not there is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from uda_seg.report import curves, figures, rendering, summary
from uda_seg.report.confusions import confusions
from uda_seg.report.figures import Series
from uda_seg.report.gallery import gallery
from uda_seg.report.parameters import PublishedCurve, parameter_curves
from uda_seg.report.pseudo_labels import pseudo_label_curves
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row
from uda_seg.report.table import Table, run_table
from uda_seg.report.writers import to_html

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
    tables: Sequence[Table],
    choices: Choices | None = None,
    command: str | None = None,
    remarks: Sequence[str] = (),
    above: Sequence[Part] = (),
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file.
        title: its headline.
        text: what is compared, in a sentence or two.
        tables: one section each.
        choices: what of them is shown.
        command: that made the page or the runs, to be shown.
        remarks: on runs that are in no table.
        above: parts that stand before the tables.
    """
    rendering.write_page(
        path,
        "runs.html",
        title=title,
        text=text,
        above=above,
        sections=[_section(table, choices or Choices()) for table in tables],
        remarks=remarks,
        command=command,
    )


def write_table_page(path: Path, table: Table, command: str) -> None:
    """The page of a table's YAML: a published one's numbers stand above our runs."""
    text = f"{table.text} Published: {table.paper}." if table.paper else table.text
    networks = dict.fromkeys(row.network for row in table.rows)
    members = ([row for row in table.finished if row.network == one] for one in networks)
    sections = [
        run_table(rows, rows[0].network, selection=table.selection) for rows in members if rows
    ]
    above = list(_above(table) if table.classes else _what_was_not_run(table))
    write_page(path, table.title, text, sections, Choices(table.selection), command, above=above)


def _above(table: Table) -> Iterator[Part]:
    """What stands before the runs of a published table."""
    title = "Published and ours" if table.has_published else "The table"
    terms = [pair for pair in table.explanations() if not pair[0].startswith("not run (")]
    means = to_html(table.grid(), "means") + render("terms.html", meanings=terms)
    yield Part(title, means)
    if (classes := table.class_grid()).rows:
        words = "IoU of every class, percent; our rows once they have been run."
        body = render("note.html", words=words) + to_html(classes, "classes")
        yield Part("Published and ours, class by class", body)
    yield from _what_was_not_run(table)


def _what_was_not_run(table: Table) -> Iterator[Part]:
    if reasons := table.not_run():
        yield Part("What was not run", render("not_run.html", reasons=reasons))


def drawn(rows: Sequence[Row], most: int = MOST_DRAWN) -> list[Row]:
    """Those that figures have room for, in their order: roles, and the best of the others."""
    others = [row for row in rows if row.role is None]
    room = max(most - (len(rows) - len(others)), 1)
    best = {id(row) for row in sorted(others, key=_falling)[:room]}
    return [row for row in rows if row.role is not None or id(row) in best]


def _falling(row: Row) -> float:
    return -float(np.nan_to_num(row.miou.mean))


@dataclass(frozen=True)
class _Section:
    """What the page says about one table."""

    title: str
    facts: str
    cards: Markup
    remarks: Sequence[str]
    parts: list[Part]


def _section(table: Table, choices: Choices) -> _Section:
    rows = drawn(table.rows)
    looks = figures.series_of([row.label for row in rows], [row.role for row in rows])
    cards = summary.cards(rows, looks) if is_scored(rows) else Markup()
    facts = _facts(table, len(rows))
    parts = list(_parts(table, rows, looks, choices))
    return _Section(table.title, facts, cards, table.remarks, parts)


def is_scored(rows: Sequence[Row]) -> bool:
    """Whether the target has labels."""
    return any(np.isfinite(row.miou.mean) for row in rows)


def _parts(
    table: Table, rows: Sequence[Row], looks: Sequence[Series], choices: Choices
) -> Iterator[Part]:
    every, selection = table.rows, choices.selection
    logged = curves.logged(rows)
    scored = is_scored(every)
    optional = [
        summary.scores_table(table) if scored else None,
        parameter_curves(every, selection, choices.published, choices.against) if scored else None,
        gallery(rows, len(every) - len(rows)),
        curves.miou_curves(rows, looks),
        curves.loss_curves(logged, looks),
        curves.label_free_curves(rows, logged, looks),
        pseudo_label_curves(rows, looks),
        _bars(rows, looks) if scored else None,
        confusions(_worth_a_matrix(rows), selection),
        summary.selections(every) if scored else None,
        summary.costs(every),
        summary.meanings(table) if scored else None,
        summary.origin(every),
    ]
    yield from (part for part in optional if part is not None)


def _worth_a_matrix(rows: Sequence[Row]) -> list[Row]:
    """The best rows, the best first, and the baseline."""
    rivals = [row for row in rows if row.role not in ("oracle", "baseline")]
    best = sorted(rivals, key=_falling)[: MOST_MATRICES - 1]
    others = [row for row in rows if row.role == "baseline"] or (rows if not best else [])
    return [*best, *others][:MOST_MATRICES]


def _bars(rows: Sequence[Row], looks: Sequence[Series]) -> Part:
    values = [list(row.iou.values()) for row in rows]
    names = list(rows[0].iou)
    bars = figures.class_bars(names, looks, values, "IoU of every class, percent")
    solid = [Series(look.label, look.color) for look in looks]
    label = "IoU of every class"
    body = render("figure.html", words="", looks=solid, label=label, figure=bars)
    return Part("Class by class", body)


def _facts(table: Table, shown: int) -> str:
    rows, run = table.rows, table.rows[0].runs[0]
    networks = ", ".join(dict.fromkeys(str(row.runs[0]["backbone"]) for row in rows))
    words = f"{table.origin()} · network {networks} · {len(run['classes'])} classes"
    if shown < len(rows):
        words += (
            f" · {len(rows)} rows, all in the table; figures and pictures show {shown}: "
            "baseline, control and oracle where there are such, and the best of the others"
        )
    words += "".join(f" · {name}: {caveat}" for name, caveat in table.caveats())
    if not is_scored(rows):
        words += " · the target has no labels, so there is no mIoU"
    return words
