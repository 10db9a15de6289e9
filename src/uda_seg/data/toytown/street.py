"""One street: the blocks of road, pavement, houses and furniture, none of which moves."""

from dataclasses import dataclass

from uda_seg.data.toytown import people, things, vehicles
from uda_seg.data.toytown.mount import LANE, STRIP, Mount
from uda_seg.data.toytown.palette import (
    CAR,
    DOMAINS,
    LAYOUTS,
    PALETTES,
    ROAD,
    SIDEWALK,
    TERRAIN,
    TRUCK,
)
from uda_seg.data.toytown.pen import Draws, Pen, shaded

BLOCK, RANGE = 12.0, 108.0
"""Length of a block and how far the town is drawn ahead of the camera, metres."""
# Painter's order: what is further out is painted before what is further in and beside it. A piece
# of something at most n metres long is painted before all that stands beside it when that has n
# subtracted from its distance.
HOUSES, GARDENS, FRONTS, PAVEMENT, KERB, RIDERS, TRAFFIC, ISLAND = 26, 20, 13, 0, -4, -9, -11, -16


@dataclass(frozen=True)
class Footprint:
    """Ground a vehicle or rider covers, metres in street coordinates."""

    key: tuple[int, ...]
    """Names it, wherever the camera is."""
    label: int
    x0: float
    x1: float
    s0: float
    s1: float


