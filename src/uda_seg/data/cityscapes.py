"""Cityscapes (Cordts et al., CVPR 2016), fine annotations.

Layout: `leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png` and, for labels,
`gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png`.
"""

from pathlib import Path

from uda_seg.data.base import FileDataset, Files, folder_of
from uda_seg.data.classes import CITYSCAPES_IDS, CITYSCAPES_VOID


class Cityscapes(FileDataset):
    """
    Args:
        root: holds `leftImg8bit` and, for scoring, `gtFine`.
        split: train, val or test.
    """

    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID

    def __init__(self, root: str, split: str) -> None:
        images = sorted(folder_of(root, f"leftImg8bit/{split}").glob("*/*_leftImg8bit.png"))
        super().__init__(root, [Files(image, label=_label(Path(root), image)) for image in images])


def _label(root: Path, image: Path) -> Path:
    name = image.name.replace("_leftImg8bit", "_gtFine_labelIds")
    return root.joinpath("gtFine", *image.parts[-3:-1], name)
