"""The frame of a figure: where data comes to lie in pixels, round numbers along its sides."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape


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


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that enclose low .. high; at least two."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def upright(frame: Frame, at: Sequence[float], label: str) -> str:
    """Horizontal lines with their numbers, and what they count."""
    parts = []
    for tick in at:
        x, y = frame.at(frame.x[0], tick)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x + frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'style="stroke:var(--rule, #ddd)"/>'
            f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    middle = frame.top + frame.height / 2
    parts.append(
        f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle">'
        f"{escape(label)}</text>"
    )
    return "".join(parts)


def level(frame: Frame, names: Mapping[float, str], label: str) -> str:
    """Words below the frame, at their places, and what they are."""
    parts = []
    for place, name in names.items():
        x, y = frame.at(place, frame.y[0])
        words = f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{escape(name)}</text>'
        parts.append(words)
    middle, y = frame.left + frame.width / 2, frame.top + frame.height + 38
    words = f'<text x="{middle:g}" y="{y:g}" text-anchor="middle">{escape(label)}</text>'
    return "".join([*parts, words])


def svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """A figure as wide as its column, up to `width` pixels, and no smaller than can be read."""
    least = min(width, max(640, 0.7 * width))
    return (
        f'<svg class="figure" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'style="min-width:{least:g}px;max-width:{width:g}px" font-size="12" '
        f'fill="currentColor"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
