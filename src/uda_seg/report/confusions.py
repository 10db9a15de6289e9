"""Confusion matrices: of every hundred pixels of a class, how many are taken for which."""

from collections.abc import Sequence

import numpy as np

from uda_seg.evaluation.scores import select
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row

LEAST = 0.5
"""Percent; less is left blank."""
MISTAKES = 6
"""Largest mistakes that are told in words."""


def confusions(rows: Sequence[Row], selection: str) -> Part | None:
    """Of the given rows, the first of them open; None without any labelled pixel."""
    classes, matrices = list(rows[0].iou) if rows else [], []
    for row in rows:
        counts = sum(select(run, selection)["confusion"] for run in row.runs)
        if np.sum(counts):
            shares = row_shares(np.asarray(counts))
            label, mistakes = row.label, _mistakes(shares, classes)
            matrices.append({"label": label, "mistakes": mistakes, "shares": shares.tolist()})
    if not matrices:
        return None
    words = (
        "A row is a class of the label, a column what its pixels were taken for; percent of the "
        "row, all seeds together. Less than 0.5 is left blank; a row without numbers is a class "
        "that no label holds."
    )
    values = {"words": words, "classes": classes, "matrices": matrices, "least": LEAST}
    return Part("What is taken for what", render("confusions.html", **values))


def row_shares(counts: np.ndarray) -> np.ndarray:
    """(C, C) counts to percent of each row; NaN for a class without labels."""
    totals = counts.sum(1, keepdims=True)
    unknown = np.full(counts.shape, np.nan)
    return 100 * np.divide(counts, totals, out=unknown, where=totals > 0)


def _mistakes(shares: np.ndarray, classes: Sequence[str]) -> str:
    """The largest mistakes, in words."""
    wrong = np.nan_to_num(shares.copy())
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:MISTAKES]
    places = [tuple(np.unravel_index(place, wrong.shape)) for place in order]
    words = [
        f"{classes[row]} for {classes[column]} {wrong[row, column]:.0f} %"
        for row, column in places
        if wrong[row, column] >= LEAST
    ]
    return f"Most often taken: {', '.join(words)}." if words else ""
