"""ToyTown: two domains of drawn street scenes with exact labels and depth; nothing to download.

`toytown` looks like a video game: flat light, clean surfaces, a saturated palette, one sky.
`toytown_camera` looks like a car's camera: dull and varied colors, texture, sun and shadows, haze,
exposure, white balance, noise, blur, vignetting, JPEG. Layouts are nearly the same.
"""

from uda_seg.data.toytown.dataset import ToyTown, draw, scene, sequence
from uda_seg.data.toytown.palette import CLASSES, DOMAINS

__all__ = ["CLASSES", "DOMAINS", "ToyTown", "draw", "scene", "sequence"]
