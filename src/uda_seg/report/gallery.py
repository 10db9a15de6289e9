"""Pictures of a page: target image, label, what every row predicts, and where it is wrong."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image, UnidentifiedImageError

from uda_seg.images.pictures import IGNORED, color_of
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row

WIDTHS = (640, 480, 360, 256)
"""Pixels; pictures are made no wider than the first, and smaller while there are too many."""
BYTES = 6_000_000
"""Of all pictures of a gallery, as they stand in the page: it can still be mailed."""
WRONG = (213, 16, 16)
"""Color of a wrong pixel; a right one is pale, and one without label black."""
RIGHT = (190, 191, 188)

WORDS = {"baseline": "before: ", "control": "", "oracle": "", None: "after: "}

OPEN = 2
"""Scenes that need no click."""


@dataclass(frozen=True)
class Picture:
    alternative: str
    """What it shows, for those who do not see it."""
    pixels: np.ndarray
    """(H, W, 3) uint8."""
    photo: bool = False


@dataclass(frozen=True)
class Cell:
    caption: Markup
    pictures: tuple[Picture, ...]
    """One below the other."""


def gallery(rows: Sequence[Row], left_out: int = 0) -> Part | None:
    """One scene a validation image; None when no run has kept pictures.

    Predictions are those of each row's first run.

    Args:
        rows: those shown.
        left_out: how many other rows there are.
    """
    first = next((folder for row in rows for folder in row.folders if numbers(folder)), None)
    if first is None:
        return None
    scenes = [cells for number in numbers(first) if (cells := scene(rows, first, number))]
    embedded, remarks = _within(scenes, BYTES)
    seeds = {row.seeds[0] for row in rows}
    words = f" of seed {seeds.pop()}" if len(seeds) == 1 else ""
    text = (
        f"Target validation images, their label, and the predictions{words} at the end of "
        "training; below each its errors: red is wrong, pale is right, black has no label."
    )
    if left_out:
        text += f" Of {left_out} more rows there are no pictures here."
    body = render(
        "gallery.html",
        words=" ".join([text, *remarks]),
        colors=class_colors(list(rows[0].iou)),
        open=embedded[:OPEN],
        more=embedded[OPEN:],
    )
    return Part("Before and after", body)


def numbers(folder: Path) -> list[str]:
    """`000`, `001`, … of the images whose pictures lie in a run folder."""
    found = (Path(folder) / "pictures").glob("*_image.png")
    return sorted(path.name.removesuffix("_image.png") for path in found)


def class_colors(classes: Sequence[str]) -> list[tuple[str, tuple[int, int, int]]]:
    """The legend of label maps."""
    return [(name, color_of(name)) for name in classes]


def scene(rows: Sequence[Row], first: Path, number: str) -> list[Cell]:
    """The pictures of one validation image, as far as they are there.

    Args:
        rows: whose predictions are shown.
        first: a run folder that has the image and its label.
        number: of the image in that folder; others may have it under another.
    """
    image, label = (
        read(first / "pictures" / f"{number}_{kind}.png") for kind in ("image", "label")
    )
    if image is None:
        return []
    labelled = label is not None and bool((label != IGNORED).any())
    caption, shown = Markup("<b>target image</b>"), [Picture(f"target image {number}", image, True)]
    if label is not None and labelled:
        caption += Markup(" and <b>label</b>")
        shown.append(Picture(f"label of image {number}", label))
    cells = [Cell(caption, tuple(shown))]
    for row in rows:
        folder = Path(row.folders[0]) if row.folders else None
        mine = same_image(folder, image, number) if folder else None
        prediction = (
            read(folder / "pictures" / f"{mine}_prediction.png") if folder and mine else None
        )
        if prediction is None:
            continue
        name = row.label
        caption = Markup("{}<b>{}</b>").format(WORDS[row.role], name)
        words = f"prediction of {name}, image {number}"
        pictures = [Picture(words, prediction)]
        if label is not None and labelled and label.shape == prediction.shape:
            wrong, share = errors(prediction, label)
            pictures.append(Picture(f"errors in the {words}", wrong))
            caption += f", {100 * share:.0f} % right"
        cells.append(Cell(caption, tuple(pictures)))
    return cells


def same_image(folder: Path, image: np.ndarray, number: str) -> str | None:
    """The number that an image has in a folder: runs may have kept others, or more of them."""
    for one in sorted(numbers(folder), key=lambda one: one != number):
        other = read(folder / "pictures" / f"{one}_image.png")
        if other is not None and other.shape == image.shape and (other == image).all():
            return one
    return None


def errors(prediction: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, float]:
    """A picture of what is wrong, and the share of labelled pixels that are right.

    Args:
        prediction: (H, W, 3) uint8, in the classes' colors.
        label: the same; IGNORED where there is none.
    """
    labelled = (label != IGNORED).any(2)
    right = (prediction == label).all(2)
    picture = np.full_like(label, IGNORED)
    picture[labelled] = WRONG
    picture[labelled & right] = RIGHT
    return picture, float(right[labelled].mean())


def read(path: Path) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB; None when the file is not there or broken."""
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError):
        return None


def embed(shown: Picture, widest: int) -> str:
    """As data URI, no wider than `widest`: photos as JPEG, maps exactly as they are."""
    picture, photo = Image.fromarray(shown.pixels), shown.photo
    if picture.width > widest:
        size = (widest, round(picture.height * widest / picture.width) or 1)
        how = Image.Resampling.LANCZOS if photo else Image.Resampling.NEAREST
        picture = picture.resize(size, how)
    code = io.BytesIO()
    if photo:
        picture.save(code, "JPEG", quality=88)
    else:  # few colors: exactly the same picture in a fraction of the bytes
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=256)
        picture.save(code, "PNG", optimize=True)
    kind = "jpeg" if photo else "png"
    return f"data:image/{kind};base64," + base64.b64encode(code.getvalue()).decode()


Embedded = list[dict[str, Any]]
"""The cells of a scene as the template takes them."""


def _within(scenes: Sequence[Sequence[Cell]], most: int) -> tuple[list[Embedded], list[str]]:
    """Scenes whose pictures take `most` bytes together, and what had to be done for it."""
    embedded, remarks = [_embedded(cells, WIDTHS[0]) for cells in scenes], []
    for width in WIDTHS[1:]:
        if sum(map(_bytes, embedded)) <= most:
            break
        embedded = [_embedded(cells, width) for cells in scenes]
        remarks = [f"Pictures are at most {width} pixels wide, to keep the page small."]
    kept = list(embedded)
    while len(kept) > 1 and sum(map(_bytes, kept)) > most:
        kept.pop()
    if len(kept) < len(embedded):
        remarks.append(f"{len(embedded) - len(kept)} more scenes lie in the run folders.")
    return kept, remarks


def _embedded(cells: Sequence[Cell], widest: int) -> Embedded:
    return [
        {
            "caption": cell.caption,
            "pictures": [
                {"alternative": one.alternative, "address": embed(one, widest)}
                for one in cell.pictures
            ],
        }
        for cell in cells
    ]


def _bytes(scene: Embedded) -> int:
    return sum(len(one["address"]) for cell in scene for one in cell["pictures"])
