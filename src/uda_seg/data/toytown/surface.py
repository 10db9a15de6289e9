"""Where on its face every pixel lies, and the textures that follow from it."""

import cv2
import numpy as np

from uda_seg.data.toytown.camera import FAR
from uda_seg.data.toytown.palette import FACADE, LEAVES, SLATS, Color
from uda_seg.data.toytown.things import STOREY
from uda_seg.data.toytown.view import View

_PERIOD = 256


def _make_noise() -> np.ndarray:
    """(256, 256) float32, three octaves, seamless, mean 0, variance 1."""
    white = np.random.default_rng(7).random((_PERIOD, _PERIOD), dtype=np.float32)
    noise = 0.5 * white
    for n in (16, 64):
        tiled = np.tile(white[:n, :n], (3, 3))
        wide = cv2.resize(tiled, (3 * _PERIOD, 3 * _PERIOD), interpolation=cv2.INTER_CUBIC)
        noise += 0.25 * wide[_PERIOD : 2 * _PERIOD, _PERIOD : 2 * _PERIOD]
    return ((noise - noise.mean()) / noise.std()).astype(np.float32)


_NOISE = np.pad(_make_noise(), ((0, 1), (0, 1)), mode="wrap")


def noise(along: np.ndarray, up: np.ndarray, frequency: float) -> np.ndarray:
    """Smooth noise at surface coordinates in metres; `frequency` cells a metre."""
    x, y = np.float32(frequency) * along, np.float32(frequency) * up
    x -= np.floor(x * np.float32(1 / _PERIOD)) * _PERIOD
    y -= np.floor(y * np.float32(1 / _PERIOD)) * _PERIOD
    return cv2.remap(_NOISE, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class Surfaces:
    """Per pixel: depth, and the place on its face.

    Args:
        view: the faces.
        ids: (h, w) numbers of the faces that the pixels show, 0 the sky; sampled at every second
            pixel of a buffer of twice the size.
    """

    def __init__(self, view: View, ids: np.ndarray) -> None:
        h, w = ids.shape
        self.view, self.ids, self.f = view, ids, np.float32(view.mount.focal * w)
        rx = (np.arange(w, dtype=np.float32) - np.float32(w / 2 - 0.25)) / self.f
        ry = ((np.arange(h, dtype=np.float32) - np.float32(h / 2 - 0.25)) / self.f)[:, None]
        a, b, c = (np.ascontiguousarray(column).take(ids) for column in view.plane.T)
        inverse = a * rx
        inverse += b * ry
        inverse += c
        np.clip(inverse, 1 / FAR, 1, out=inverse)
        self.depth = 1 / inverse
        self.depth[ids == 0] = FAR
        turn = view.turn
        rays = (turn[0, k] * rx + turn[1, k] * ry + turn[2, k] for k in range(3))
        self.ray_x, ray_y, ray_z = rays
        x, z = self.depth * self.ray_x, self.depth * ray_z
        z += np.float32(view.mount.position)
        flat = np.concatenate([[True], np.abs(view.facing[:, 1]) > 0.7]).take(ids)
        self.up = np.where(flat, z, np.float32(view.mount.height) - self.depth * ray_y)
        self.along = np.where(flat, x, x + z)
        self.standing, self.tilt, self.ray_z = ~flat, a, ray_z
        self.material = view.table[:, 4].astype(np.uint8).take(ids)

    def dress(self, image: np.ndarray, glass: list[Color], camera: bool) -> np.ndarray:
        """Windows, slats and grain on flat colors, (h, w, 3) float32."""
        self._windows(image, glass)
        self._slats(image)
        leaves, lit = self.material == LEAVES, (self.ids > 0).astype(np.float32)
        if not camera and not leaves.any():
            return image
        grain = noise(self.along, self.up, 12.0)
        if self.view.w > 256:  # finer than a large picture's near pixels
            fine = noise(self.along, self.up, 43.0)
            grain = np.float32(0.7) * (grain + fine * np.clip(1.4 - self.depth / 14, 0, 1))
        grain *= np.clip(1.5 - self.depth / 60, 0, 1)
        strong, weak = np.float32(0.2 if camera else 0.1), np.float32(0.045 if camera else 0)
        grain *= np.where(leaves, strong, weak)
        if camera:
            grain += np.float32(0.05) * noise(self.along, self.up, 1.3)
        image *= (1 + grain * lit)[..., None]
        return image

    def _footprint(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Half of how much surface the pixels `at` cover, metres along and up."""
        depth, turn = self.depth.take(at), self.view.turn
        ray = (self.ray_x + self.ray_z).take(at)
        across = depth * ((turn[0, 0] + turn[0, 2]) - depth * self.tilt.take(at) * ray)
        return np.abs(across) * (0.5 / self.f), depth * (0.5 / self.f)

    def _windows(self, image: np.ndarray, glass: list[Color]) -> None:
        at = np.flatnonzero((self.material == FACADE) & self.standing)
        if not len(at):
            return
        period = self.view.table[:, 5].take(self.ids.take(at))
        wide, tall = self._footprint(at)
        u = self.along.take(at) / period
        v = (self.up.take(at) + np.float32(2.2)) / np.float32(STOREY)
        column, row = np.floor(u), np.floor(v)
        pane = _pulse(u - column, wide / period, 0.28, 0.74)
        pane *= _pulse(v - row, tall / np.float32(STOREY), 0.1, 0.62)
        pane *= v > 0.97  # no windows below the first
        seed = (column * 37 + row * 101 + period * 977).astype(np.int64)
        mixed = (seed * 2654435761 >> 7 & 255).astype(np.float32)
        shine = np.float32(0.75) + mixed * np.float32(0.5 / 255)
        pixels = image.reshape(-1, 3)
        tone = shine[:, None] * np.array(glass[-1], np.float32)
        pixels[at] += pane[:, None] * (tone - pixels[at])

    def _slats(self, image: np.ndarray) -> None:
        at = np.flatnonzero(self.material == SLATS)
        if not len(at):
            return
        period = np.float32(0.3)
        u = self.along.take(at) / period
        slat = _pulse(u - np.floor(u), self._footprint(at)[0] / period, 0, 0.5)
        image.reshape(-1, 3)[at] *= (np.float32(0.72) + np.float32(0.28) * slat)[:, None]


def _pulse(u: np.ndarray, half: np.ndarray, start: float, end: float) -> np.ndarray:
    """How much of [u - half, u + half] lies in [start, end]: what a pixel sees of a stripe."""
    half = np.clip(half, 1e-3, 0.5)
    inside = np.minimum(u + half, end) - np.maximum(u - half, start)
    return np.clip(inside / (2 * half), 0, 1)
