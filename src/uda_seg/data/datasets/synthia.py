"""SYNTHIA-RAND-CITYSCAPES (Ros et al., The SYNTHIA Dataset, CVPR 2016): 9,400 images of 1280x760.

Layout: `RGB/NNNNNNN.png`; `GT/LABELS/NNNNNNN.png`, 16 bits and three channels, of which the first
is the class and the second the instance; `Depth/Depth/NNNNNNN.png`, 16 bits, centimetres in every
channel. Ids and encodings: the dataset's own README.txt. `GT/COLOR` is for looking at only.
"""

from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.writing import raw_ids, save_channels, save_image
from uda_seg.data.files.reading import read_raw
from uda_seg.data.files.spelling import find_folder, folder_of
from uda_seg.data.files.split_lists import check_split
from uda_seg.errors import DataError

CENTIMETRE = 0.01
FARTHEST = 2**16 - 1


class SYNTHIA(FileDataset):
    """
    Args:
        root: holds `RGB`, `GT` and, for depth, `Depth`; or the folder RAND_CITYSCAPES with them.
        split: "all", there is no other.
    """

    terms = "CC BY-NC-SA 3.0: not for commercial use (recalled)"
    classes = {
        1: "sky",
        2: "building",
        3: "road",
        4: "sidewalk",
        5: "fence",
        6: "vegetation",
        7: "pole",
        8: "car",
        9: "traffic sign",
        10: "person",
        11: "bicycle",
        12: "motorcycle",
        15: "traffic light",
        17: "rider",
        19: "bus",
        21: "wall",
    }
    # The field's 16 classes: this set shows hardly any terrain,
    # trucks and trains, and lane markings do not count, though they lie on the road.
    void = {
        0: "void",
        13: "parking slot",
        14: "road work",
        16: "terrain",
        18: "truck",
        20: "train",
        22: "lane marking",
    }
    own_names = {10: "pedestrian"}
    has_depth = True

    def __init__(self, root: str, split: str) -> None:
        check_split("SYNTHIA", split, ["all"])
        images = folder_of(root, "RGB", "RAND_CITYSCAPES/RGB")
        labels = images.parent / "GT/LABELS"
        depths = find_folder(images.parent, "Depth/Depth", "Depth") or images.parent / "Depth/Depth"
        found = self.pictures_in(images, "*.png")
        super().__init__(
            root, [Files(i, labels / f"{i.stem}.png", depths / f"{i.stem}.png") for i in found]
        )

    def read_label(self, path: Path) -> np.ndarray:
        label = read_raw(path)
        if label.dtype != np.uint16 or label.ndim != 3:
            channels = label.shape[2] if label.ndim == 3 else 1
            raise DataError(
                f"{path}: has {8 * label.itemsize} bits and {channels} channels, but SYNTHIA's "
                "labels have 16 bits and 3; is it from GT/COLOR, or converted? Unpack it again"
            )
        return label[..., 0]

    def read_depth(self, path: Path) -> np.ndarray:
        return centimetres(path)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"{number:07d}.png"
        save_image(root / "RGB" / name, sample.image)
        label = np.zeros((*sample.label.shape, 3), np.uint16)
        label[..., 0] = raw_ids(sample.label, cls.classes, void=0)
        save_channels(root / "GT/LABELS" / name, label)
        if sample.depth is not None:
            depth = to_centimetres(sample.depth)
            save_channels(root / "Depth/Depth" / name, np.stack([depth] * 3, -1))


def centimetres(path: Path) -> np.ndarray:
    """(H, W) float32 metres of a 16-bit PNG in centimetres; the first channel, if it has several.

    The farthest, 655.35 m, also stands for the sky; 0 is not known.

    Raises:
        DataError: it has 8 bits.
    """
    depth = read_raw(path)
    if depth.dtype != np.uint16:
        raise DataError(
            f"{path}: has {8 * depth.itemsize} bits, but depth in centimetres has 16; is it a "
            "picture of the depth, for looking at? Unpack it again"
        )
    return (depth[..., 0] if depth.ndim == 3 else depth) * np.float32(CENTIMETRE)


def to_centimetres(depth: np.ndarray) -> np.ndarray:
    """The other direction: metres to (H, W) uint16, the far cut off."""
    return np.clip(np.rint(depth / CENTIMETRE), 0, FARTHEST).astype(np.uint16)
