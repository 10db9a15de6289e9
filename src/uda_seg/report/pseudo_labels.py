"""How good pseudo-labels were while training, class by class, by labels that no method saw."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uda_seg.errors import DataError
from uda_seg.images.pictures import color_of
from uda_seg.report.class_chart import percent
from uda_seg.report.curves import SMALL, Points, thin
from uda_seg.report.figures import Curve, Plot, Series, draw_curves, draw_strips
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row

ALL = "all"
"""In the file, all classes together."""
POINTS = 40
STRIPS = (310, 380)
"""Pixels of a class's figure."""
OVERALL = {
    "pseudo_iou": ("mIoU of all pseudo-labels, percent", "student_iou"),
    "student_iou": ("mIoU of the network on the same images, percent", "pseudo_iou"),
    "precision": ("precision of confident pseudo-labels, all classes, percent",),
    "weight": ("mean weight of a pseudo-label in the loss",),
}
"""What is drawn of all classes together: its title, and a column that has the same range of y."""
BY_CLASS = {"precision": "precision, %", "recall": "recall, %", "pseudo_iou": "IoU of all, %"}
"""What is drawn of each class, one below the other."""
WORDS = (
    "Pseudo-labels of target training images against their true labels, which were opened to draw "
    "this alone: no method sees them, and whoever chooses settings by this figure has used target "
    "labels. Precision: of the pixels confidently given a class, those that are of it. Recall: of "
    "the class's pixels, those confidently given it. IoU: of all pseudo-labels, however sure. mIoU "
    "is not that on validation images: these are crops, as training sees them. The mean over "
    "seeds; the band is from the lowest to the highest."
)
HEADS = (
    "class", "share of pixels", "of those confidently labelled", "precision at first", "at last",
    "recall at first", "at last", "IoU of all pseudo-labels", "of the network",
)  # fmt: skip

Found = dict[str, dict[str, Points]]
"""By class, what was found: column -> points."""


def pseudo_label_curves(rows: Sequence[Row], looks: Sequence[Series]) -> Part | None:
    """None where no run has compared its pseudo-labels."""
    found = [[one for folder in row.folders if (one := read(Path(folder)))] for row in rows]
    kept = [(row, runs, look) for row, runs, look in zip(rows, found, looks, strict=True) if runs]
    if not kept:
        return None
    classes = [name for name in kept[0][1][0] if name != ALL]

    def curves(name: str, column: str) -> list[Curve]:
        return [
            Curve(look, [thin(run.get(name, {}).get(column, []), POINTS) for run in runs])
            for _, runs, look in kept
        ]

    overall = [
        (title, _figure([curves(ALL, column) for column in (name, *beside)], title))
        for name, (title, *beside) in OVERALL.items()
    ]
    panels = []
    for name in classes:
        strips = {words: curves(name, column) for column, words in BY_CLASS.items()}
        title = f"Precision, recall and IoU of pseudo-labels, {name}, by step"
        plot = Plot("training step", "", title, STRIPS, (0, 100), dots=False)
        panels.append((name, color_of(name), draw_strips(strips, plot)))
    tables = [(row.label, _numbers(runs, classes)) for row, runs, _ in kept]
    values = {"words": WORDS, "overall": overall, "panels": panels, "tables": tables}
    looks = [look for _, _, look in kept]
    return Part("Pseudo-labels", render("pseudo_labels.html", looks=looks, heads=HEADS, **values))


def read(folder: Path) -> Found:
    """Of a run; empty where it has no `pseudo_labels.csv`.

    Raises:
        DataError: the file is there, and is no such table.
    """
    path, found = folder / "pseudo_labels.csv", Found()
    if not path.is_file():
        return found
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                step, columns = float(row.pop("step")), found.setdefault(row.pop("class"), {})
                for column, value in row.items():
                    if value:
                        columns.setdefault(column, []).append((step, float(value)))
    except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of pseudo-labels ({error})") from error
    return found


def _figure(columns: Sequence[Sequence[Curve]], title: str) -> str:
    """Of the first column; the range of y is that of all."""
    ys = [y for curves in columns for curve in curves for run in curve.runs for _, y in run]
    plot = Plot("training step", "", f"{title}, by step", SMALL, (min(ys), max(ys)) if ys else None)
    return draw_curves(columns[0], plot)


def _numbers(runs: Sequence[Found], classes: Sequence[str]) -> list[list[str]]:
    """A line for each class: means over seeds, as far as they are known at that validation."""

    def mean(name: str, column: str, place: int) -> float:
        values = [
            dict(run.get(name, {}).get(column, [])).get(run[ALL]["pixels"][place][0])
            for run in runs
        ]
        return float(np.mean([value for value in values if value is not None] or [np.nan]))

    return [
        [
            name,
            *(_share(mean(name, c, -1), mean(ALL, c, -1)) for c in ("pixels", "labelled")),
            *(_text(mean(name, c, place)) for c in ("precision", "recall") for place in (0, -1)),
            *(_text(mean(name, column, -1)) for column in ("pseudo_iou", "student_iou")),
        ]
        for name in [*classes, ALL]
    ]


def _text(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def _share(part: float, whole: float) -> str:
    return percent(part / whole) if whole > 0 else "–"
