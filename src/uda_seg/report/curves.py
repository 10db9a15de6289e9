"""What happened while training: mIoU, losses, discriminators, and what needs no labels."""

from collections.abc import Mapping, Sequence
from typing import Any

from uda_seg.report.figures import Curve, Plot, Series, draw_curves
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row
from uda_seg.report.runs import metrics

POINTS = 80
"""Of a curve; more are averaged in groups."""
SMALL = (560, 250)
"""Width and height, in pixels, of the figures that stand side by side."""
MOST = 16
"""Losses that are drawn."""

Points = list[tuple[float, float]]
Logged = dict[str, list[list[Points]]]
"""By name, for each row, for each of its runs."""


def miou_curves(rows: Sequence[Row], looks: Sequence[Series]) -> Part | None:
    curves = [
        Curve(look, [_history(run, "miou") for run in row.runs])
        for row, look in zip(rows, looks, strict=True)
    ]
    if not any(len(run) > 1 for curve in curves for run in curve.runs):
        return None
    drawn = draw_curves(curves, Plot("training step", "target mIoU, percent", "mIoU by step"))
    words = (
        "mIoU on the target's validation images while training; the mean over seeds, and from the "
        "lowest to the highest seed. Target labels are used to draw this, never to train (but by "
        "an oracle)."
    )
    title = "Learning curves"
    body = render("figure.html", words=words, looks=looks, label=title, figure=drawn)
    return Part(title, body)


def loss_curves(found: Logged, looks: Sequence[Series]) -> Part | None:
    """One figure a loss."""
    names = [name for name in found if name.startswith("loss/") and _is_curve(found[name])]
    if not names:
        return None
    figures = [
        _figure(found[name], looks, name.removeprefix("loss/").replace("_", " "))
        for name in names[:MOST]
    ]
    words = f"Unweighted. Where more was logged, a point is a mean, {POINTS} to a curve."
    if names[MOST:]:
        words += f" Not drawn: {', '.join(names[MOST:])}."
    return Part("Losses", render("figures.html", words=words, looks=looks, figures=figures))


def label_free_curves(rows: Sequence[Row], found: Logged, looks: Sequence[Series]) -> Part | None:
    """Discriminators' accuracy, and how sure and varied predictions are: all without labels."""
    figures = []
    for name, runs in found.items():
        if name.startswith("discriminator_accuracy/") and _is_curve(runs):
            title = f"discriminator {name.partition('/')[2].replace('_', ' ')}, share right"
            figures.append(_figure(runs, looks, title, (0.0, 1.0)))
    for name, title in (
        ("entropy", "mean entropy of predictions, 1 knows nothing"),
        ("information_maximisation", "information in predictions, nats"),
        ("soft_neighbourhood_density", "soft neighbourhood density, nats"),
        ("teacher_agreement", "agreement with the teacher, share of pixels"),
    ):
        runs = [[_history(run, name) for run in row.runs] for row in rows]
        if _is_curve(runs):
            figures.append(_figure(runs, looks, title, dots=True))
    if not figures:
        return None
    words = (
        "What can be seen without target labels. A discriminator that is right half of the time "
        "cannot tell the domains apart. All others are of predictions on the target's validation "
        "images: entropy, information (sure, and yet varied), density (pixels like many others)."
    )
    return Part("Without labels", render("figures.html", words=words, looks=looks, figures=figures))


def thin(points: Points, most: int) -> Points:
    """As many points at most, each the mean of as many neighbors (the last of fewer)."""
    size = -(-len(points) // most)
    groups = (points[first : first + size] for first in range(0, len(points), size or 1))
    return [
        (group[-1][0], sum(value for _, value in group) / len(group)) for group in groups if group
    ]


def logged(rows: Sequence[Row]) -> Logged:
    """What was logged while training: metrics.csv, or else the losses that validations kept."""
    runs = [[_of_run(row, place) for place in range(len(row.runs))] for row in rows]
    names = dict.fromkeys(name for row in runs for run in row for name in run)
    return {name: [[run.get(name, []) for run in row] for row in runs] for name in names}


def _of_run(row: Row, place: int) -> Mapping[str, Points]:
    logged = metrics(row.folders[place]) if place < len(row.folders) else {}
    if not any(name.startswith("loss/") for name in logged):
        for entry in row.runs[place]["history"]:
            for name, value in (entry.get("loss") or {}).items():
                if value is not None:
                    logged.setdefault(f"loss/{name}", []).append((entry["step"], value))
    return {name: thin(points, POINTS) for name, points in logged.items()}


def _is_curve(runs: Sequence[Sequence[Points]]) -> bool:
    return any(len(points) > 1 for row in runs for points in row)


def _history(run: Mapping[str, Any], name: str) -> Points:
    return sorted((e["step"], e[name]) for e in run["history"] if e.get(name) is not None)


def _figure(
    runs: Sequence[Sequence[Points]],
    looks: Sequence[Series],
    title: str,
    y_range: tuple[float, float] | None = None,
    dots: bool = False,
) -> tuple[str, str]:
    """A title, and its drawing."""
    curves = [Curve(look, row) for look, row in zip(looks, runs, strict=True)]
    plot = Plot("training step", "", f"{title}, by step", SMALL, y_range, dots=dots)
    return title, draw_curves(curves, plot)
