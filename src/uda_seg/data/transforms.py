"""Geometry and colour of training samples: the one place that knows albumentations.

2.0.8 is its last MIT release. It asks the network for a newer version when it is imported, unless
told not to.
"""

import os
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import albumentations as A
import cv2

from uda_seg.batch import IGNORE

Item = dict[str, np.ndarray]


class Transform:
    """Resize, random scale, crop, flip and colour, in this order; remembers the crop's window.

    Args:
        size: (height, width) images are resized to first; None keeps theirs.
        scale: (least, most) factor of a random scale, or None.
        crop: (height, width) of a random crop, or None; smaller images are padded (IGNORE).
        flip: mirror every other sample.
        colour: strength of random brightness, contrast and saturation changes; 0 for none.
    """

    def __init__(
        self,
        size: list[int] | None,
        scale: list[float] | None,
        crop: list[int] | None,
        flip: bool,
        colour: float,
    ) -> None:
        self.size, self.scale = size, scale
        steps: list[Any] = []
        if crop:
            steps.append(
                A.RandomCrop(*crop, pad_if_needed=True, pad_position="top_left", fill_mask=IGNORE)
            )
        if flip:
            steps.append(A.HorizontalFlip(p=0.5))
        if colour:
            change = (1 - colour, 1 + colour)
            steps.append(A.ColorJitter(change, change, change, hue=(0, 0), p=0.8))
        self.compose = A.Compose(
            steps,
            keypoint_params=A.KeypointParams("xy", remove_invisible=False),
            additional_targets={"depth": "mask"},
        )

    def __call__(
        self, image: np.ndarray, random_numbers: np.random.Generator, **masks: np.ndarray
    ) -> Item:
        """
        Args:
            image: (H, W, 3) uint8.
            random_numbers: all this sample's chance comes from here.
            masks: label (H, W) uint8, depth (H, W) float32.

        Returns:
            image, the masks, and `window` (4,) float32: left, top, right, bottom of the result as
            shares of the full image; left > right where it is mirrored.
        """
        seed = int(random_numbers.integers(2**31))
        self.compose.set_random_state(random_numbers, random.Random(seed))
        named = {"mask" if name == "label" else name: mask for name, mask in masks.items()}
        height, width = self._scaled_size(image.shape[:2], random_numbers)
        if (height, width) != image.shape[:2]:
            # One resampling for both; A.RandomScale would round sizes that its keypoints do not.
            targets = A.Compose([resize((height, width))], additional_targets={"depth": "mask"})
            resized = targets(image=image, **named)
            image, named = resized["image"], {name: resized[name] for name in named}
        # The full image's corners travel along: where they end up tells where the crop lies.
        out = self.compose(
            image=image, keypoints=np.array([(0, 0), (width, height)], np.float32), **named
        )
        result = {name: out["mask" if name == "label" else name] for name in masks}
        result["window"] = _window(out["keypoints"], *out["image"].shape[:2])
        if "depth" in result:
            result["depth"] = np.where(
                _inside(result["window"], *out["image"].shape[:2]), result["depth"], 0
            ).astype(np.float32)
        return {"image": out["image"], **result}

    def _scaled_size(
        self, size: tuple[int, ...], random_numbers: np.random.Generator
    ) -> tuple[int, int]:
        height, width = self.size or size
        factor = random_numbers.uniform(self.scale[0], self.scale[1]) if self.scale else 1.0
        return round(height * factor), round(width * factor)


def resize(size: list[int] | tuple[int, int]) -> A.Resize:
    """To (height, width): area-averaged when shrinking, cubic when growing; labels nearest."""
    return A.Resize(
        size[0], size[1], interpolation=cv2.INTER_CUBIC, area_for_downscale="image", p=1.0
    )


def from_config(size: list[int] | None, augment: Mapping[str, Any]) -> Transform:
    return Transform(size=size, **augment)


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
