"""A retrieval as one HTML file: tables, and strips of what was found, pictures inside."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.report import rendering
from uda_seg.report.gallery import Picture, class_colors, embed, read
from uda_seg.retrieval import tables

WIDEST = 1400
"""Pixels; wider strips are made smaller, so that a page can be mailed."""


def write_page(path: Path, result: Mapping[str, Any], strips: Sequence[Path]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file.
        result: what retrieval.json holds.
        strips: pictures, named QUERIES_NNN_DESCRIPTOR.png.
    """
    rendering.write_page(
        path,
        "retrieval.html",
        title=f"Retrieval between {result['source']['name']} and {result['target']['name']}",
        runs=", ".join(f"{one['label']} (step {one['steps']})" for one in result["runs"]),
        directions=[_direction(result, one, strips) for one in tables.directions(result)],
        judged=result["judged"],
        colors=class_colors(result["classes"]),
        meanings=tables.legend(result).items(),
    )


def _direction(
    result: Mapping[str, Any], direction: tuple[str, str], strips: Sequence[Path]
) -> dict[str, Any]:
    heads, lines = tables.grid(result, direction)
    own = [
        Picture(path.stem, pixels, photo=True)
        for path in strips
        if path.name.startswith(f"{direction[0]}_") and (pixels := read(path)) is not None
    ]
    return {
        "title": tables.title(result, direction),
        "heads": heads,
        "lines": lines,
        "strips": [(one.alternative, embed(one, WIDEST)) for one in own],
    }
