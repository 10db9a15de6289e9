"""Cityscapes (Cordts et al., CVPR 2016): fine annotations, and the coarse set's images without any.

Layout: `leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png` and, for labels,
`gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png` (cityscapesScripts, README).
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of

LABELLED = ("train", "val")
IMAGE = "_leftImg8bit.png"
BLACK = "troisdorf_000000_000073"
"""An all-black frame of train_extra that Cityscapes' download page asks to delete."""


class Cityscapes(FileDataset):
    """
    Args:
        root: holds `leftImg8bit` and, for labels, `gtFine`.
        split: train or val; test, whose labels are dummies, or train_extra, which has coarse ones:
            these two give pictures alone.
    """

    terms = "its own terms: not for commercial use, not to be passed on (recalled)"
    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID

    def __init__(self, root: str, split: str) -> None:
        folder = folder_of(root, f"leftImg8bit/{split}")
        images = self.pictures_in(folder, f"*/*{IMAGE}")
        self.has_labels = split in LABELLED
        files = [
            Files(image, label=_label(Path(root), image) if self.has_labels else None)
            for image in images
            if not image.name.lower().startswith(BLACK)
        ]
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """The server searches all folders for CITY_SEQUENCE_FRAME*.png (cityscapesScripts,
        `evaluation/evalPixelLevelSemanticLabeling.py`).
        """
        return f"{self.files[index].image.name[: -len(IMAGE)]}_labelIds.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        name = f"ulm_{number:06d}_000019_leftImg8bit.png"
        image = root / "leftImg8bit" / split / "ulm" / name
        save_image(image, sample.image)
        if split in LABELLED:
            assert sample.label is not None
            save_ids(_label(root, image), raw_ids(sample.label, cls.classes, void=0))

    @staticmethod
    def _absent(files: Files, field: str) -> str:
        if files.label is not None:
            train_ids = files.label.name.replace("_labelIds", "_labelTrainIds")
            if files.label.with_name(train_ids).is_file():
                return (
                    f"{files.image}: only {train_ids} lies in {files.label.parent}; "
                    "unpack the *_labelIds.png of gtFine_trainvaltest.zip beside it"
                )
        return FileDataset._absent(files, field)


def _label(root: Path, image: Path) -> Path:
    name = f"{image.name[: -len(IMAGE)]}_gtFine_labelIds.png"
    return root.joinpath("gtFine", *image.parts[-3:-1], name)
