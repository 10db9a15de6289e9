"""Curves and per-class bars as inline SVG, drawn by hand: no plotting library.

Colors are Okabe and Ito's, which color-blind readers can tell apart; as CSS variables with a
fallback, so that a page may choose other shades for a dark background. Lines differ in their
dashes as well.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from uda_seg.report.axes import Frame, level, svg, ticks, upright

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B59B00")
ROLE_COLORS = {"baseline": "#7F7F7F", "control": "#E69F00", "oracle": "#222222"}
DASHES = {"baseline": "2 4", "control": "8 4", "oracle": "10 3 2 3"}
TURNS = ("", "7 3", "3 3", "12 4")
"""Dashes of the lines that use a color for the first, second, … time."""


@dataclass(frozen=True)
class Series:
    label: str
    """As the legend calls it."""
    color: str
    """A CSS color."""
    dash: str = ""
    """SVG's stroke-dasharray."""


@dataclass(frozen=True)
class Curve:
    series: Series
    runs: Sequence[Sequence[tuple[float, float]]]
    """One list of (x, y) a seed, in the order of x."""


@dataclass(frozen=True)
class Plot:
    """How curves are drawn.

    Attributes:
        x_label: what x is.
        y_label: what y is.
        title: read out by screen readers.
        size: width, height in pixels.
        y_range: lowest and highest y; None: as the data have it.
        x_names: what the points' x are called, instead of their numbers.
        x_ticks: words below the frame by their x; None: `x_names`, or else round numbers.
        dots: whether every point is marked, and says its numbers when pointed at.
    """

    x_label: str
    y_label: str
    title: str
    size: tuple[int, int] = (896, 380)
    y_range: tuple[float, float] | None = None
    x_names: Mapping[float, str] | None = None
    x_ticks: Mapping[float, str] | None = None
    dots: bool = True


def series_of(labels: Sequence[str], roles: Sequence[str | None]) -> list[Series]:
    """A look for every row: the first of a role has its own, others take turns in the palette."""
    looks, turn, seen = [], 0, set()
    for label, role in zip(labels, roles, strict=True):
        if role in ROLE_COLORS and role not in seen:
            color = f"var(--{role}, {ROLE_COLORS[role]})"
            looks.append(Series(label, color, DASHES[role]))
            seen.add(role)
            continue
        place, dash = turn % len(PALETTE), TURNS[turn // len(PALETTE) % len(TURNS)]
        looks.append(Series(label, f"var(--series-{place}, {PALETTE[place]})", dash))
        turn += 1
    return looks


def draw_curves(curves: Sequence[Curve], plot: Plot) -> str:
    """Mean over seeds as a line, lowest to highest seed as a band around it.

    Where seeds do not have the same x, each seed is a line of its own.
    """
    points = [point for curve in curves for run in curve.runs for point in run]
    points = points or [(0.0, 0.0), (1.0, 1.0)]
    low, high = plot.y_range or (min(y for _, y in points), max(y for _, y in points))
    if plot.x_names is None:
        x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points), plot.size[0] // 140)
        ends, names = (x_ticks[0], x_ticks[-1]), {tick: f"{tick:g}" for tick in x_ticks}
    else:
        names = dict(plot.x_names)
        around = 0.06 * (max(names) - min(names)) or 1.0
        ends = (min(names) - around, max(names) + around)
    y_ticks = ticks(low, high, plot.size[1] // 60)
    wide, tall = plot.size[0] - 76, plot.size[1] - 60
    frame = Frame(56, 14, wide, tall, ends, (y_ticks[0], y_ticks[-1]))
    parts = [
        upright(frame, y_ticks, plot.y_label),
        level(frame, plot.x_ticks or names, plot.x_label),
    ]
    for curve in curves:
        parts += _curve(frame, curve, plot, names)
    return svg(*plot.size, plot.title, parts)


def draw_strips(strips: Mapping[str, Sequence[Curve]], plot: Plot) -> str:
    """Frames above each other, over the same steps and with the same range of y.

    Args:
        strips: by what y is in it, the curves of each frame.
        plot: of the whole; needs a `y_range`, its `y_label` is not used.
    """
    xs = [x for curves in strips.values() for curve in curves for run in curve.runs for x, _ in run]
    x_ticks = ticks(min(xs, default=0.0), max(xs, default=1.0), plot.size[0] // 75)
    names = {tick: f"{tick:g}" for tick in x_ticks}
    wide, tall = plot.size[0] - 76, (plot.size[1] - 55) / len(strips)
    assert plot.y_range is not None
    y_ticks, parts = ticks(*plot.y_range, 3), []
    for place, (label, curves) in enumerate(strips.items()):
        ends = (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1])
        frame = Frame(56, 14 + (tall + 5) * place, wide, tall - 15, *ends)
        parts.append(upright(frame, y_ticks, label))
        parts += [part for curve in curves for part in _curve(frame, curve, plot, names)]
    return svg(*plot.size, plot.title, [*parts, level(frame, names, plot.x_label)])


def class_bars(
    classes: Sequence[str], series: Sequence[Series], values: Sequence[Sequence[float]], title: str
) -> str:
    """Groups of bars, one group a class, one bar a series.

    Args:
        classes: names under the groups.
        series: looks of the bars.
        values: one list a series, one number a class, percent; NaN leaves the bar out.
        title: read out by screen readers.
    """
    group = max(30.0, (9.0 if len(series) < 7 else 6.0) * len(series) + 12)
    frame = Frame(48, 14, group * len(classes), 260, (0, len(classes)), (0, 100))
    parts = [upright(frame, [0, 20, 40, 60, 80, 100], "IoU, percent")]
    bar = (group - 10) / max(len(series), 1)
    for j, name in enumerate(classes):
        for place, (look, heights) in enumerate(zip(series, values, strict=True)):
            if math.isnan(heights[j]):
                continue
            left, top = frame.at(j, heights[j])
            left += 5 + bar * place
            words = escape(f"{name}, {look.label}: {heights[j]:.1f}")
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{bar - 1:.1f}" rx="1" '
                f'height="{max(frame.top + frame.height - top, 0.5):.1f}" '
                f'style="fill:{look.color}"><title>{words}</title></rect>'
            )
        x, y = frame.at(j + 0.5, 0)
        parts.append(
            f'<text x="{x:.1f}" y="{y + 14:.1f}" text-anchor="end" '
            f'transform="rotate(-40 {x:.1f} {y + 14:.1f})">{escape(name)}</text>'
        )
    return svg(frame.left + frame.width + 12, 360, title, parts)


