"""Learning curves and per-class bars as inline SVG, drawn by hand: no plotting library.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; as CSS variables with a
fallback, so that a page may choose other shades for a dark background. Lines differ in their
dashes as well.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#B59B00")
ROLE_COLOURS = {"baseline": "#7F7F7F", "control": "#E69F00", "oracle": "#222222"}
DASHES = {"baseline": "2 4", "control": "8 4", "oracle": "10 3 2 3"}


@dataclass(frozen=True)
class Series:
    label: str
    """As the legend calls it."""
    colour: str
    """A CSS colour."""
    dash: str = ""
    """SVG's stroke-dasharray."""


@dataclass(frozen=True)
class Curve:
    series: Series
    runs: Sequence[Sequence[tuple[float, float]]]
    """One list of (x, y) a seed, in the order of x."""


@dataclass(frozen=True)
class Frame:
    """The plotting area, in pixels and in data."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        along = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return self.left + along * self.width, self.top + (1 - up) * self.height


def series_of(labels: Sequence[str], roles: Sequence[str | None]) -> list[Series]:
    """A look for every row: roles have their own, others take turns in the palette."""
    looks, turn = [], 0
    for label, role in zip(labels, roles, strict=True):
        if role in ROLE_COLOURS:
            colour = f"var(--{role}, {ROLE_COLOURS[role]})"
            looks.append(Series(label, colour, DASHES[role]))
            continue
        place = turn % len(PALETTE)
        looks.append(Series(label, f"var(--series-{place}, {PALETTE[place]})"))
        turn += 1
    return looks


def learning_curves(curves: Sequence[Curve], x_label: str, y_label: str, title: str) -> str:
    """Mean over seeds as a line, lowest to highest seed as a band around it.

    Where seeds were not scored at the same x, each seed is a line of its own.
    """
    points = [point for curve in curves for run in curve.runs for point in run]
    points = points or [(0.0, 0.0), (1.0, 1.0)]
    x_ticks = ticks(min(x for x, _ in points), max(x for x, _ in points), 6)
    y_ticks = ticks(min(y for _, y in points), max(y for _, y in points), 6)
    frame = Frame(56, 14, 820, 320, (x_ticks[0], x_ticks[-1]), (y_ticks[0], y_ticks[-1]))
    parts = [_axes(frame, y_ticks, y_label)]
    for tick in x_ticks:
        x, y = frame.at(tick, frame.y[0])
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{tick:g}</text>')
    middle = frame.left + frame.width / 2
    parts.append(f'<text x="{middle}" y="372" text-anchor="middle">{escape(x_label)}</text>')
    for curve in curves:
        parts += _curve(frame, curve)
    return _svg(896, 380, title, parts)


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
    group = max(30.0, 9.0 * len(series) + 12)
    frame = Frame(48, 14, group * len(classes), 260, (0, len(classes)), (0, 100))
    parts = [_axes(frame, [0, 20, 40, 60, 80, 100], "IoU, percent")]
    bar = (group - 10) / max(len(series), 1)
    for j, name in enumerate(classes):
        for look, heights in zip(series, values, strict=True):
            if math.isnan(heights[j]):
                continue
            left, top = frame.at(j, heights[j])
            left += 5 + bar * series.index(look)
            words = escape(f"{name}, {look.label}: {heights[j]:.1f}")
            parts.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{bar - 1:.1f}" rx="1" '
                f'height="{max(frame.top + frame.height - top, 0.5):.1f}" '
                f'style="fill:{look.colour}"><title>{words}</title></rect>'
            )
        x, y = frame.at(j + 0.5, 0)
        parts.append(
            f'<text x="{x:.1f}" y="{y + 14:.1f}" text-anchor="end" '
            f'transform="rotate(-40 {x:.1f} {y + 14:.1f})">{escape(name)}</text>'
        )
    return _svg(frame.left + frame.width + 12, 360, title, parts)


def key(series: Sequence[Series]) -> str:
    """The legend, as HTML that wraps."""
    items = (
        '<li><svg width="30" height="10" aria-hidden="true"><line x1="1" x2="29" y1="5" y2="5" '
        f'stroke-width="4" stroke-dasharray="{look.dash}" style="stroke:{look.colour}"/></svg>'
        f"{escape(look.label)}</li>"
        for look in series
    )
    return f'<ul class="key">{"".join(items)}</ul>'


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that enclose low .. high; at least two."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def _curve(frame: Frame, curve: Curve) -> list[str]:
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
                f'<polygon points="{_points(edge)}" style="fill:{look.colour};opacity:.14"/>'
            )
        runs = [[(x, sum(ys) / len(ys)) for x, ys in zip(xs, seeds)]]
    for run in runs:
        line = [frame.at(x, y) for x, y in run]
        parts.append(
            f'<polyline points="{_points(line)}" fill="none" stroke-width="2.5" '
            f'stroke-linejoin="round" stroke-dasharray="{look.dash}" style="stroke:{look.colour}"/>'
        )
        for (x, y), (across, down) in zip(run, line):
            words = escape(f"{look.label}, step {x:g}: {y:.1f}")
            parts.append(
                f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" style="fill:{look.colour}">'
                f"<title>{words}</title></circle>"
            )
    return parts


def _axes(frame: Frame, y_ticks: Sequence[float], y_label: str) -> str:
    parts = []
    for tick in y_ticks:
        x, y = frame.at(frame.x[0], tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x + frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'style="stroke:var(--rule, #ddd)"/>'
            f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    middle = frame.top + frame.height / 2
    parts.append(
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="figure" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'style="min-width:{min(width, 640):g}px;max-width:{width:g}px" font-size="12" '
        f'fill="currentColor"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
