"""Pictures of a page: target image, label, and what every row predicts."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from uda_seg.data.pictures import colour_of
from uda_seg.report.comparison import Line

WIDEST = 640
"""Pixels; larger pictures are made smaller, so that a page can be mailed."""

WORDS = {"baseline": "before: ", "control": "", "oracle": "", None: "after: "}


def gallery(lines: Sequence[Line]) -> str:
    """One scene a validation image; empty when no run has kept pictures.

    Predictions are those of each row's first run.
    """
    first = next((folder for line in lines for folder in line.row.folders if numbers(folder)), None)
    if first is None:
        return ""
    seeds = {line.seeds[0] for line in lines}
    words = f" of seed {seeds.pop()}" if len(seeds) == 1 else ""
    scenes = [_scene(lines, first, number) for number in numbers(first)]
    return (
        f'<h2>Before and after</h2><p class="soft">Target validation images, their label, and the '
        f"predictions{words} at the end of training. Black: no label.</p>"
        f"{class_key(list(lines[0].iou))}{''.join(scenes)}"
    )


def numbers(folder: Path) -> list[str]:
    """`000`, `001`, … of the images whose pictures lie in a run folder."""
    found = (Path(folder) / "pictures").glob("*_image.png")
    return sorted(path.name.removesuffix("_image.png") for path in found)


def class_key(classes: Sequence[str]) -> str:
    items = (
        f'<li><i style="background:rgb{colour_of(name)}"></i>{escape(name)}</li>'
        for name in classes
    )
    return f'<ul class="classes">{"".join(items)}</ul>'


def embed(path: Path) -> str | None:
    """A PNG as data URI, no wider than WIDEST; None when it is not there or broken."""
    try:
        with Image.open(path) as file:
            photo = path.name.endswith("_image.png")
            picture = file.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError):
        return None
    if picture.width > WIDEST:
        size = (WIDEST, round(picture.height * WIDEST / picture.width))
        how = Image.Resampling.LANCZOS if photo else Image.Resampling.NEAREST
        picture = picture.resize(size, how)
    if not photo:  # few colours: exactly the same picture in a fraction of the bytes
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
    code = io.BytesIO()
    picture.save(code, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(code.getvalue()).decode()


def _scene(lines: Sequence[Line], first: Path, number: str) -> str:
    cells = [("target image", "", first / "pictures" / f"{number}_image.png")]
    cells += [("label", "", first / "pictures" / f"{number}_label.png")]
    for line in lines:
        if line.row.folders:
            path = Path(line.row.folders[0]) / "pictures" / f"{number}_prediction.png"
            cells.append((line.row.label, WORDS[line.role], path))
    shown = []
    for label, prefix, path in cells:
        code = embed(path)
        if code is not None:
            words = f"{prefix}<b>{escape(label)}</b>"
            alternative = escape(f"{label}, image {number}")
            shown.append(
                f'<figure><img loading="lazy" alt="{alternative}" src="{code}">'
                f"<figcaption>{words}</figcaption></figure>"
            )
    return f'<div class="scene">{"".join(shown)}</div>'