def _curve(frame: Frame, curve: Curve, plot: Plot, names: Mapping[float, str]) -> list[str]:
    runs = [run for run in curve.runs if run]
    if not runs:
        return []
    look, parts = curve.series, []
    xs = [x for x, _ in runs[0]]
    if all([x for x, _ in run] == xs for run in runs):
        seeds = list(zip(*([y for _, y in run] for run in runs)))
        if len(runs) > 1:
            edge = [frame.at(x, max(ys)) for x, ys in zip(xs, seeds)]
            edge += [frame.at(x, min(ys)) for x, ys in reversed(list(zip(xs, seeds)))]
            parts.append(
                f'<polygon points="{_points(edge)}" style="fill:{look.color};opacity:.14"/>'
            )
        runs = [[(x, sum(ys) / len(ys)) for x, ys in zip(xs, seeds)]]
    for run in runs:
        line = [frame.at(x, y) for x, y in run]
        parts.append(
            f'<polyline points="{_points(line)}" fill="none" stroke-width="2.5" '
            f'stroke-linejoin="round" stroke-dasharray="{look.dash}" style="stroke:{look.color}"/>'
        )
        if plot.dots or len(run) == 1:
            parts += _dots(frame, look, run, plot, names)
    return parts


def _dots(
    frame: Frame,
    look: Series,
    run: Sequence[tuple[float, float]],
    plot: Plot,
    names: Mapping[float, str],
) -> list[str]:
    parts = []
    for x, y in run:
        across, down = frame.at(x, y)
        where = f"{plot.x_label} {names.get(x, f'{x:g}')}"
        value = f"{y:.1f}" if frame.y[1] > 10 else f"{y:.3g}"
        words = escape(f"{look.label}, {where}: {value}")
        parts.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" style="fill:{look.color}">'
            f"<title>{words}</title></circle>"
        )
    return parts


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
