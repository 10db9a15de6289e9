"""Cars, lorries, buses and trams: boxes with windows, wheels and lamps.

Long ones are drawn in pieces of at most `PIECE` metres, each with its own place in the painter's
order, so that what stands beside one is painted neither too early nor too late.
"""

from uda_seg.data.toytown.palette import BUS, CAR, ROAD, TRAIN, TRUCK, Color
from uda_seg.data.toytown.pen import Draws, Pen, shaded

PIECE = 4.5
SIZES = {
    CAR: (4.3, 1.8, 1.5),
    TRUCK: (7.5, 2.4, 3.2),
    BUS: (10.5, 2.5, 3.0),
    TRAIN: (20.0, 2.5, 3.4),
}
"""Length, width, height in metres."""
_TONES = {CAR: "car", TRUCK: "truck", BUS: "bus", TRAIN: "train"}


def vehicle(
    pen: Pen, draws: Draws, road: Color, x: float, s: float, label: int, coming: bool
) -> None:
    """One vehicle whose axis is at `x` and whose near end is at `s`.

    `road` is the road's color, for the dark patch below; what is `coming` faces the camera
    (headlights, windscreen) rather than driving ahead of it.
    """
    length, width, height = SIZES[label]
    height *= draws.between(0.94, 1.08)
    color = pen.tone(_TONES[label], draws)
    x0, x1, s1 = x - width / 2, x + width / 2, s + length
    pen.floor(x0 - 0.1, x1 + 0.1, s - 0.1, s1, shaded(road, 0.55), ROAD, 7)
    seen = x1 if pen.eye_x > x1 else x0 if pen.eye_x < x0 else None
    first = pen.key
    if label == CAR:
        _car(pen, x0, x1, s, s1, height, color, seen, coming)
    elif label == TRUCK:
        _truck(pen, x0, x1, s, s1, height, color, coming)
    else:
        _coach(pen, x0, x1, s, s1, height, color, seen, label)
    pen.key = first
    if label != TRAIN:
        _wheels(pen, x0, x1, s, length, seen, label)
    if label in (CAR, TRUCK, BUS):
        lamp = (250, 246, 214) if coming else (206, 40, 36)
        low = 0.6 if label == CAR else 0.75
        for a in (x0 + 0.06, x1 - 0.44):
            pen.front(a, a + 0.38, low, low + 0.19, s - 0.01, lamp, label)


def _car(
    pen: Pen, x0: float, x1: float, s0: float, s1: float, height: float, color: Color,
    seen: float | None, coming: bool,
) -> None:  # fmt: skip
    glass, dark = pen.palette["glass"][0], shaded(color, 0.8)
    waist, bonnet, slope = 0.62 * height, 1.1 if coming else 0.3, 0.45
    t0, t1 = s0 + bonnet, s1 - (0.35 if coming else 1.1)  # the cabin's ends
    pen.box(x0, x1, 0.22, waist, s0, s1, color, CAR)
    pen.box(x0 + 0.1, x1 - 0.1, waist, height, t0, t1, dark, CAR, slope=slope)
    a, b = t0 + 0.05, t0 + slope * 0.85
    low, high = waist + 0.04, height - 0.07
    points = (x0 + 0.2, low, a, x1 - 0.2, low, a, x1 - 0.26, high, b, x0 + 0.26, high, b)
    pen.face(points, glass, CAR)
    if seen is not None:
        x = seen + (0.1 if seen < (x0 + x1) / 2 else -0.1)
        points = (x, low, t0 + 0.25, x, low, t1 - 0.25, x, high, t1 - 0.6, x, high, t0 + 0.6)
        pen.face(points, glass, CAR)
    pen.front(x0 + 0.6, x1 - 0.6, 0.42, 0.56, s0 - 0.01, (232, 228, 210), CAR)  # number plate


