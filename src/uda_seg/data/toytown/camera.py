"""Light, and what air, lens, sensor and file format do to a picture of the camera's domain."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

FAR = 1000.0
"""Depth of the sky, metres."""


@dataclass
class Light:
    faces: np.ndarray
    """(N,) brightness of every face."""
    sky: np.ndarray
    """(H, 3) color by row."""
    sun: np.ndarray | None
    """(3,) the way to the sun in world coordinates (x right, y down, z ahead); None: no shadows."""
    ambient: float
    """Brightness of a shadow."""


def game_light(facing: np.ndarray, height: int) -> Light:
    """Flat, from everywhere, under one sky.

    Args:
        facing: (N, 3) unit normals towards the camera, world coordinates.
        height: rows of the picture.
    """
    light = 0.82 + 0.18 * np.abs(facing[:, 0]) + 0.16 * np.abs(facing[:, 1])
    return Light(light, _sky((84, 164, 250), (206, 234, 255), height), None, 1.0)


def camera_light(facing: np.ndarray, height: int, chance: np.random.Generator) -> Light:
    """A sun somewhere, or a white sky without one."""
    overcast = chance.random() < 0.35
    across, up, along = chance.uniform(0.4, 1), chance.uniform(0.6, 1.2), chance.uniform(-0.6, 0.5)
    sun = np.array([across if chance.random() < 0.5 else -across, -up, along])
    sun /= np.linalg.norm(sun)
    ambient = 0.9 if overcast else chance.uniform(0.5, 0.66)
    light = ambient + (1.3 - ambient) * 1.2 * np.clip(facing @ sun, 0, 1)
    top = np.array((192, 198, 206) if overcast else (122, 158, 204)) * chance.uniform(0.9, 1.1)
    low = (222, 222, 220) if overcast else (208, 216, 224)
    return Light(light, _sky(top, low, height), None if overcast else sun, ambient)


def _sky(top: ArrayLike, low: ArrayLike, height: int) -> np.ndarray:
    down = np.clip(np.arange(height, dtype=np.float32) / height * 1.9, 0, 1)[:, None]
    return (1 - down) * np.asarray(top, np.float32) + down * np.asarray(low, np.float32)


def expose(
    image: np.ndarray,
    depth: np.ndarray,
    haze: float,
    mount: np.random.Generator,
    chance: np.random.Generator,
) -> np.ndarray:
    """
    Args:
        image: (h, w, 3) float32 RGB, 0 to 255.
        depth: (h, w) metres.
        haze: grey value of far-off air.
        mount: chance that stays the same while the camera moves: exposure, white balance, lens.
        chance: this picture's own: noise.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    h, w = depth.shape
    density = mount.uniform(0.001, 0.009)
    gains = mount.uniform(0.85, 1.35) * (1 + mount.normal(0, 0.04, 3))
    gamma, vignette = mount.uniform(0.75, 1.1), mount.uniform(0.05, 0.16)
    blur, quality = mount.uniform(0.3, 0.75) * max(1.0, w / 512), int(mount.integers(55, 92))

    clear = np.exp(depth * np.float32(-density))
    clear[depth >= FAR] = 1
    r2 = np.linspace(-1, 1, w, dtype=np.float32) ** 2 + (
        np.linspace(-1, 1, h, dtype=np.float32)[:, None] ** 2
    )
    image *= clear[..., None]
    image += (np.float32(haze) * (1 - clear))[..., None]
    image *= (gains / 255).astype(np.float32)
    np.clip(image, 0, 1, out=image)
    image = cv2.pow(image, gamma) * (255 * (1 - np.float32(vignette) * r2))[..., None]
    image = cv2.GaussianBlur(image, (0, 0), blur)
    image += _noise(image, chance)
    # OpenCV takes red for blue and back again on both ways: nothing to swap.
    options = (cv2.IMWRITE_JPEG_QUALITY, quality)
    code = cv2.imencode(".jpg", cv2.convertScaleAbs(image), options)[1]
    return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))


def _noise(image: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """A sensor's: grows with the square root of brightness; its color is coarser than its grey."""
    h, w = image.shape[:2]
    grey = chance.standard_normal((h, w, 1), dtype=np.float32)
    coarse = chance.standard_normal((h // 2 + 1, w // 2 + 1, 3), dtype=np.float32)
    tint = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_NEAREST)
    level = 1 + 0.22 * np.sqrt(np.maximum(image[..., 1:2], 0))
    return (0.9 * grey + 0.5 * tint) * level
