"""Color jitter and blur, for images that a student sees and its teacher does not."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as vision
from torch import Tensor

from uda_seg.batch import random_numbers, random_step_numbers
from uda_seg.errors import ConfigError

JITTERS = ("additive", "multiplicative")
COINS = ("step", "image")
_ORDER, _STRENGTHS, _SIGMA = slice(0, 4), slice(4, 8), 8
"""Where the random numbers of an image stand."""


class StrongAugmentation:
    """
    Args:
        jitter: "additive": brightness is added and contrast multiplies without a mean, as in the
            kornia of DACS and DAFormer (today's `ColorJiggle`); "multiplicative": as torchvision's
            `ColorJitter`, which VFM-UDA uses.
        strength: of brightness, contrast, saturation and hue (a share of the color circle): one
            number for all, or four.
        jitter_probability: that colors change.
        blur_probability: that an image is blurred.
        sigma: (least, most) standard deviation of the blur, in pixels.
        coins: "step": all images of a step are changed or none; "image": each by itself.
    """

    def __init__(
        self,
        jitter: str,
        strength: float | Sequence[float],
        jitter_probability: float,
        blur_probability: float,
        sigma: Sequence[float],
        coins: str,
    ) -> None:
        for key, value, choices in (("jitter", jitter, JITTERS), ("coins", coins, COINS)):
            if value not in choices:
                raise ConfigError(f"{key}={value!r}: choose {' or '.join(choices)}")
        self.change = additive if jitter == "additive" else multiplicative
        self.strength = torch.as_tensor(strength, dtype=torch.float32).expand(4)
        self.sigma, self.coins = tuple(sigma), coins
        self.probabilities = (jitter_probability, blur_probability)

    @torch.no_grad()
    def __call__(self, images: Tensor, together: bool = False) -> Tensor:
        """
        Args:
            images: (B, 3, H, W) in [0, 1].
            together: all have one blur and one order of changes, as MIC's masked images.
        """
        coins = random_step_numbers(2).expand(len(images), 2)
        if self.coins == "image":
            coins = random_numbers(len(images), 2)
        numbers = random_numbers(len(images), 9)
        if together:
            shared = random_step_numbers(9)
            numbers[:, _ORDER], numbers[:, _SIGMA] = shared[_ORDER], shared[_SIGMA]
        return torch.stack([self._one(*each) for each in zip(images, coins, numbers, strict=True)])

    def _one(self, image: Tensor, coins: Tensor, numbers: Tensor) -> Tensor:
        jittered, blurred = (coins > 1 - torch.tensor(self.probabilities)).tolist()
        if jittered and self.strength.any():
            changes = (self.strength * (2 * numbers[_STRENGTHS] - 1)).tolist()
            for which in numbers[_ORDER].argsort().tolist():
                image = self.change(image, which, changes[which])
        if blurred:
            least, most = self.sigma
            image = blur(image, least + (most - least) * float(numbers[_SIGMA]))
        return image


def additive(image: Tensor, which: int, change: float) -> Tensor:
    """Brightness (0), contrast, saturation or hue (3) of (3, H, W), changed by kornia's rules."""
    if which == 0:
        return (image + change).clamp(0, 1)
    if which == 1:
        return (image * (1 + change)).clamp(0, 1)
    if which == 2:  # saturation of HSV: distances to the largest channel, up to black
        value, least = image.amax(0, keepdim=True), image.amin(0, keepdim=True)
        most = value / (value - least).clamp(min=1e-8)
        return value - (value - image) * most.clamp(max=1 + change)
    return vision.adjust_hue(image, change).clamp(0, 1)


def multiplicative(image: Tensor, which: int, change: float) -> Tensor:
    """Brightness (0), contrast, saturation or hue (3) of (3, H, W), by torchvision's rules."""
    adjust = (vision.adjust_brightness, vision.adjust_contrast, vision.adjust_saturation)
    return vision.adjust_hue(image, change) if which == 3 else adjust[which](image, 1 + change)


def blur(image: Tensor, sigma: float) -> Tensor:
    """(3, H, W) under a Gaussian whose kernel is a tenth of each side; edges are mirrored.

    Column by column, then row by row: torchvision multiplies the two into one kernel, which takes
    25 times as long where it has 51 x 51 entries.
    """
    for axis in (1, 2):
        size = kernel_size(image.shape[axis])
        places = torch.arange(size, device=image.device, dtype=image.dtype) - size // 2
        kernel = (-(places**2) / (2 * sigma**2)).exp()
        kernel = kernel / kernel.sum()
        half, shape = size // 2, (size, 1) if axis == 1 else (1, size)
        padding = (0, 0, half, half) if axis == 1 else (half, half, 0, 0)
        padded = F.pad(image[:, None], padding, mode="reflect")
        image = F.conv2d(padded, kernel.view(1, 1, *shape))[:, 0]
    return image


def kernel_size(side: int) -> int:
    """An odd number, about a tenth of an image's side."""
    tenth = math.ceil(0.1 * side)
    return math.floor(tenth - 0.5 + tenth % 2)
