"""The field's words for classes: Cityscapes' names and ids, other datasets' words, coarser classes.

Ids and names of Cityscapes: cityscapesScripts, `helpers/labels.py`. Level-1 classes of the India
Driving Dataset: Varma et al., WACV 2019, and its `helpers/anue_labels.py`.
"""

CITYSCAPES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign",
    "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "train",
    "motorcycle", "bicycle",
)  # fmt: skip
"""The 19 train ids, in their order."""

CITYSCAPES_IDS = {
    7: "road", 8: "sidewalk", 11: "building", 12: "wall", 13: "fence", 17: "pole",
    19: "traffic light", 20: "traffic sign", 21: "vegetation", 22: "terrain", 23: "sky",
    24: "person", 25: "rider", 26: "car", 27: "truck", 28: "bus", 31: "train", 32: "motorcycle",
    33: "bicycle",
}  # fmt: skip
"""Cityscapes' `labelIds` that count; GTA5 uses the same."""

CITYSCAPES_VOID = {
    0: "unlabeled", 1: "ego vehicle", 2: "rectification border", 3: "out of roi", 4: "static",
    5: "dynamic", 6: "ground", 9: "parking", 10: "rail track", 14: "guard rail", 15: "bridge",
    16: "tunnel", 18: "polegroup", 29: "caravan", 30: "trailer", 255: "license plate",
}  # fmt: skip
"""Cityscapes' `labelIds` that do not count; −1, the licence plate, would be 255 in a byte."""

CITYSCAPES_TRAIN_IDS = dict(enumerate(CITYSCAPES))

ALIASES = {
    "pedestrian": "person",
    "pavement": "sidewalk",
    "tree": "vegetation",
    "van": "car",
    "light": "traffic light",
    "sign": "traffic sign",
    "sign symbol": "traffic sign",
    "column pole": "pole",
    "motorbike": "motorcycle",
}
"""Other datasets' words for Cityscapes' classes."""

MERGES = {
    "bicyclist": ("rider", "bicycle"),
    "drivable": ("road", "parking", "drivable fallback"),
    "non-drivable": ("sidewalk", "terrain", "rail track", "non-drivable fallback"),
    "living things": ("person", "rider", "animal"),
    "vehicles": (
        "car", "truck", "bus", "train", "motorcycle", "bicycle", "autorickshaw", "caravan",
        "trailer", "vehicle fallback",
    ),
    "roadside objects": (
        "wall", "fence", "pole", "traffic light", "traffic sign", "curb", "guard rail", "billboard",
        "polegroup", "obs-str-bar-fallback",
    ),
    "far objects": ("building", "vegetation", "bridge", "tunnel"),
}  # fmt: skip
"""Coarser classes, and the finer ones that make them up: CamVid labels rider and bicycle as one,
IDD-Lite has the India Driving Dataset's level 1. What straddles two coarse classes (a bicyclist is
a living thing on a vehicle) belongs to neither."""

IDD_LEVEL_1 = (
    "drivable", "non-drivable", "living things", "vehicles", "roadside objects", "far objects",
    "sky",
)  # fmt: skip

_WITHOUT_16 = ("terrain", "truck", "train")
_WITHOUT_13 = (*_WITHOUT_16, "wall", "fence", "pole")

SPACES = {
    "cityscapes_19": CITYSCAPES,
    "synthia_16": tuple(name for name in CITYSCAPES if name not in _WITHOUT_16),
    "synthia_13": tuple(name for name in CITYSCAPES if name not in _WITHOUT_13),
    "camvid_11": (
        "road", "sidewalk", "building", "fence", "pole", "traffic sign", "vegetation", "sky",
        "person", "bicyclist", "car",
    ),
    "kitti_10": (
        "road", "building", "pole", "traffic light", "traffic sign", "vegetation", "terrain", "sky",
        "car", "truck",
    ),
    "idd_lite_7": IDD_LEVEL_1,
}  # fmt: skip
"""Label spaces by name, for `label_space=`."""

CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
"""Cityscapes' seven categories: confusions within one are no mistake."""


def canonical(name: str) -> str:
    """The one name a class goes by here."""
    name = " ".join(name.strip().lower().replace("_", " ").split())
    return ALIASES.get(name, name)
