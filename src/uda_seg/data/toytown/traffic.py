"""What moves: streams of vehicles and riders, each in a strip of the road of its own.

Across the right half of the road (x in metres): the camera's lane 0.45 to 2.95, a strip for riders
3.05 to 3.75, then the kerb, or a bay with parked vehicles and a kerb at 6.35 or more. The left half
mirrors it. All in one stream move alike, so nothing ever crosses anything else, whatever the
position. While the camera drives `position` metres,

    our lane        keeps its distance      (moves by position)
    our riders      are slower              (position / 2)
    their riders    come towards us         (-position / 2)
    their lane      comes towards us        (-position)
"""

from collections.abc import Iterator

from uda_seg.data.toytown import people
from uda_seg.data.toytown.mount import LANE, STRIP
from uda_seg.data.toytown.palette import BICYCLE, BUS, CAR, MOTORCYCLE, TRAIN, TRUCK
from uda_seg.data.toytown.pen import Draws
from uda_seg.data.toytown.street import RANGE, RIDERS, TRAFFIC, Footprint, Street
from uda_seg.data.toytown.vehicles import SIZES

SLOT, RIDER_SLOT, RIDER_LENGTH = 26.0, 7.0, 2.0
"""Metres of the oncoming lane that hold at most one vehicle; the same for riders."""


def fill(street: Street) -> None:
    """Draw all traffic near the camera into a street."""
    moved = street.position
    for number, label, ahead in convoy(street):
        street.vehicle((40, number), label, LANE, ahead + moved, TRAFFIC, coming=False)
    for slot, draws in _slots(street, 41, SLOT, -moved):
        if draws.chance(street.layout.traffic):
            label = _kind(draws, street.tram)
            s = slot * SLOT + draws.between(0, SLOT - 1 - SIZES[label][0]) - moved
            street.vehicle((42, slot), label, -LANE, s, TRAFFIC, coming=True)
    for side in (-1, 1):
        for slot, draws in _slots(street, 43 + side, RIDER_SLOT, side * moved / 2):
            if draws.chance(street.layout.riders):
                s = slot * RIDER_SLOT + draws.between(0, RIDER_SLOT - 0.5 - RIDER_LENGTH)
                _rider(street, (side, slot, 45), draws, side * STRIP, s + side * moved / 2)


def convoy(street: Street) -> Iterator[tuple[int, int, float]]:
    """Number, label and distance of all that drives ahead of the camera."""
    draws = street.draws(46)
    ahead, number = draws.between(7, 30), 0
    while ahead < RANGE:
        label = _kind(draws, street.tram)
        yield number, label, ahead
        ahead += SIZES[label][0] + draws.between(5, 30)
        number += 1


def _slots(street: Street, stream: int, length: float, moved: float) -> Iterator[tuple[int, Draws]]:
    """The slots near the camera of an endless row of them that has moved by `moved` metres."""
    start = street.position - moved
    for slot in range(int((start - SLOT) // length), int((start + RANGE) // length) + 1):
        yield slot, street.draws(stream, slot)


def _kind(draws: Draws, tram: bool) -> int:
    kind = draws.random()
    if tram and kind < 0.28:
        return TRAIN
    return CAR if kind < 0.68 else TRUCK if kind < 0.84 else BUS


def _rider(street: Street, key: tuple[int, ...], draws: Draws, x: float, s: float) -> None:
    if s - street.position > RANGE or not street.place(x, s, 5, RIDERS):
        return
    on = BICYCLE if draws.chance(0.5) else MOTORCYCLE
    street.own(Footprint(key, on, x - 0.35, x + 0.35, s, s + RIDER_LENGTH))
    people.rider(street.pen, street.draws(*key), x, s, on, coming=x < 0)
