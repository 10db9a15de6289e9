"""What stands along a street: houses, walls, trees, posts.

Every function draws one thing at `x` (metres right of the centre line) and `s` (its near end) with
a `Pen` whose `key` is set.
"""

from uda_seg.data.toytown.palette import (
    BUILDING,
    FACADE,
    FENCE,
    LEAVES,
    LIGHT,
    POLE,
    SIGN,
    SLATS,
    TREE,
    VOID,
    WALL,
    Color,
)
from uda_seg.data.toytown.pen import Draws, Pen, shaded

STOREY = 3.2
_LAMPS = ((240, 50, 40), (250, 190, 40), (60, 220, 110))


def building(
    pen: Pen, draws: Draws, side: int, x0: float, s0: float, s1: float, floors: tuple[int, int]
) -> None:
    """A house from `s0` to `s1` whose front stands at `side * x0`."""
    height = STOREY * (floors[0] + draws.below(floors[1] - floors[0] + 1)) + 0.6
    wall, roof, x = pen.tone("facade", draws), pen.tone("roof", draws), side * x0
    a, b = sorted((x, side * (x0 + 10)))
    pen.box(a, b, 0, height, s0, s1, wall, BUILDING, FACADE, draws.between(2.2, 3.6))
    if draws.chance(0.6):  # a pitched roof, its ridge along the street
        top, ridge = height + draws.between(1.5, 3), side * (x0 + 5)
        pen.face((a, height, s0, b, height, s0, ridge, top, s0), wall, BUILDING)
        points = (x, height, s0, x, height, s1, ridge, top, s1, ridge, top, s0)
        pen.face(points, roof, BUILDING)
    else:
        pen.side(x, height - 0.5, height, s0, s1, roof, BUILDING)
    door = s0 + draws.between(0.2, 0.6) * (s1 - s0)
    pen.side(x, 0, 2.3, door, door + 1.2, roof, BUILDING)


def wall(pen: Pen, draws: Draws, side: int, x0: float, s0: float, s1: float, height: float) -> None:
    a, b = sorted((side * x0, side * (x0 + 0.35)))
    tone = pen.tone("wall", draws)
    pen.box(a, b, 0, height, s0, s1, tone, WALL)
    pen.side(side * (x0 - 0.03), height - 0.18, height, s0, s1, shaded(tone, 0.8), WALL)


def fence(
    pen: Pen, draws: Draws, x: float, s0: float, s1: float, height: float,
    tone: Color | None = None,
) -> None:  # fmt: skip
    pen.side(x, 0, height, s0, s1, tone or pen.tone("fence", draws), FENCE, SLATS, 0.3)


def hedge(pen: Pen, draws: Draws, side: int, x0: float, s0: float, s1: float) -> None:
    a, b = sorted((side * x0, side * (x0 + 0.8)))
    pen.box(a, b, 0, draws.between(0.9, 1.5), s0, s1, pen.tone("leaves", draws), TREE, LEAVES)


def tree(pen: Pen, draws: Draws, x: float, s: float) -> None:
    height = draws.between(2.4, 3.4)
    pen.front(x - 0.18, x + 0.18, 0, height, s, pen.tone("trunk", draws), TREE)
    leaves, r = pen.tone("leaves", draws), draws.between(1.1, 1.9)
    crown = ((0, 0, 1), (-0.5, -0.15, 0.7), (0.5, 0, 0.7), (0, 0.5, 0.65))
    for k, (dx, dy, size) in enumerate(crown):
        pen.blob(
            x + dx * r, height + r * (0.6 + dy), s - 0.05 * k, r * size,
            shaded(leaves, 0.86 + 0.08 * k), TREE, LEAVES, draws,
        )  # fmt: skip


def lamp(pen: Pen, pole: Color, x: float, s: float, inward: int) -> None:
    pen.front(x - 0.16, x + 0.16, 0, 1.0, s - 0.01, shaded(pole, 0.9), POLE)
    pen.front(x - 0.12, x + 0.12, 1.0, 6.6, s, pole, POLE)
    a, b = sorted((x, x + 2.2 * inward))
    pen.front(a, b, 6.4, 6.6, s, pole, POLE)


def sign(pen: Pen, draws: Draws, pole: Color, paint: Color, x: float, s: float) -> None:
    """A round, a triangular or a square sign, or a board on two posts."""
    color, shape, top = pen.tone("sign", draws), draws.below(4), 2.7
    if shape == 3:
        for d in (-0.7, 0.7):
            pen.front(x + d - 0.08, x + d + 0.08, 0, top, s, pole, POLE)
        pen.front(x - 1.0, x + 1.0, top - 0.5, top + 0.6, s - 0.05, color, SIGN)
        pen.front(x - 0.8, x + 0.8, top - 0.05, top + 0.15, s - 0.06, paint, SIGN)
        return
    pen.front(x - 0.09, x + 0.09, 0, top, s, pole, POLE)
    if shape == 0:
        pen.disc(x, top, s - 0.05, 0.55, 0.55, color, SIGN)
        pen.front(x - 0.34, x + 0.34, top - 0.1, top + 0.1, s - 0.06, paint, SIGN)
    elif shape == 1:
        z, low, high = s - 0.05, top - 0.4, top + 0.72
        pen.face((x - 0.66, low, z, x + 0.66, low, z, x, high, z), color, SIGN)
        z, low, high = s - 0.06, top - 0.24, top + 0.4
        pen.face((x - 0.37, low, z, x + 0.37, low, z, x, high, z), paint, SIGN)
    else:
        pen.front(x - 0.52, x + 0.52, top - 0.45, top + 0.58, s - 0.05, color, SIGN)
        pen.front(x - 0.2, x + 0.2, top - 0.2, top + 0.34, s - 0.06, paint, SIGN)


def signal(pen: Pen, pole: Color, x: float, s: float, lit: int, reach: float) -> None:
    """A traffic light at the kerb; with `reach`, a second one hangs that far over the road."""
    pen.front(x - 0.12, x + 0.12, 0, 5.8 if reach else 3.8, s, pole, POLE)
    _head(pen, x, 3.2, s - 0.05, lit)
    if reach:
        a, b = sorted((x, x + reach))
        pen.front(a, b, 5.6, 5.8, s, pole, POLE)
        _head(pen, x + reach, 5.3, s - 0.05, lit)


def bollard(pen: Pen, pole: Color, x: float, s: float) -> None:
    """A post with a keep-right sign, as on a refuge."""
    pen.front(x - 0.1, x + 0.1, 0, 1.5, s, pole, POLE)
    pen.disc(x, 1.75, s - 0.05, 0.36, 0.36, pen.palette["sign"][1], SIGN)
    points = (x - 0.2, 1.95, s - 0.06, x - 0.12, 2.0, s - 0.06, x + 0.2, 1.58, s - 0.06)
    pen.face((*points, x + 0.1, 1.52, s - 0.06), pen.palette["paint"][0], SIGN)


def _head(pen: Pen, x: float, y: float, s: float, lit: int) -> None:
    pen.front(x - 0.38, x + 0.38, y - 0.8, y + 0.85, s, (34, 36, 38), LIGHT)
    for k, color in enumerate(_LAMPS):
        glow = color if k == lit else shaded(color, 0.3)
        pen.disc(x, y + 0.52 - 0.5 * k, s - 0.01, 0.21, 0.21, glow, LIGHT)


def bin(pen: Pen, draws: Draws, x: float, s: float) -> None:
    """Street furniture without a class of its own."""
    pen.box(x - 0.3, x + 0.3, 0, 1.1, s, s + 0.7, pen.tone("bin", draws), VOID)