class Street:
    """The faces of one street near one camera position.

    Args:
        seed: of the dataset.
        index: of the scene.
        domain: one of `DOMAINS`.
        position: metres the camera has driven.
    """

    def __init__(self, seed: int, index: int, domain: str, position: float) -> None:
        self.layout, self.position = LAYOUTS[domain], position
        self.origin = (seed, index, DOMAINS.index(domain))
        draws = Draws(*self.origin)
        self.mount = Mount(draws, self.layout, position)
        self.pen = Pen(PALETTES[domain], self.layout.jitter)
        self.pen.eye_y = self.mount.height
        self.bays = draws.chance(self.layout.bays)
        self.half = draws.between(*(self.layout.road if self.bays else self.layout.narrow))
        self.edge = self.half + draws.between(*self.layout.walk)
        self.tram = draws.chance(0.6)
        self.period, self.shift = 3 + draws.below(3), draws.below(3)
        names = ("road", "sidewalk", "curb", "paint", "terrain", "pole")
        self.tones = {name: self.pen.tone(name, draws) for name in names}
        self.footprints: list[Footprint] = []
        """Ground of owners 1, 2, ...: the numbers that vehicles' and riders' faces carry."""
        first = int(position // BLOCK)
        for block in range(first - 1, first + int(RANGE / BLOCK)):
            self._ground(block)
            for side in (-1, 1):
                if not self.crossing(block):
                    self._frontage(block, side)
                    self._furniture(block, side)
                if self.crossing(block + 1):
                    self._corner(block, side)
            if self.crossing(block + 1):
                self._island(block)

    def crossing(self, block: int) -> bool:
        """Whether a side street takes this block's place."""
        return block % self.period == self.shift and block > 0

    def draws(self, *key: int) -> Draws:
        return Draws(*self.origin, *key)

    def place(self, x: float, s: float, radius: float, order: float) -> bool:
        """Point the pen at a thing; False when the camera sees neither it nor its shadow."""
        if not self.mount.sees(x, s, radius):
            return False
        self.pen.key, self.pen.owner = s - self.position + order, 0
        self.pen.eye_x = self.mount.eye_x(s)
        return True

    def vehicle(
        self, key: tuple[int, ...], label: int, x: float, s: float, order: float, coming: bool
    ) -> None:
        """Draw one from `s` on, wherever in the street it started; `key` is its chance and name."""
        length, width, _ = vehicles.SIZES[label]
        near, far = s - self.position, s - self.position + length
        if near > RANGE or far < 0 or not self.mount.sees(x, s + length / 2, length / 2 + 5):
            return
        self.pen.key, self.pen.eye_x = near + order, self.mount.eye_x(s + length / 2)
        self.own(Footprint(key, label, x - width / 2, x + width / 2, s, s + length))
        road = self.tones["road"]
        vehicles.vehicle(self.pen, self.draws(*key), road, x, s, label, coming)

    def own(self, footprint: Footprint) -> None:
        """Faces that follow belong to what covers this ground."""
        self.footprints.append(footprint)
        self.pen.owner = len(self.footprints)

    # --- what lies
    def _ground(self, block: int) -> None:
        pen, tones, half, edge = self.pen, self.tones, self.half, self.edge
        s0, s1, crossing = block * BLOCK, block * BLOCK + BLOCK, self.crossing(block)
        pen.floor(-half, half, s0, s1, tones["road"], ROAD, 1)
        for side in (-1, 1):
            a, b = sorted((side * half, side * 40))
            if crossing:
                pen.floor(a, b, s0, s1, tones["road"], ROAD)
                continue
            pen.floor(a, b, s0, s1, tones["terrain"], TERRAIN)
            self._strip(side, half, edge, s0, s1, "sidewalk", SIDEWALK, 2)
            self._strip(side, half, half + 0.2, s0, s1, "curb", SIDEWALK, 3)
            if self.verge(block, side):
                self._strip(side, half + 0.2, half + 1.6, s0, s1, "terrain", TERRAIN, 3)
            self._strip(side, STRIP - 0.46, STRIP - 0.36, s0, s1, "paint", ROAD, 4)
        if not crossing:
            for k in range(2):  # the dashed line between the lanes
                pen.floor(-0.08, 0.08, s0 + 6 * k, s0 + 6 * k + 3, tones["paint"], ROAD, 4)
        if self.tram:
            for x in (-LANE - 0.7, -LANE + 0.7, LANE - 0.7, LANE + 0.7):
                pen.floor(x - 0.05, x + 0.05, s0, s1, shaded(tones["road"], 0.6), ROAD, 4)
        if self.crossing(block + 1):
            for k in range(int(half)):  # a zebra crossing before the side street
                a = -half + 2 * k + 0.5
                pen.floor(a, min(a + 1, half), s1 - 3.4, s1 - 0.6, tones["paint"], ROAD, 5)

    def _strip(
        self, side: int, x0: float, x1: float, s0: float, s1: float, tone: str, label: int,
        layer: int,
    ) -> None:  # fmt: skip
        a, b = sorted((side * x0, side * x1))
        self.pen.floor(a, b, s0, s1, self.tones[tone], label, layer)

    def verge(self, block: int, side: int) -> bool:
        """Whether grass grows along the kerb."""
        return self.draws(block, side, 1).chance(0.5)

    # --- what stands
    def _frontage(self, block: int, side: int) -> None:
        """A house, or a garden, and what bounds it towards the pavement."""
        draws, s0 = self.draws(block, side, 2), block * BLOCK
        s1, edge, setback = s0 + BLOCK, self.edge, 0.0
        if draws.chance(self.layout.building):
            if draws.chance(0.5):
                setback = draws.between(2, 5)
            gap = 2.5 * draws.chance(0.25)
            if self.place(side * (edge + setback), s0, 24, HOUSES):
                floors = self.layout.floors
                things.building(self.pen, draws, side, edge + setback + 0.4, s0, s1 - gap, floors)
        else:
            setback = 6
            for k in range(2):
                x, s = side * (edge + draws.between(2.5, 8)), s0 + 6 * k + draws.between(0, 5)
                if self.place(x, s, 7, GARDENS):
                    things.tree(self.pen, self.draws(block, side, 3, k), x, s)
        if not setback or not self.place(side * edge, s0, 16, FRONTS):
            return
        kind, draws = draws.random(), self.draws(block, side, 4)
        if kind < 0.44:
            things.wall(self.pen, draws, side, edge + 0.1, s0, s1, draws.between(1.2, 2.6))
        elif kind < 0.88:
            things.fence(self.pen, draws, side * (edge + 0.1), s0, s1, draws.between(1.1, 1.8))
        else:
            things.hedge(self.pen, draws, side, edge + 0.1, s0, s1)

    def _furniture(self, block: int, side: int) -> None:
        """What stands on the pavement and at the kerb, each with a stretch of its own."""
        draws, lay, s0, half = self.draws(block, side, 5), self.layout, block * BLOCK, self.half
        pen, kerb = self.pen, side * (self.half + 0.6)
        tree, lamp, sign, bin_, rack, parked, rail = (draws.random() for _ in range(7))
        at = [s0 + draws.between(a, b) for a, b in ((0, 2.5), (4.5, 6), (7, 10))]
        if tree < lay.tree and self.place(kerb, at[0], 8, PAVEMENT):
            things.tree(pen, self.draws(block, side, 6), kerb, at[0])
        if lamp < 0.55 and self.place(kerb, at[1], 6, PAVEMENT):
            things.lamp(pen, self.tones["pole"], kerb, at[1], -side)
        if sign < 0.5 and self.place(kerb, at[2], 5, PAVEMENT):
            own = self.draws(block, side, 7)
            things.sign(pen, own, self.tones["pole"], self.tones["paint"], kerb, at[2])
        if bin_ < 0.14 and self.place(side * (self.edge - 0.4), s0 + 11, 4, PAVEMENT):
            things.bin(pen, self.draws(block, side, 8), side * (self.edge - 0.4), s0 + 11)
        if rack < 0.42:
            self._rack(block, side)
        if self.bays and parked < lay.parked:
            self._parked(block, side)
        elif rail > 0.84:
            tone = pen.tone("fence", draws)
            for k in range(2):
                if self.place(side * (half + 0.25), s0 + 4 * k, 8, PAVEMENT):
                    x, s = side * (half + 0.25), s0 + 4 * k
                    things.fence(pen, draws, x, s, s + 4, 1.0, tone)
        for k in range(draws.count(lay.people)):
            x, s = side * draws.between(half + 1.9, self.edge - 0.4), s0 + draws.between(0, BLOCK)
            if self.place(x, s, 4, PAVEMENT):
                people.person(pen, self.draws(block, side, 9, k), x, s)

    def _rack(self, block: int, side: int) -> None:
        """A row of parked two-wheelers near the kerb."""
        draws = self.draws(block, side, 10)
        x, first = side * (self.half + 1.6), block * BLOCK + draws.between(1, 7)
        draw = people.parked_bicycle if draws.chance(0.5) else people.parked_motorcycle
        for k in range(1 + draws.below(3)):
            s = first + 0.9 * k
            if self.place(x, s, 4, PAVEMENT):
                draw(self.pen, self.draws(block, side, 11, k), x + 0.1 * draws.random(), s)

    def _parked(self, block: int, side: int) -> None:
        draws = self.draws(block, side, 12)
        label = CAR if draws.chance(0.88) else TRUCK
        length, width, _ = vehicles.SIZES[label]
        s = block * BLOCK + draws.between(0.3, BLOCK - length - 0.3)
        x = side * (self.half - 0.15 - width / 2)
        self.vehicle((block, side, 16), label, x, s, KERB, coming=side < 0)

    def _corner(self, block: int, side: int) -> None:
        """Lights where a side street is crossed, and people who wait or have just set out."""
        draws, end = self.draws(block, side, 13), (block + 1) * BLOCK
        x, lit = side * (self.half + 0.4), draws.below(3)
        reach = -(self.half - LANE + 0.4) if side > 0 and draws.chance(0.6) else 0.0
        if self.place(x, end - 3.7, 7, PAVEMENT):
            things.signal(self.pen, self.tones["pole"], x, end - 3.7, lit, reach)
        for k in range(draws.count(0.9)):
            x = side * draws.between(self.half - 0.2, self.half + 1.6)
            s = end - draws.between(0.8, 2.8)
            if self.place(x, s, 4, KERB):
                people.person(self.pen, self.draws(block, side, 14, k), x, s)

    def _island(self, block: int) -> None:
        """The refuge between the lanes at a zebra crossing: a sign, or somebody who waits."""
        draws, s1 = self.draws(block, 15), (block + 1) * BLOCK
        self.pen.floor(-0.4, 0.4, s1 - 4.6, s1 + 0.4, self.tones["curb"], SIDEWALK, 6)
        if not self.place(0, s1 - 4.4, 5, ISLAND):
            return
        things.bollard(self.pen, self.tones["pole"], 0, s1 - 4.4)
        if draws.chance(0.5) and self.place(0, s1 - 2, 4, ISLAND):
            people.person(self.pen, draws, 0, s1 - 2)
