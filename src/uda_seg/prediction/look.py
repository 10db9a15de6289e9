"""From answers to pictures: masks, overlays with a legend, entropy, before beside after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from uda_seg.batch import IGNORE
from uda_seg.data.datasets.classes import CITYSCAPES_IDS
from uda_seg.errors import ConfigError
from uda_seg.images import pictures
from uda_seg.images.legend import LINE, legend, text_length, write
from uda_seg.prediction.predictor import Answer

COMPARISON = "comparison"
USUAL_WIDTH = 1280
"""Pixels up to which a legend's letters keep their size; beyond, they grow with the picture."""
MOST_COVERED = 0.25
"""Share of a video's frame that a legend may cover; small videos go without."""
PAPER = 0.75
"""Opacity of the white between a legend's words, where it covers a picture."""
GAP = 4
"""Pixels between pictures side by side."""


@dataclass
class Look:
    """How answers are drawn.

    Attributes:
        kinds: out of overlay, color, ids, entropy, comparison.
        classes: of each predictor; the second one's is there with `comparison`.
        captions: of each predictor, in a comparison.
        id_table: (256,) uint8, a run's id to the one that is written.
        opacity: of colors over the picture, 0 to 1.
        legend: whether overlays have one.
    """

    kinds: Sequence[str]
    classes: Sequence[Sequence[str]]
    captions: Sequence[str]
    id_table: np.ndarray
    opacity: float
    legend: bool

    def draw(
        self, image: np.ndarray, answers: Sequence[Answer], media: Literal["picture", "video"]
    ) -> dict[str, np.ndarray]:
        """Each kind, (h, w, 3) uint8 RGB or, of ids, (H, W) uint8.

        A picture grows by its legend; a video's frames keep their size, so the legend covers their
        lower edge.
        """
        drawn, answer = {}, answers[0]
        overlays = [
            pictures.overlay(image, one.ids, self.classes[place], self.opacity)
            for place, one in enumerate(answers)
            if "overlay" in self.kinds or COMPARISON in self.kinds
        ]
        if "overlay" in self.kinds:
            drawn["overlay"] = self._with_legend(overlays[0], self.classes[0], media == "video")
        if "color" in self.kinds:
            drawn["color"] = pictures.color(answer.ids, self.classes[0])
        if "ids" in self.kinds:
            drawn["ids"] = self.id_table[answer.ids]
        if "entropy" in self.kinds and answer.entropy is not None:
            drawn["entropy"] = pictures.heat(answer.entropy)
        if COMPARISON in self.kinds:
            drawn[COMPARISON] = self._comparison(image, overlays, media)
        return drawn

    def _comparison(
        self, image: np.ndarray, overlays: Sequence[np.ndarray], media: str
    ) -> np.ndarray:
        """Before, after; the image itself left of them, for which a video would be too wide."""
        cells, captions = list(overlays[::-1]), list(self.captions[::-1])
        if media == "picture":
            cells, captions = [image, *cells], ["image", *captions]
        every = list(dict.fromkeys([*self.classes[0], *self.classes[1]]))
        return self._with_legend(beside(cells, captions), every, inside=False)

    def _with_legend(self, picture: np.ndarray, classes: Sequence[str], inside: bool) -> np.ndarray:
        if not self.legend:
            return picture
        strip = legend_of(classes, picture.shape[1])
        if not inside:
            return np.vstack([picture, strip])
        height = strip.shape[0]
        if height > MOST_COVERED * picture.shape[0]:
            return picture
        paper = (strip == 255).all(2, keepdims=True)  # swatches and letters cover what is below
        mixed = cv2.addWeighted(strip, PAPER, np.ascontiguousarray(picture[-height:]), 1 - PAPER, 0)
        return np.vstack([picture[:-height], np.where(paper, mixed, strip)])


def beside(cells: Sequence[np.ndarray], captions: Sequence[str]) -> np.ndarray:
    """Pictures of one size side by side on white, each below its caption."""
    height, width = cells[0].shape[:2]
    whole = len(cells) * (width + GAP) - GAP
    scale = scale_of(whole)
    top = round(LINE * scale)
    canvas = np.full((top + height, whole, 3), 255, np.uint8)
    for place, (cell, caption) in enumerate(zip(cells, captions, strict=True)):
        left = place * (width + GAP)
        fitting = min(scale, scale * (width - 4) / max(text_length(caption, scale), 1))
        write(canvas, caption, left + 2, top - round(6 * scale), fitting)
        canvas[top:, left : left + width] = cell
    return canvas


def scale_of(width: int) -> float:
    """How large letters and swatches are drawn on a picture of this width."""
    return max(1.0, width / USUAL_WIDTH)


def legend_of(classes: Sequence[str], width: int) -> np.ndarray:
    return legend(classes, width, scale=scale_of(width))


def id_table(classes: Sequence[str], ids: str) -> np.ndarray:
    """(256,) uint8: a run's id to the one that is written.

    Args:
        classes: of the run.
        ids: "run" (nothing changes) or "cityscapes": its original ids, `labelIds`.

    Raises:
        ConfigError: a class is none of Cityscapes'.
    """
    table = np.arange(256, dtype=np.uint8)
    if ids == "cityscapes":
        number = {name: identifier for identifier, name in CITYSCAPES_IDS.items()}
        unknown = [name for name in classes if name not in number]
        if unknown:
            raise ConfigError(
                f"ids=cityscapes: Cityscapes has no {', '.join(unknown)}, which this network's "
                "classes hold; take ids=run"
            )
        table[:] = IGNORE
        table[: len(classes)] = [number[name] for name in classes]
    return table
