"""Geometry and color of samples: the one place that resizes, and that knows albumentations.

Training, scoring and the cache share one definition of a smaller picture: Pillow's bicubic filter,
with which the published preprocessing resizes; a label takes the nearest pixel's id.

Of albumentations 2.0.8 is the last MIT release. It asks the network for a newer version when it is
imported, unless told not to.
"""

import os
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from uda_seg.images.scaling import Size, _interleave, resize_image, resize_mask

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A

from uda_seg.batch import IGNORE, NO_SUPERPIXEL

Item = dict[str, np.ndarray]

OUTSIDE = {"depth": 0, "superpixels": NO_SUPERPIXEL}
"""What masks hold in padding; a label holds IGNORE."""


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
        steps: list[Any] = []
        if crop:
            steps.append(
                A.RandomCrop(*crop, pad_if_needed=True, pad_position="top_left", fill_mask=IGNORE)
            )
        if flip:
            steps.append(A.HorizontalFlip(p=0.5))
        if color:
            change = (1 - color, 1 + color)
            steps.append(A.ColorJitter(change, change, change, hue=(0, 0), p=0.8))
        self.compose: A.Compose | None = None
        if steps:
            self.compose = A.Compose(
                steps,
                keypoint_params=A.KeypointParams("xy", remove_invisible=False),
                additional_targets=dict.fromkeys(OUTSIDE, "mask"),
            )

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
        # One resampling for size and scale; A.RandomScale would round what its keypoints do not.
        height, width = self._scaled_size(image.shape[:2], random_numbers)
        image = resize_image(image, (height, width))
        masks = {name: resize_mask(mask, (height, width)) for name, mask in masks.items()}
        if self.compose is None:
            return {"image": image, **masks, "window": np.array([0, 0, 1, 1], np.float32)}
        self.compose.set_random_state(random_numbers, random.Random(seed))
        named = {"mask" if name == "label" else name: mask for name, mask in masks.items()}
        image = _interleave(image)
        # The full image's corners travel along: where they end up tells where the crop lies.
        corners = np.array([(0, 0), (width, height)], np.float32)
        out = self.compose(image=image, keypoints=corners, **named)
        for _ in range(REDRAWN):
            if self.largest_class is None or _varied(out.get("mask"), self.largest_class):
                break
            out = self.compose(image=image, keypoints=corners, **named)
        result = {name: out["mask" if name == "label" else name] for name in masks}
        result["window"] = _window(out["keypoints"], *out["image"].shape[:2])
        inside = _inside(result["window"], *out["image"].shape[:2])
        for name in OUTSIDE.keys() & masks.keys():
            outside = np.array(OUTSIDE[name], masks[name].dtype)
            result[name] = np.where(inside, result[name], outside)
        return {"image": out["image"], **result}

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


def _window(corners: np.ndarray, height: int, width: int) -> np.ndarray:
    (x0, y0), (x1, y1) = np.asarray(corners, np.float64)[:, :2]
    if x1 < x0:  # albumentations mirrors pixel centres: a corner lands one pixel too far left
        x0, x1 = x0 + 1, x1 + 1
    shares = [-x0 / (x1 - x0), -y0 / (y1 - y0), (width - x0) / (x1 - x0), (height - y0) / (y1 - y0)]
    return np.asarray(shares, np.float32)


def _inside(window: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W) bool: the pixels that show the image rather than padding."""
    x = np.linspace(window[0], window[2], 2 * width + 1)[1::2]
    y = np.linspace(window[1], window[3], 2 * height + 1)[1::2]
    return ((y > 0) & (y < 1))[:, None] & ((x > 0) & (x < 1))[None]
