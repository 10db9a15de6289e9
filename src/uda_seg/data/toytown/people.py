"""People on foot, bicycles and motorcycles, with and without somebody on them."""

from uda_seg.data.toytown.palette import BICYCLE, MOTORCYCLE, PERSON, RIDER, Color
from uda_seg.data.toytown.pen import Draws, Pen


def person(pen: Pen, draws: Draws, x: float, s: float) -> None:
    """On their feet, legs apart or together; 1.6 to 1.95 m tall."""
    h, step = draws.between(0.96, 1.14), draws.between(0.08, 0.24)
    cloth, legs, skin = (pen.tone(n, draws) for n in ("cloth", "trousers", "skin"))
    hip, neck = 0.85 * h, 1.46 * h
    for d in (-step, step):
        a, b = (-0.2, 0.02) if d < 0 else (-0.02, 0.2)
        points = (x + d - 0.1, 0, s, x + d + 0.1, 0, s, x + b, hip, s, x + a, hip, s)
        pen.face(points, legs, PERSON)
    arms = draws.between(0.3, 0.38)
    pen.face(
        (x - arms, hip - 0.08, s, x + arms, hip - 0.08, s, x + 0.27, neck, s, x - 0.27, neck, s),
        cloth, PERSON,
    )  # fmt: skip
    pen.disc(x, neck + 0.15 * h, s - 0.01, 0.14, 0.17, skin, PERSON)


def rider(pen: Pen, draws: Draws, x: float, s: float, on: int, coming: bool) -> None:
    """Somebody riding along the street; they sit: bent legs to both sides, nothing below 0.3 m.

    `on` is the class of what they ride; what is `coming` comes towards the camera.
    """
    if on == MOTORCYCLE:
        _motorcycle_along(pen, draws, x, s, (250, 246, 214) if coming else (220, 60, 50))
        seat, width, head = 0.78, 0.34, pen.tone("motorcycle", draws)
    else:
        _bicycle_along(pen, draws, x, s)
        seat, width, head = 0.92, 0.28, pen.tone("skin", draws)
    z, legs, cloth = s + 0.72, pen.tone("trousers", draws), pen.tone("cloth", draws)
    for side in (-1, 1):
        a, b, c = x + side * 0.1, x + side * (width + 0.02), x + side * (width - 0.16)
        pen.face((a, seat, z, b, seat - 0.2, z, b, 0.32, z, c, 0.32, z), legs, RIDER)
    neck = seat + 0.62
    points = (x - 0.21, seat - 0.06, z, x + 0.21, seat - 0.06, z, x + width, neck, z)
    pen.face((*points, x - width, neck, z), cloth, RIDER)
    for side in (-1, 1):  # arms reach out to the handlebar
        a, b = x + side * (width - 0.08), x + side * (width + 0.14)
        pen.face((a, neck, z, b, seat + 0.24, z, a, seat + 0.2, z), cloth, RIDER)
    size = 0.2 if on == MOTORCYCLE else 0.16
    pen.disc(x, neck + size * 0.8, z - 0.01, size * 0.9, size, head, RIDER)


def _motorcycle_along(pen: Pen, draws: Draws, x: float, s: float, lamp: Color) -> None:
    """Fat and dark, with a bright body and a lamp."""
    tyre, paint, label = pen.palette["tyre"][0], pen.tone("motorcycle", draws), MOTORCYCLE
    for d in (1.6, 0.34):
        pen.wheel(x, 0.34, s + d, 0.34, tyre, label)
    side = -0.17 if pen.eye_x < x else 0.17
    points = (x + side, 0.4, s + 0.2, x + side, 0.34, s + 1.3, x + side, 0.98, s + 1.5)
    pen.face((*points, x + side, 0.84, s + 0.1), paint, label)
    pen.front(x - 0.42, x + 0.42, 0.98, 1.1, s + 1.3, tyre, label)
    pen.front(x - 0.15, x + 0.15, 0, 0.62, s, tyre, label)
    points = (x - 0.26, 0.42, s + 0.1, x + 0.26, 0.42, s + 0.1, x + 0.2, 0.86, s + 0.1)
    pen.face((*points, x - 0.2, 0.86, s + 0.1), paint, label)
    pen.front(x - 0.09, x + 0.09, 0.66, 0.78, s + 0.09, lamp, label)


