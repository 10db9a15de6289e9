"""Geometry and color of samples: the one place that crops, mirrors, and knows albumentations.

Training, scoring and the cache share one definition of a smaller picture: Pillow's bicubic filter,
with which the published preprocessing resizes; a label takes the nearest pixel's id.

Crops and flips draw their numbers as albumentations 2.0.8 does, the last MIT release: runs are what
they were when it made them. It makes color changes only, since importing it takes a second.
"""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from uda_seg.batch import IGNORE, NO_SUPERPIXEL
from uda_seg.images.scaling import Size, _interleave, resize_image, resize_mask

Item = dict[str, np.ndarray]

OUTSIDE = {"image": 0, "label": IGNORE, "depth": 0, "superpixels": NO_SUPERPIXEL}
"""What padding holds."""

REDRAWN = 10
"""Crops after the first, at most (mmseg's `cat_max_ratio`, as DAFormer's authors use it)."""


class Transform:
    """Resize, random scale, crop, flip and color, in this order; remembers the crop's window.

    Args:
        size: (height, width) images are resized to first; None keeps theirs.
        scale: (least, most) factor of a random scale, or None.
        crop: (height, width) of a random crop, or None; smaller images are padded (IGNORE).
        flip: mirror every other sample.
        color: strength of random brightness, contrast and saturation changes; 0 for none.
        largest_class: a crop is drawn again, up to 10 times, until it shows two classes and none
            covers that share of what counts; None: the first one stays.
    """

    def __init__(
        self,
        size: list[int] | None,
        scale: list[float] | None,
        crop: list[int] | None,
        flip: bool,
        color: float,
        largest_class: float | None = None,
    ) -> None:
        self.size, self.scale, self.largest_class = size, scale, largest_class
        self.crop = (crop[0], crop[1]) if crop else None
        self.flip = flip
        self.jitter = _jitter(color) if color else None

    def __call__(
        self, image: np.ndarray, random_numbers: np.random.Generator, **masks: np.ndarray
    ) -> Item:
        """
        Args:
            image: (H, W, 3) uint8.
            random_numbers: all this sample's chance comes from here.
            masks: label (H, W) uint8, depth (H, W) float32, superpixels (H, W) int32; each at the
                image's size or at `size`.

        Returns:
            image, the masks, and `window` (4,) float32: left, top, right, bottom of the result as
            shares of the full image; left > right where it is mirrored.
        """
        seed = int(random_numbers.integers(2**31))
        # One resampling for size and scale.
        height, width = self._scaled_size(image.shape[:2], random_numbers)
        image = resize_image(image, (height, width))
        masks = {name: resize_mask(mask, (height, width)) for name, mask in masks.items()}
        if not (self.crop or self.flip or self.jitter):
            return {"image": image, **masks, "window": np.array([0, 0, 1, 1], np.float32)}
        drawing = random.Random(seed)
        if self.jitter:
            self.jitter.set_random_state(random_numbers, drawing)
        item = {"image": _interleave(image), **masks}
        out = self._cut(item, drawing)
        for _ in range(REDRAWN):
            if self.largest_class is None or _varied(out.get("label"), self.largest_class):
                break
            out = self._cut(item, drawing)
        return out

    def _cut(self, item: Item, drawing: random.Random) -> Item:
        """A crop, perhaps mirrored, its colors changed; and its window."""
        height, width = item["image"].shape[:2]
        drawing.random()  # albumentations asks here whether anything is to be done
        top, left, rows, columns = 0, 0, height, width
        if self.crop:
            rows, columns = self.crop
            top = int(drawing.random() * (max(height - rows, 0) + 1))
            left = int(drawing.random() * (max(width - columns, 0) + 1))
        part = slice(top, top + rows), slice(left, left + columns)
        out = {n: _padded(a[part], (rows, columns), OUTSIDE[n]) for n, a in item.items()}
        mirrored = self.flip and drawing.random() < 0.5
        if mirrored:
            out = {name: cv2.flip(array, 1) for name, array in out.items()}
        if self.jitter:
            out["image"] = self.jitter(image=out["image"])["image"]
        x = np.array([left, left + columns]) / width
        y = np.array([top, top + rows]) / height
        x = x[::-1] if mirrored else x
        return out | {"window": np.array([x[0], y[0], x[1], y[1]], np.float32)}

    def _scaled_size(
        self, size: tuple[int, ...], random_numbers: np.random.Generator
    ) -> tuple[int, int]:
        height, width = self.size or size
        factor = random_numbers.uniform(self.scale[0], self.scale[1]) if self.scale else 1.0
        return round(height * factor), round(width * factor)


def resize(size: Size) -> Callable[..., Item]:
    """A function that brings `image=` and masks under any names to (height, width)."""

    def apply(image: np.ndarray, **masks: np.ndarray) -> Item:
        small = {name: resize_mask(mask, size) for name, mask in masks.items()}
        return {"image": resize_image(image, size), **small}

    return apply


def from_config(size: list[int] | None, augment: Mapping[str, Any]) -> Transform:
    return Transform(size=size, **augment)


def _varied(label: np.ndarray | None, largest: float) -> bool:
    """Whether a crop's label, if it has one, shows two classes, none of which covers that share."""
    if label is None:
        return True
    counts = np.bincount(label[label != IGNORE].ravel(), minlength=2)
    return bool((counts > 0).sum() >= 2 and counts.max() < largest * counts.sum())


def _padded(array: np.ndarray, size: tuple[int, int], value: int) -> np.ndarray:
    """(H, W, …) to `size` (height, width), filled at the bottom and on the right."""
    height, width = array.shape[:2]
    if (height, width) == size:
        return np.ascontiguousarray(array)
    out = np.full((*size, *array.shape[2:]), value, array.dtype)
    out[:height, :width] = array
    return out


def _jitter(color: float) -> Any:
    """ColorJitter of albumentations; a newer version is not looked for in the network."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    from albumentations import ColorJitter

    change = (1 - color, 1 + color)
    return ColorJitter(change, change, change, hue=(0, 0), p=0.8)
