"""Faces: the flat polygons everything in ToyTown is made of, gathered in plain lists.

Street coordinates: x metres to the right of the centre line, y up, s along the street.
"""

import math
import random
from collections.abc import Sequence

from uda_seg.data.toytown.palette import GROUND, PLAIN, Color

_CIRCLE = [(math.cos(a), math.sin(a)) for a in (k * math.tau / 10 for k in range(10))]
GROUND_KEY = 9000.0
"""Painting order of everything that lies on the ground: before all that stands on it."""

Points = Sequence[float]


class Draws(random.Random):
    """Chance that follows from a key of integers alone.

    `random.Random` is several times cheaper to seed and to ask for one number than NumPy's
    generators, and a scene seeds hundreds: each thing has its own, so that leaving one out (it
    is behind the camera) changes no other.
    """

    def __init__(self, *key: int) -> None:
        number = 1
        for part in key:
            number = number << 32 | part & 0xFFFFFFFF
        super().__init__(number)

    def between(self, least: float, most: float) -> float:
        return least + (most - least) * self.random()

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def below(self, count: int) -> int:
        """0 .. count - 1."""
        return int(self.random() * count)

    def count(self, mean: float) -> int:
        """A Poisson number."""
        number, product, floor = 0, self.random(), math.exp(-mean)
        while product > floor:
            number, product = number + 1, product * self.random()
        return number


class Pen:
    """Draws faces into lists; `key` says how far away the painter takes the next ones to be.

    Args:
        palette: colors by name.
        jitter: spread of a color around the palette's.
    """

    def __init__(self, palette: dict[str, list[Color]], jitter: float) -> None:
        self.palette, self.jitter = palette, jitter
        self.points: list[float] = []
        """x, y, s of every corner, one after another."""
        self.corners: list[int] = []
        """How many corners each face has."""
        self.table: list[float] = []
        """Per face: r, g, b, label, material, parameter, key, owner."""
        self.key, self.owner = 0.0, 0
        self.eye_x, self.eye_y = 0.0, 1.6
        """Where the camera is, seen from the thing being drawn; decides which sides show."""

    def tone(self, name: str, draws: Draws) -> Color:
        """A color of the palette; in the camera's domain no two are quite the same."""
        colors = self.palette[name]
        red, green, blue = colors[int(draws.random() * len(colors))]
        if not self.jitter:
            return red, green, blue
        spread, common = 1.4 * self.jitter, 3.4 * self.jitter * (draws.random() - 0.5)
        return (
            red + common + spread * (draws.random() - 0.5),
            green + common + spread * (draws.random() - 0.5),
            blue + common + spread * (draws.random() - 0.5),
        )

    def face(
        self, points: Points, color: Color, label: int, material: int = PLAIN, param: float = 0.0
    ) -> None:
        """One polygon; `points` is flat: x, y, s, x, y, s, ..."""
        self.points += points
        self.corners.append(len(points) // 3)
        self.table += (*color, label, material, param, self.key, self.owner)

    def floor(
        self, x0: float, x1: float, s0: float, s1: float, color: Color, label: int, layer: int = 0
    ) -> None:
        """On the ground; higher layers lie on lower ones."""
        self.points += (x0, 0, s0, x1, 0, s0, x1, 0, s1, x0, 0, s1)
        self.corners.append(4)
        self.table += (*color, label, GROUND, 0.0, GROUND_KEY - layer, 0)

    def front(
        self, x0: float, x1: float, y0: float, y1: float, s: float, color: Color, label: int
    ) -> None:
        self.face((x0, y0, s, x1, y0, s, x1, y1, s, x0, y1, s), color, label)

    def side(
        self, x: float, y0: float, y1: float, s0: float, s1: float, color: Color, label: int,
        material: int = PLAIN, param: float = 0.0,
    ) -> None:  # fmt: skip
        points = (x, y0, s0, x, y0, s1, x, y1, s1, x, y1, s0)
        self.face(points, color, label, material, param)

    def disc(
        self, x: float, y: float, s: float, rx: float, ry: float, color: Color, label: int
    ) -> None:
        """Facing the camera."""
        points: list[float] = []
        for a, b in _CIRCLE:
            points += (x + rx * a, y + ry * b, s)
        self.face(points, color, label)

    def wheel(self, x: float, y: float, s: float, r: float, color: Color, label: int) -> None:
        """A disc that faces across the street."""
        points: list[float] = []
        for a, b in _CIRCLE:
            points += (x, y + r * b, s + r * a)
        self.face(points, color, label)

    def blob(
        self, x: float, y: float, s: float, r: float, color: Color, label: int, material: int,
        draws: Draws,
    ) -> None:  # fmt: skip
        """A rough disc: a tree's crown."""
        points: list[float] = []
        for a, b in _CIRCLE:
            k = r * (0.85 + 0.3 * draws.random())
            points += (x + k * a, y + k * b, s)
        self.face(points, color, label, material)

    def box(
        self, x0: float, x1: float, y0: float, y1: float, s0: float, s1: float, color: Color,
        label: int, material: int = PLAIN, param: float = 0.0, slope: float = 0.0,
        front: bool = True,
    ) -> None:  # fmt: skip
        """The sides of a box that the camera can see; `slope` draws its top in along the street."""
        t0, t1 = s0 + slope, s1 - slope
        if self.eye_y > y1:
            self.face((x0, y1, t0, x1, y1, t0, x1, y1, t1, x0, y1, t1), color, label)
        for x, seen in ((x0, self.eye_x < x0), (x1, self.eye_x > x1)):
            if seen:
                points = (x, y0, s0, x, y0, s1, x, y1, t1, x, y1, t0)
                self.face(points, color, label, material, param)
        if front:
            points = (x0, y0, s0, x1, y0, s0, x1, y1, t0, x0, y1, t0)
            self.face(points, color, label, material, param)


def shaded(color: Color, factor: float) -> Color:
    return color[0] * factor, color[1] * factor, color[2] * factor
