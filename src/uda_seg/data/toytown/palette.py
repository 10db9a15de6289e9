"""What the two domains of ToyTown share, and what sets their looks apart.

Colors are RGB, 0 to 255. The layouts (how dense, how wide, how high the camera) are nearly the
same in both domains, as they are in GTA5 and Cityscapes; color, light and texture are not.
"""

from dataclasses import dataclass

from uda_seg.data.datasets.classes import CITYSCAPES

DOMAINS = ("toytown", "toytown_camera")

CLASSES = CITYSCAPES
(
    ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, TREE, TERRAIN, SKY, PERSON, RIDER,
    CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE,
) = range(19)  # fmt: skip
VOID = 255

PLAIN, GROUND, FACADE, SLATS, LEAVES = range(5)
"""Materials of faces."""

Color = tuple[float, float, float]

GAME: dict[str, list[Color]] = {
    "road": [(92, 96, 116)],
    "paint": [(250, 250, 250)],
    "sidewalk": [(222, 206, 182)],
    "curb": [(240, 232, 214)],
    "terrain": [(128, 204, 84)],
    "facade": [
        (242, 138, 110), (250, 210, 110), (120, 200, 190), (186, 150, 216), (250, 232, 200),
        (136, 176, 232), (232, 110, 130),
    ],
    "roof": [(186, 70, 62), (84, 84, 130), (150, 90, 60)],
    "glass": [(70, 110, 160)],
    "wall": [(196, 142, 104)],
    "fence": [(250, 244, 230), (160, 110, 66)],
    "pole": [(70, 76, 90)],
    "sign": [(226, 44, 44), (36, 100, 224), (250, 200, 40)],
    "trunk": [(128, 84, 52)],
    "leaves": [(62, 166, 74), (96, 190, 78), (44, 140, 84)],
    "skin": [(250, 206, 170), (150, 100, 70)],
    "cloth": [(232, 64, 72), (60, 120, 230), (250, 190, 40), (250, 250, 250), (120, 70, 180)],
    "trousers": [(50, 60, 110), (90, 70, 60)],
    "car": [
        (230, 50, 50), (50, 110, 230), (250, 204, 50), (246, 246, 246), (60, 180, 110),
        (250, 140, 40),
    ],
    "truck": [(240, 240, 236), (60, 150, 220), (240, 150, 50)],
    "bus": [(250, 196, 30), (226, 60, 60)],
    "train": [(240, 80, 60), (60, 170, 160)],
    "motorcycle": [(240, 60, 50), (40, 130, 240), (250, 150, 30)],
    "bicycle": [(60, 180, 110), (240, 240, 240), (232, 110, 130)],
    "rim": [(176, 180, 190)],
    "bin": [(60, 130, 110)],
    "tyre": [(40, 42, 52)],
}  # fmt: skip

CAMERA: dict[str, list[Color]] = {
    "road": [(96, 94, 92), (78, 78, 82), (112, 106, 98)],
    "paint": [(196, 194, 184)],
    "sidewalk": [(138, 132, 126), (120, 118, 118), (150, 136, 124)],
    "curb": [(150, 148, 142)],
    "terrain": [(98, 104, 58), (122, 112, 74), (84, 98, 60)],
    "facade": [
        (150, 128, 108), (168, 154, 134), (122, 84, 66), (110, 106, 104), (184, 176, 162),
        (140, 110, 92), (96, 90, 86),
    ],
    "roof": [(94, 62, 52), (72, 70, 74), (110, 84, 68)],
    "glass": [(52, 58, 64), (78, 88, 98)],
    "wall": [(130, 122, 112), (112, 86, 72)],
    "fence": [(84, 86, 84), (104, 86, 66), (150, 148, 144)],
    "pole": [(88, 90, 88), (70, 74, 70), (120, 120, 116)],
    "sign": [(168, 48, 46), (48, 74, 136), (190, 160, 60)],
    "trunk": [(74, 62, 50)],
    "leaves": [(62, 78, 40), (78, 88, 48), (50, 64, 42), (106, 98, 50)],
    "skin": [(198, 158, 134), (112, 80, 62)],
    "cloth": [(52, 54, 62), (92, 86, 84), (120, 50, 48), (60, 74, 102), (168, 164, 158)],
    "trousers": [(42, 46, 60), (58, 54, 50)],
    "car": [
        (44, 46, 50), (128, 130, 134), (186, 188, 188), (110, 34, 34), (40, 54, 88), (84, 88, 92),
    ],
    "truck": [(176, 174, 168), (70, 84, 110), (130, 74, 50)],
    "bus": [(168, 142, 60), (130, 46, 46), (190, 188, 182)],
    "train": [(150, 60, 50), (170, 168, 150)],
    "motorcycle": [(150, 44, 40), (180, 180, 178), (48, 70, 120)],
    "bicycle": [(60, 66, 70), (120, 50, 46), (150, 150, 146)],
    "rim": [(124, 124, 122)],
    "bin": [(58, 66, 60)],
    "tyre": [(30, 30, 32)],
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How a domain's camera is mounted and its streets are filled; pairs are (least, most)."""

    height: tuple[float, float]
    """Least and greatest height of the camera above the road, metres."""
    pitch: tuple[float, float]
    """Downwards, radians."""
    yaw: float
    focal: tuple[float, float]
    """In widths of the image."""
    bend: float
    """Greatest sideways swing of the street, metres."""
    bays: float
    """Chance that a street is wide enough for vehicles parked along the kerb."""
    road: tuple[float, float]
    """Half the width of a road with bays, metres; at least 6.35, see `traffic.py`."""
    narrow: tuple[float, float]
    """Half the width of one without, metres; at least 4.1."""
    walk: tuple[float, float]
    floors: tuple[int, int]
    building: float
    """Chance of a building, per block and side; so are those that follow."""
    tree: float
    parked: float
    traffic: float
    riders: float
    """Chance of a rider per 7 metres and side."""
    people: float
    """Mean number per block and side."""
    jitter: float
    """Spread of a color around the palette's."""


LAYOUTS = {
    "toytown": Layout(
        height=(1.5, 1.8), pitch=(0.0, 0.04), yaw=0.03, focal=(0.86, 0.96), bend=10, bays=0.5,
        road=(6.35, 6.7), narrow=(4.1, 4.7), walk=(3.8, 4.6), floors=(2, 4), building=0.6,
        tree=0.42, parked=0.5, traffic=0.62, riders=0.32, people=2.4, jitter=0,
    ),
    "toytown_camera": Layout(
        height=(1.35, 1.65), pitch=(-0.015, 0.03), yaw=0.04, focal=(0.82, 0.94), bend=12, bays=0.55,
        road=(6.35, 6.8), narrow=(4.1, 4.8), walk=(3.6, 4.8), floors=(2, 5), building=0.6,
        tree=0.4, parked=0.5, traffic=0.6, riders=0.32, people=2.4, jitter=14,
    ),
}  # fmt: skip
PALETTES = {"toytown": GAME, "toytown_camera": CAMERA}
