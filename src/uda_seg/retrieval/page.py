"""A retrieval as one HTML file: tables, and strips of what was found, pictures inside."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from uda_seg.report import rendering
from uda_seg.report.gallery import class_colors
from uda_seg.retrieval import tables

WIDEST = 1400
"""Pixels; wider strips are made smaller, so that a page can be mailed."""
JPEG_QUALITY = 80
"""Quality of the pictures embedded in the page."""


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
    own = [path for path in strips if path.name.startswith(f"{direction[0]}_")]
    return {
        "title": tables.title(result, direction),
        "heads": heads,
        "lines": lines,
        "strips": [(path.stem, _embed(path)) for path in own],
    }


def _embed(path: Path) -> str:
    """A strip as data URI; as JPEG, for photographs make up half of it."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    if picture.width > WIDEST:
        size = (WIDEST, round(picture.height * WIDEST / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    code = io.BytesIO()
    picture.save(code, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(code.getvalue()).decode()
