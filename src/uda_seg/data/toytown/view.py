"""The faces of a street as one camera sees them."""

import cv2
import numpy as np

from uda_seg.data.toytown.camera import FAR
from uda_seg.data.toytown.mount import LANE, Mount
from uda_seg.data.toytown.palette import GROUND, SKY
from uda_seg.data.toytown.pen import Pen

NEAR = 1.0
"""Nothing nearer is drawn, metres."""


_SHADOWS = 60.0
"""How far away things still cast shadows, metres."""


class View:
    """The faces of a street as one camera sees them, vectorised.

    World coordinates: x right, y down, z ahead along the street's straight direction, from the
    camera. Camera coordinates: the same, turned by heading and pitch.
    """

    def __init__(self, pen: Pen, mount: Mount, size: tuple[int, int]) -> None:
        self.mount, (self.h, self.w) = mount, size
        table = np.array(pen.table, np.float64).reshape(-1, 8)
        corners = np.array(pen.corners)
        order = np.argsort(-table[:, 6], kind="stable")
        self.key, self.table = table[:, 6], np.zeros((len(table) + 1, 8), np.float32)
        self.table[0, 3], self.table[1:] = SKY, table
        self.starts = np.concatenate([[0], np.cumsum(corners[:-1])])
        self.ends, self.order = self.starts + corners, order

        x, y, s = np.array(pen.points, np.float32).reshape(-1, 3).T
        swing = np.float32(mount.wave) * np.sin(s / 60 + np.float32(mount.phase))
        across = x + swing - np.float32(mount.here + LANE)
        self.world = np.stack([across, mount.height - y, s - np.float32(mount.position)], 1)
        c, d = np.cos(mount.pitch), np.sin(mount.pitch)
        cos, sin = mount.turn
        pitch = np.array([[1, 0, 0], [0, c, -d], [0, d, c]])
        heading = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        self.turn = (pitch @ heading).astype(np.float32)
        self.camera = self.world @ self.turn.T
        self._planes()

    def _planes(self) -> None:
        """Per face (0 is the sky): the plane that gives 1 / depth at every pixel, its normal."""
        p0, p1, p2 = (self.camera[self.starts + k] for k in range(3))
        normal = np.cross(p1 - p0, p2 - p0)
        offset = (normal * p0).sum(1, keepdims=True)
        self.plane = np.zeros((len(p0) + 1, 3), np.float32)
        self.plane[0, 2] = 1 / FAR
        self.plane[1:] = normal / np.where(np.abs(offset) < 1e-6, 1e-6, offset)
        facing = normal @ self.turn
        towards = -np.sign((facing * self.world[self.starts]).sum(1))
        self.facing = facing * (towards / (np.linalg.norm(facing, axis=1) + 1e-9))[:, None]

    def paint(
        self, buffer: np.ndarray, points: np.ndarray, faces: np.ndarray, value: int | None = None
    ) -> None:
        """Fill faces into a buffer of any size, in the order given.

        Args:
            buffer: (H, W) int32 or uint8.
            points: (P, 3) corners of all faces in camera coordinates.
            faces: which to fill.
            value: what to fill with; None for the face's number plus one.
        """
        height, width = buffer.shape
        f, centre = self.mount.focal * width, ((width - 1) / 2, (height - 1) / 2)
        z = points[:, 2]
        scaled = points[:, :2] * (f / np.maximum(z, NEAR))[:, None] + np.array(centre, np.float32)
        np.clip(scaled, -30000, 30000, out=scaled)
        uv = np.rint(scaled * 16).astype(np.int32)
        low, high = np.minimum.reduceat(z, self.starts), np.maximum.reduceat(z, self.starts)
        least, most = np.minimum.reduceat(uv, self.starts), np.maximum.reduceat(uv, self.starts)
        inside = ((most >= 0) & (least <= (16 * width, 16 * height))).all(1)
        inside &= (most - least > 6).any(1)  # smaller than half a pixel of the buffer
        faces = faces[((high > NEAR) & (inside | (low < NEAR)))[faces]]
        starts, ends, cut = self.starts.tolist(), self.ends.tolist(), (low < NEAR).tolist()
        for i in faces.tolist():
            polygon = uv[starts[i] : ends[i]]
            if cut[i]:
                p = clip(points[starts[i] : ends[i]].tolist())
                polygon = np.array(
                    [(16 * (x * f / z + centre[0]), 16 * (y * f / z + centre[1])) for x, y, z in p]
                )
                polygon = np.rint(np.clip(polygon, -480000, 480000)).astype(np.int32)
            cv2.fillPoly(buffer, [polygon], i + 1 if value is None else value, cv2.LINE_8, 4)

    def shadow(self, sun: np.ndarray) -> np.ndarray:
        """(h, w) uint8: 255 where the sun does not reach the ground, softened."""
        down = (self.mount.height - self.world[:, 1:2]) / np.float32(sun[1])
        cast = self.world - sun.astype(np.float32) * down
        mask = np.zeros((self.h, self.w), np.uint8)
        upright = (self.table[1:, 4] != GROUND) & (self.key < _SHADOWS)
        self.paint(mask, cast @ self.turn.T, np.flatnonzero(upright), 255)
        return cv2.GaussianBlur(mask, (3, 3), 0)


def clip(points: list[list[float]]) -> list[list[float]]:
    """Cut one polygon (camera coordinates) at the near plane."""
    out = []
    for a, b in zip(points, points[1:] + points[:1], strict=True):
        if a[2] >= NEAR:
            out.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            t = (NEAR - a[2]) / (b[2] - a[2])
            out.append([p + (q - p) * t for p, q in zip(a, b, strict=True)])
    return out
