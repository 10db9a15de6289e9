"""From faces to pixels: image, label and depth of one street view.

Faces are painted far to near, as numbers, into a buffer of twice the size asked for; color, label,
depth and texture then follow per pixel from tables of the faces. Depth is exact for the flat faces
that were painted: a winding street is a chain of flat pieces.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from uda_seg.data.toytown import surface
from uda_seg.data.toytown.camera import Light, camera_light, expose, game_light
from uda_seg.data.toytown.mount import Mount
from uda_seg.data.toytown.palette import GROUND
from uda_seg.data.toytown.pen import Pen
from uda_seg.data.toytown.view import View


@dataclass
class Picture:
    image: np.ndarray
    """(h, w, 3) uint8 RGB."""
    label: np.ndarray
    """(h, w) uint8, Cityscapes' train ids, 255 void."""
    depth: np.ndarray
    """(h, w) float32 metres along the optical axis, 1000 for the sky."""
    owner: np.ndarray
    """(h, w) int32: number of the vehicle or rider, 0 for everything else."""


def render(
    pen: Pen,
    mount: Mount,
    size: tuple[int, int],
    camera: bool,
    steady: np.random.Generator,
    chance: np.random.Generator,
) -> Picture:
    """
    Args:
        pen: holds the faces.
        mount: the camera.
        size: (height, width) of the picture.
        camera: the camera's domain rather than the game's.
        steady: chance that stays the same while the camera moves.
        chance: this picture's own.
    """
    h, w = size
    view = View(pen, mount, size)
    ids = np.zeros((2 * h, 2 * w), np.int32)
    view.paint(ids, view.camera, view.order)
    small = np.ascontiguousarray(ids[::2, ::2])
    light = camera_light(view.facing, h, steady) if camera else game_light(view.facing, h)
    surfaces = surface.Surfaces(view, small)
    image = _colors(view, ids, light, camera)
    image = surfaces.dress(image, pen.palette["glass"], camera)
    if light.sun is not None:
        shadow = view.shadow(light.sun).astype(np.float32) * np.float32((light.ambient - 1) / 255)
        shadow *= surfaces.material == GROUND
        image *= (1 + shadow)[..., None]
    if camera:
        image = expose(image, surfaces.depth, float(light.sky[-1, 0]), steady, chance)
    else:
        image = cv2.convertScaleAbs(image)
    label = view.table[:, 3].astype(np.uint8)[small]
    owner = view.table[:, 7].astype(np.int32)[small]
    return Picture(image, label, surfaces.depth, owner)


def _colors(view: View, ids: np.ndarray, light: Light, camera: bool) -> np.ndarray:
    """(h, w, 3) float32: flat colors averaged over the pixels' four parts, and the sky."""
    # Four bytes a face make the look-up one copy of an integer; half scale leaves the camera's
    # bright faces room, because they are exposed later.
    scale = 0.5 if camera else 1.0
    color = np.zeros((len(view.table), 4), np.uint8)
    lit = view.table[1:, :3] * (scale * light.faces.astype(np.float32))[:, None]
    color[1:, :3] = np.clip(lit + 0.5, 0, 255)
    color[0, 3] = 255
    packed = color.view(np.uint32)[:, 0].take(ids)
    four = packed.view(np.uint8).reshape(*ids.shape, 4)
    four = cv2.resize(four, (view.w, view.h), interpolation=cv2.INTER_AREA).astype(np.float32)
    image = four[..., :3] * np.float32(1 / scale)
    image += four[..., 3:] * (light.sky * np.float32(1 / 255))[:, None]
    return image