def _truck(
    pen: Pen, x0: float, x1: float, s0: float, s1: float, height: float, color: Color,
    coming: bool,
) -> None:  # fmt: skip
    cab, dark, glass = 2.0, shaded(color, 0.7), pen.palette["glass"][0]
    near = pen.key
    if coming:
        _load(pen, x0, x1, s0 + cab + 0.2, s1, height, color, near + cab + 0.2)
        pen.key = near
        pen.box(x0, x1, 0.4, height * 0.85, s0, s0 + cab, dark, TRUCK)
        points = (x0 + 0.15, height * 0.5, s0 - 0.01, x1 - 0.15, height * 0.5, s0 - 0.01)
        z, top = s0 - 0.01, height * 0.78
        pen.face((*points, x1 - 0.15, top, z, x0 + 0.15, top, z), glass, TRUCK)
    else:
        pen.key = near + (s1 - cab - s0)
        pen.box(x0, x1, 0.4, height * 0.85, s1 - cab, s1, dark, TRUCK)
        _load(pen, x0, x1, s0, s1 - cab - 0.2, height, color, near)
        middle = (x0 + x1) / 2
        pen.front(middle - 0.03, middle + 0.03, 0.75, height - 0.1, s0 - 0.01, dark, TRUCK)  # doors
    pen.front(x0 + 0.1, x1 - 0.1, 0.32, 0.72, s0, pen.palette["tyre"][0], TRUCK)


def _load(
    pen: Pen, x0: float, x1: float, s0: float, s1: float, height: float, color: Color, key: float
) -> None:
    middle = (s0 + s1) / 2
    for a, b in ((middle, s1), (s0, middle)):
        pen.key = key + a - s0
        pen.box(x0, x1, 0.7, height, a, b, color, TRUCK, front=a == s0)


def _coach(
    pen: Pen, x0: float, x1: float, s0: float, s1: float, height: float, color: Color,
    seen: float | None, label: int,
) -> None:  # fmt: skip
    """A bus or a tram."""
    glass, near = pen.palette["glass"][0], pen.key
    pieces = int((s1 - s0) / PIECE) + 1
    length = (s1 - s0) / pieces
    for k in reversed(range(pieces)):
        a = s0 + k * length
        pen.key = near + k * length
        pen.box(x0, x1, 0.3, height, a, a + length, color, label, front=k == 0)
        if seen is not None:
            pen.side(seen, 0.3, 0.55, a, a + length, shaded(color, 0.6), label)
            for b in (a + 0.1, a + length / 2 + 0.1):
                pen.side(seen, height * 0.5, height * 0.82, b, b + length / 2 - 0.2, glass, label)
    pen.front(x0 + 0.2, x1 - 0.2, height * 0.5, height * 0.88, s0 - 0.01, glass, label)
    if label == TRAIN:  # one eye, a broad bumper and a pantograph's foot tell it from a bus
        pen.front(x0 + 0.1, x1 - 0.1, 0.3, 0.62, s0 - 0.01, (70, 70, 76), label)
        middle = (x0 + x1) / 2
        pen.disc(middle, height * 0.36, s0 - 0.02, 0.2, 0.2, (250, 246, 214), label)
        pen.front(middle - 0.5, middle + 0.5, height, height + 0.35, s0 + 2, (70, 70, 76), label)
    else:
        low, high = height * 0.89, height * 0.98  # where it goes to
        pen.front(x0 + 0.5, x1 - 0.5, low, high, s0 - 0.02, (240, 170, 40), label)


def _wheels(
    pen: Pen, x0: float, x1: float, s: float, length: float, seen: float | None, label: int
) -> None:
    tyre, r = pen.palette["tyre"][0], 0.34 if label == CAR else 0.48
    for a in (x0 + 0.12, x1 - 0.36):
        pen.front(a, a + 0.24, 0, r, s, tyre, label)
    if seen is not None:
        for d in (0.18, 0.8):
            pen.wheel(seen, r, s + d * length, r, tyre, label)
