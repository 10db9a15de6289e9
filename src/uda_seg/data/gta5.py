"""GTA5 (Richter et al., Playing for Data, ECCV 2016): `images/NNNNN.png`, `labels/NNNNN.png`.

Labels are palette PNGs with Cityscapes' ids; images of several sizes occur.
"""

from uda_seg.data.base import FileDataset, Files, folder_of
from uda_seg.data.classes import CITYSCAPES_IDS, CITYSCAPES_VOID


class GTA5(FileDataset):
    """
    Args:
        root: holds `images` and `labels`.
        split: "all", the 24,966 images the papers train on.
    """

    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID

    def __init__(self, root: str, split: str) -> None:
        images = folder_of(root, "images")
        labels = images.with_name("labels")
        files = [Files(image, label=labels / image.name) for image in sorted(images.glob("*.png"))]
        super().__init__(root, files)