def _bicycle_along(pen: Pen, draws: Draws, x: float, s: float) -> None:
    """Thin, with large wheels."""
    tyre, paint, label = pen.palette["tyre"][0], pen.tone("bicycle", draws), BICYCLE
    for d in (1.4, 0.38):
        pen.wheel(x, 0.38, s + d, 0.38, tyre, label)
        pen.wheel(x, 0.38, s + d, 0.28, pen.palette["rim"][0], label)
    points = (x, 0.36, s + 0.4, x, 0.34, s + 0.8, x, 0.95, s + 1.3, x, 0.9, s + 0.6)
    pen.face(points, paint, label)
    pen.front(x - 0.34, x + 0.34, 1.0, 1.08, s + 1.2, tyre, label)
    pen.front(x - 0.07, x + 0.07, 0, 0.78, s, tyre, label)
    pen.front(x - 0.13, x + 0.13, 0.78, 0.9, s + 0.05, tyre, label)


def parked_bicycle(pen: Pen, draws: Draws, x: float, s: float) -> None:
    """Across the pavement: its side to the camera."""
    tyre, paint, rim = pen.palette["tyre"][0], pen.tone("bicycle", draws), pen.palette["rim"][0]
    for d in (-0.56, 0.56):
        pen.disc(x + d, 0.38, s, 0.38, 0.38, tyre, BICYCLE)
        pen.disc(x + d, 0.38, s - 0.01, 0.28, 0.28, rim, BICYCLE)
    z = s - 0.02
    for a, b, c, d in ((-0.56, 0.38, -0.2, 0.9), (-0.2, 0.86, 0.4, 0.9), (0.56, 0.38, 0.36, 1.02)):
        _bar(pen, x + a, b, x + c, d, z, 0.055, paint, BICYCLE)
    _bar(pen, x - 0.1, 0.36, x + 0.42, 0.88, z, 0.055, paint, BICYCLE)
    _bar(pen, x - 0.56, 0.38, x - 0.1, 0.36, z, 0.055, paint, BICYCLE)
    _bar(pen, x - 0.24, 0.36 + 0.02, x - 0.28, 0.94, z, 0.05, paint, BICYCLE)
    pen.front(x - 0.4, x - 0.12, 0.92, 1.02, z, tyre, BICYCLE)
    pen.front(x + 0.26, x + 0.52, 1.0, 1.08, z, tyre, BICYCLE)


def parked_motorcycle(pen: Pen, draws: Draws, x: float, s: float) -> None:
    """Across the pavement: fat wheels, a bright tank, a dark engine between."""
    tyre, paint, label = pen.palette["tyre"][0], pen.tone("motorcycle", draws), MOTORCYCLE
    for d in (-0.66, 0.66):
        pen.disc(x + d, 0.34, s, 0.34, 0.34, tyre, label)
    z = s - 0.01
    points = (x - 0.6, 0.3, z, x + 0.55, 0.24, z, x + 0.5, 0.62, z, x - 0.75, 0.66, z)
    pen.face(points, (58, 58, 64), label)
    z = s - 0.02
    points = (x - 0.86, 0.66, z, x + 0.1, 0.5, z, x + 0.6, 0.62, z, x + 0.5, 1.0, z)
    pen.face((*points, x + 0.02, 0.98, z, x - 0.1, 0.8, z, x - 0.88, 0.84, z), paint, label)
    _bar(pen, x + 0.66, 0.34, x + 0.42, 1.1, z, 0.07, tyre, label)
    pen.front(x + 0.26, x + 0.56, 1.04, 1.14, z, tyre, label)


def _bar(
    pen: Pen, x0: float, y0: float, x1: float, y1: float, s: float, half: float, color: Color,
    label: int,
) -> None:  # fmt: skip
    """A straight tube that faces the camera, `half` metres to each side of its axis."""
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    dx, dy = (y1 - y0) / length * half, (x0 - x1) / length * half
    points = (x0 - dx, y0 - dy, s, x1 - dx, y1 - dy, s, x1 + dx, y1 + dy, s, x0 + dx, y0 + dy, s)
    pen.face(points, color, label)
