"""A smaller picture: the one definition that training, scoring and the cache share."""

import cv2
import numpy as np
import torch
import torch.nn.functional as F

RESAMPLING = "bicubic antialiased, nearest by centres"
"""Tells resized results apart that are kept on disk: to be changed with the arithmetic below."""


Size = list[int] | tuple[int, ...]


def resize_image(image: np.ndarray, size: Size) -> np.ndarray:
    """(H, W, 3) uint8 to (height, width, 3), with Pillow's bicubic filter."""
    if image.shape[:2] == tuple(size):
        return image
    # With strides that torch takes for channels_last, in and out: a third of the time less.
    pixels = torch.from_numpy(_interleave(image))[None].permute(0, 3, 1, 2)
    small = F.interpolate(pixels, (size[0], size[1]), mode="bicubic", antialias=True)
    return small[0].permute(1, 2, 0).numpy()


def _interleave(image: np.ndarray) -> np.ndarray:
    """The three values of a pixel side by side, as OpenCV and the resizing want them."""
    if image.strides[0] == image.shape[1] * image.itemsize:  # one whole channel after the other
        return cv2.merge([image[..., channel] for channel in range(3)])
    return np.require(image, requirements=["C", "W"])


def resize_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """(H, W) ids or metres to (height, width): the pixel nearest to each new pixel's centre."""
    if mask.shape == tuple(size):
        return mask
    kind = mask.dtype
    if kind.itemsize == 8:  # OpenCV would cut ids of 64 bits down to 32
        mask = mask.view(np.float64)
    # INTER_NEAREST takes upper left corners: half a pixel off from the image.
    return cv2.resize(mask, (size[1], size[0]), interpolation=cv2.INTER_NEAREST_EXACT).view(kind)
