"""UrbanSyn, rendered street scenes (Gómez et al., 2023, arXiv:2312.12176).

Layout: `rgb/rgb_NNNN.png`, `ss/ss_NNNN.png`, 0001 to 7539; labels have Cityscapes' train ids, and
19 where there is none. Its depth (OpenEXR) is not read.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_TRAIN_IDS
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of
from uda_seg.errors import DataError


class UrbanSyn(FileDataset):
    """
    Args:
        root: holds `rgb` and `ss`.
        split: "all"; there is no official other.
    """

    terms = "CC BY-SA 4.0 (recalled)"
    classes = CITYSCAPES_TRAIN_IDS
    void = {19: "unlabeled", 255: "unlabeled"}

    def __init__(self, root: str, split: str) -> None:
        if split != "all":
            raise DataError(f"UrbanSyn has no split {split!r}, only all")
        images = self.pictures_in(folder_of(root, "rgb"), "rgb_*.png")
        super().__init__(root, [Files(image, label=_label(Path(root), image)) for image in images])

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        image = root / "rgb" / f"rgb_{number + 1:04d}.png"
        save_image(image, sample.image)
        save_ids(_label(root, image), raw_ids(sample.label, cls.classes, void=19))


def _label(root: Path, image: Path) -> Path:
    return root / "ss" / f"ss_{image.stem[len('rgb_') :]}.png"
