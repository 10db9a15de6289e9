"""A retrieval as one HTML file: tables, and strips of what was found, pictures inside."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from uda_seg.report.gallery import class_key
from uda_seg.retrieval import tables
from uda_seg.runs.files import write_text

WIDEST = 1400
"""Pixels; wider strips are made smaller, so that a page can be mailed."""
QUALITY = 80
"""Of the JPEGs in the page."""


def write_page(path: Path, result: Mapping[str, Any], strips: Sequence[Path]) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file.
        result: what retrieval.json holds.
        strips: pictures, named QUERIES_NNN_DESCRIPTOR.png.
    """
    source, target = result["source"]["name"], result["target"]["name"]
    headline = f"Retrieval between {source} and {target}"
    runs = ", ".join(f"{one['label']} (step {one['steps']})" for one in result["runs"])
    sections = [
        f"<h1>{escape(headline)}</h1><p>Images of one domain are looked up in the other, by what a "
        "network makes of them; whether the right ones come back is judged by labels that no "
        f'network was shown here.</p><p class="soft">{escape(runs)}</p>'
    ]
    for direction in tables.directions(result):
        sections.append(_table(result, direction))
        sections.append(_strips(result, direction, strips))
    sections.append(_meanings(result))
    style = resources.files("uda_seg.report").joinpath("page.css").read_text(encoding="utf-8")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(headline)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )
    write_text(path, page)


def _table(result: Mapping[str, Any], direction: tuple[str, str]) -> str:
    heads, lines = tables.grid(result, direction)
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in ("by", "", *heads))
    body, before = [], ""
    for line in lines:
        cells = "".join(
            f'<td class="{"best" if clear else ""}">{escape(text)}</td>'
            for text, clear in zip(line.cells, line.clear, strict=True)
        )
        name = line.descriptor if line.descriptor != before else ""
        body.append(
            f'<tr><th scope="row">{escape(name)}</th><th scope="row">{escape(line.metric)}</th>'
            f"{cells}</tr>"
        )
        before = line.descriptor
    return (
        f"<h2>{escape(tables.title(result, direction))}</h2>"
        '<div class="wide" tabindex="0" role="region" aria-label="scores">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _strips(result: Mapping[str, Any], direction: tuple[str, str], strips: Sequence[Path]) -> str:
    own = [path for path in strips if path.name.startswith(f"{direction[0]}_")]
    if not own:
        return ""
    figures = "".join(
        f'<figure><img loading="lazy" alt="{escape(path.stem)}" src="{_embedded(path)}">'
        f"<figcaption>{escape(path.stem.replace('_', ' '))}</figcaption></figure>"
        for path in own
    )
    words = "The query and its nearest neighbours, nearest first; below each its label, or where "
    words += "there is none what the run predicts. "
    if result["judged"]:
        words += "Green frame: relevant; orange: not."
    return f'<p class="soft">{words}</p>{class_key(result["classes"])}{figures}'


def _meanings(result: Mapping[str, Any]) -> str:
    items = (
        f"<dt>{escape(name)}</dt><dd>{escape(meaning)}.</dd>"
        for name, meaning in tables.legend(result).items()
    )
    return f"<h2>What the words mean</h2><p>Percent.</p><dl>{''.join(items)}</dl>"


def _embedded(path: Path) -> str:
    """A strip as data URI; as JPEG, for photographs make up half of it."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    if picture.width > WIDEST:
        size = (WIDEST, round(picture.height * WIDEST / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    code = io.BytesIO()
    picture.save(code, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(code.getvalue()).decode()
