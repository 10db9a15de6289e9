"""CARLA (Dosovitskiy et al., CoRL 2017, arXiv:1711.03938): recordings of version 0.9.14 or later.

The simulator has no layout of its own; here it is `NAME_img.png` with `NAME_labelIds.png`, in the
root or any folder below. Ids: its `LibCarla/source/carla/rpc/ObjectLabel.h`; before 0.9.14 they
were others.
"""

from pathlib import Path

from uda_seg.data.base import FileDataset, Files, Sample, folder_of
from uda_seg.data.classes import CITYSCAPES
from uda_seg.data.split_lists import check_split
from uda_seg.data.writing import raw_ids, save_ids, save_image

IMAGE, LABEL = "_img.png", "_labelIds.png"


class CARLA(FileDataset):
    """
    Args:
        root: holds the recordings.
        split: "all", there is no other.
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
    }
    own_names = {12: "pedestrian", 24: "road line"}

    def __init__(self, root: str, split: str) -> None:
        check_split("CARLA", split, ["all"])
        images = self.pictures_in(folder_of(root, "."), f"**/*{IMAGE}")
        super().__init__(
            root,
            [Files(i, label=i.with_name(i.name[: -len(IMAGE)] + LABEL)) for i in images],
        )

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"ToyTown_{number:06d}"
        save_image(root / f"{name}{IMAGE}", sample.image)
        save_ids(root / f"{name}{LABEL}", raw_ids(sample.label, cls.classes, void=0))
