"""Confusion matrices: of every hundred pixels of a class, how many are taken for which."""

from collections.abc import Sequence
from html import escape

import numpy as np

from uda_seg.evaluation.scores import select
from uda_seg.report.comparison import Line
from uda_seg.report.part import Part, folded, note, scroller
from uda_seg.report.summary import heat_cell

OPEN = 1
"""Matrices that need no click."""
MISTAKES = 6
"""Largest mistakes that are told in words."""


def confusion(lines: Sequence[Line], selection: str) -> Part | None:
    """Of the given lines, the first of them open; None without any labelled pixel."""
    drawn = []
    for line in lines:
        counts = sum(select(run, selection)["confusion"] for run in line.row.runs)
        if np.sum(counts):
            shares = row_shares(np.asarray(counts))
            drawn.append((line.row.label, _told(shares, list(line.iou)), shares))
    if not drawn:
        return None
    classes = list(lines[0].iou)
    body = []
    for place, (label, told, shares) in enumerate(drawn):
        inner = told + _matrix(label, classes, shares)
        if place < OPEN:
            body.append(f"<h4>{escape(label)}</h4>{inner}")
        else:
            body.append(folded(label, inner))
    words = (
        "A row is a class of the label, a column what its pixels were taken for; percent of the "
        "row, all seeds together. Less than 0.5 is left blank; a row without numbers is a class "
        "that no label holds."
    )
    return Part("What is taken for what", note(words) + "".join(body))


def row_shares(counts: np.ndarray) -> np.ndarray:
    """(C, C) counts to percent of each row; NaN for a class without labels."""
    totals = counts.sum(1, keepdims=True)
    unknown = np.full(counts.shape, np.nan)
    return 100 * np.divide(counts, totals, out=unknown, where=totals > 0)


def _told(shares: np.ndarray, classes: Sequence[str]) -> str:
    """The largest mistakes, in words."""
    wrong = np.nan_to_num(shares.copy())
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:MISTAKES]
    places = [tuple(np.unravel_index(place, wrong.shape)) for place in order]
    words = [
        f"{classes[row]} for {classes[column]} {wrong[row, column]:.0f} %"
        for row, column in places
        if wrong[row, column] >= 0.5
    ]
    return note(f"Most often taken: {', '.join(words)}.") if words else ""


def _matrix(label: str, classes: Sequence[str], shares: np.ndarray) -> str:
    head = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    body = []
    for name, row in zip(classes, shares, strict=True):
        cells = []
        for other, share in zip(classes, row, strict=True):
            blank = np.isnan(share) or share < 0.5
            kinds = ["hit"] if other == name else []
            shade = np.nan if blank else share
            title = "" if blank else f"{name} taken for {other}: {share:.1f} %"
            cells.append(heat_cell(shade, "" if blank else f"{share:.0f}", kinds, title))
        body.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    caption = f'<caption class="hidden">{escape(label)}: label by prediction, percent</caption>'
    inner = (
        f'<table class="confusion">{caption}<thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
    return scroller(inner, f"Confusion matrix of {label}")
