"""How much of each class two domains hold: bars in an SVG file of its own, on a logarithmic scale.

Shares differ by factors of ten thousand; on a linear scale the rare classes, which matter most,
could not be seen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from uda_seg.report.figures import PALETTE

LEAST = 1e-5
"""Share of pixels at the left end of the scale."""
LEFT, RIGHT, TOP, BAR, ROW, WIDE = 150, 70, 58, 10, 30, 520
"""Pixels."""
LETTER = 6.7
"""Pixels of a letter, about."""


def length(share: float) -> float:
    """The length of a bar, in [0, 1]: 0 for LEAST and less, 1 for everything."""
    return 0.0 if share <= LEAST else 1 - math.log10(share) / math.log10(LEAST)


def percent(share: float) -> str:
    """With two or three digits, whatever the size."""
    if share >= 0.0995:
        return f"{100 * share:.1f}"
    return f"{100 * share:#.2g}" if share > LEAST else "0" if share == 0 else f"<{100 * LEAST:g}"


def class_chart(
    title: str, sections: Mapping[str, Sequence[str]], series: Mapping[str, Mapping[str, float]]
) -> str:
    """
    Args:
        title: above the bars.
        sections: a heading and its classes; empty ones are left out.
        series: by label, at most two: class -> share of pixels. A class it does not have gets no
            bar and no number.

    Returns:
        The text of an SVG file.
    """
    names = [name for classes in sections.values() for name in classes]
    left = max([LEFT, *(LETTER * len(name) + 16 for name in names)])
    parts, y = [], float(TOP)
    for heading, classes in sections.items():
        if classes:
            parts.append(f'<text x="8" y="{y + 20:g}" font-weight="bold">{escape(heading)}</text>')
            y += ROW
        for name in classes:
            words = f'<text x="{left - 8:g}" y="{y + 16:g}" text-anchor="end">{escape(name)}</text>'
            parts += [words, *_bars(name, list(series.values()), left, y)]
            y += ROW
    wide, high = left + WIDE + RIGHT, y + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" '
        f'width="{wide:g}" height="{high:g}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="20" font-size="14" font-weight="bold">{escape(title)}</text>'
        f"{_key(series, left)}{_scale(left, y)}{''.join(parts)}</svg>\n"
    )


def _bars(
    name: str, series: Sequence[Mapping[str, float]], left: float, top: float
) -> Iterator[str]:
    for place, shares in enumerate(series):
        if name in shares:
            share, y = shares[name], top + 4 + place * (BAR + 1)
            wide = length(share) * WIDE
            yield (
                f'<rect x="{left:g}" y="{y:g}" width="{wide:.1f}" height="{BAR}" '
                f'fill="{PALETTE[place]}"/>'
                f'<text x="{left + wide + 4:.1f}" y="{y + 9:g}" font-size="10">'
                f"{escape(percent(share))} %</text>"
            )


def _key(series: Mapping[str, object], left: float) -> str:
    items, x = [], left
    for place, label in enumerate(series):
        items.append(
            f'<rect x="{x:g}" y="32" width="12" height="12" fill="{PALETTE[place]}"/>'
            f'<text x="{x + 17:g}" y="43">{escape(label)}</text>'
        )
        x += 40 + LETTER * len(label)
    return "".join(items)


def _scale(left: float, bottom: float) -> str:
    parts = []
    for power in range(round(math.log10(LEAST)), 1):
        x = left + length(10.0**power) * WIDE
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom:g}" stroke="#ddd"/>'
            f'<text x="{x:.1f}" y="{bottom + 16:g}" text-anchor="middle">{100 * 10.0**power:g} %'
            "</text>"
        )
    return "".join(parts)
