"""How the camera of one scene sits on its car, and how its street winds."""

import math

from uda_seg.data.toytown.palette import Layout
from uda_seg.data.toytown.pen import Draws

LANE = 1.7
"""Middle of the lane the camera drives in, metres right of the centre line."""
STRIP = 3.4
"""Middle of the riders' strip."""


class Mount:
    """Drawn once per scene: it stays the same while the camera moves.

    Args:
        draws: the scene's chance.
        layout: its domain's ranges.
        position: metres driven so far.
    """

    def __init__(self, draws: Draws, layout: Layout, position: float) -> None:
        self.position = position
        self.height = draws.between(*layout.height)
        self.pitch = draws.between(*layout.pitch)
        self.focal = draws.between(*layout.focal)
        yaw = layout.yaw * (2 * draws.random() - 1)
        self.wave, self.phase = draws.between(0, layout.bend), draws.between(0, math.tau)
        self.here, slope = self.bend(position), self.slope(position)
        self.heading = math.atan(slope) + yaw
        """Direction of the optical axis, radians right of the street's straight direction."""
        self.turn = math.cos(self.heading), math.sin(self.heading)

    def bend(self, s: float) -> float:
        """How far the street has swung to the right at `s`, metres."""
        return self.wave * math.sin(s / 60 + self.phase)

    def slope(self, s: float) -> float:
        return self.wave / 60 * math.cos(s / 60 + self.phase)

    def eye_x(self, s: float) -> float:
        """The camera's x as the straight piece of street around `s` has it."""
        ahead = s - self.position
        return LANE + self.here - self.bend(s) + self.slope(s) * ahead

    def sees(self, x: float, s: float, radius: float) -> bool:
        """Whether any of a thing of `radius` metres around (x, s) can be in the picture."""
        across, ahead = x - LANE + self.bend(s) - self.here, s - self.position
        cos, sin = self.turn
        depth = across * sin + ahead * cos
        if depth < -radius:
            return False
        wide = math.hypot(1, 0.5 / self.focal)
        return abs(across * cos - ahead * sin) < depth * 0.5 / self.focal + radius * wide
