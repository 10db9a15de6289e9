"""Synscapes, path-traced street scenes (Wrenninge and Unger, 2018, arXiv:1810.08705).

Layout: `img/rgb/N.png`, `img/class/N.png`, N from 1 to 25000; labels have Cityscapes' ids
(synscapes.on.liu.se, Features). Its depth (OpenEXR) is not read.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of
from uda_seg.errors import DataError


class Synscapes(FileDataset):
    """
    Args:
        root: holds `img`.
        split: "all"; there is no official other.
    """

    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID

    def __init__(self, root: str, split: str) -> None:
        if split != "all":
            raise DataError(f"Synscapes has no split {split!r}, only all")
        images = self.pictures_in(folder_of(root, "img/rgb"), "*.png")
        images.sort(key=lambda path: (len(path.name), path.name))  # 2 before 10
        labels = Path(root) / "img" / "class"
        super().__init__(
            root, [Files(image, label=labels / f"{image.stem}.png") for image in images]
        )

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"{number + 1}.png"
        save_image(root / "img" / "rgb" / name, sample.image)
        save_ids(root / "img" / "class" / name, raw_ids(sample.label, cls.classes, void=0))
