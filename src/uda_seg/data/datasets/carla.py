"""CARLA (Dosovitskiy et al., CoRL 2017, arXiv:1711.03938): recordings of any version 0.9 or later.

The simulator has no layout of its own; here it is `NAME_img.png` with `NAME_labelIds.png`, in the
root or any folder below. Ids: its `LibCarla/source/carla/rpc/ObjectLabel.h`, which 0.9.14 numbered
anew; before, all vehicles were one class, and riders were pedestrians.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of
from uda_seg.data.files.split_lists import check_split

IMAGE, LABEL = "_img.png", "_labelIds.png"
RENUMBERED = (0, 9, 14)


class CARLA(FileDataset):
    """Ids of version 0.9.14 and later, unless an earlier one is asked for.

    Args:
        root: holds the recordings.
        split: "all", there is no other.
        version: of the simulator that recorded them, such as "0.9.13".
    """

    # Lines on the road are road, as in Cityscapes.
    classes = dict(enumerate(CITYSCAPES, start=1)) | {24: "road"}
    void = {
        0: "unlabeled",
        20: "static",
        21: "dynamic",
        22: "other",
        23: "water",
        25: "ground",
        26: "bridge",
        27: "rail track",
        28: "guard rail",
        29: "rock",
    }
    own_names = {12: "pedestrian", 24: "road line"}

    def __init__(self, root: str, split: str, version: str) -> None:
        check_split("CARLA", split, ["all"])
        names = self.release({"version": version})
        self.classes, self.void, self.own_names = names.classes, names.void, names.own_names
        images = self.pictures_in(folder_of(root, "."), f"**/*{IMAGE}")
        super().__init__(
            root,
            [Files(i, label=i.with_name(i.name[: -len(IMAGE)] + LABEL)) for i in images],
        )

    @classmethod
    def release(cls, domain: Mapping[str, Any]) -> type["CARLA"]:
        version = tuple(int(part) for part in str(domain["version"]).split("."))
        return EarlierCARLA if version < RENUMBERED else CARLA

    def option_for(self, classes: Mapping[int, str], void: Collection[int] = ()) -> str | None:
        releases = {"version=0.9.14": CARLA, "version=0.9.13": EarlierCARLA}
        return next((key for key, one in releases.items() if one.classes == classes), None)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"ToyTown_{number:06d}"
        save_image(root / f"{name}{IMAGE}", sample.image)
        save_ids(root / f"{name}{LABEL}", raw_ids(sample.label, cls.classes, void=0))


class EarlierCARLA(CARLA):
    """Ids before version 0.9.14; those above 12 came with 0.9.10."""

    classes = {
        1: "building",
        2: "fence",
        4: "person",
        5: "pole",
        6: "road",
        7: "road",
        8: "sidewalk",
        9: "vegetation",
        10: "vehicles",
        11: "wall",
        12: "traffic sign",
        13: "sky",
        18: "traffic light",
        22: "terrain",
    }
    void = {
        0: "unlabeled",
        3: "other",
        14: "ground",
        15: "bridge",
        16: "rail track",
        17: "guard rail",
        19: "static",
        20: "dynamic",
        21: "water",
    }
    own_names = {4: "pedestrian", 6: "road line"}
