"""IDD-Lite: small images of Indian roads, seven classes (Mishra et al., NCVPRIPG 2019).

Layout: `leftImg8bit/SPLIT/DRIVE/NNN_image.jpg`, `gtFine/SPLIT/DRIVE/NNN_label.png`, 320x227; ids
are level 1 of the India Driving Dataset. `NNN_inst_label.png` beside them tell instances apart, and
are not read.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import IDD_LEVEL_1
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of

LABELLED = ("train", "val")
IMAGE, LABEL = "_image.jpg", "_label.png"


class IDDLite(FileDataset):
    """
    Args:
        root: holds `leftImg8bit` and, for labels, `gtFine`.
        split: train or val; test gives pictures alone.
    """

    terms = "its own terms, agreed to on registration; what they say is unknown here"
    classes = dict(enumerate(IDD_LEVEL_1))
    void = {255: "void"}

    def __init__(self, root: str, split: str) -> None:
        images = self.pictures_in(folder_of(root, f"leftImg8bit/{split}"), f"*/*{IMAGE}")
        self.has_labels = split in LABELLED
        files = [
            Files(image, label=_label(Path(root), image) if self.has_labels else None)
            for image in images
        ]
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """As its labels are called (AutoNUE/public-code, `evaluate/idd_lite_…`)."""
        image = self.files[index].image
        return f"{image.parent.name}/{image.name[: -len(IMAGE)]}{LABEL}"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        image = root / "leftImg8bit" / split / "0" / f"{number:06d}{IMAGE}"
        save_image(image, sample.image)
        if split in LABELLED:
            assert sample.label is not None
            save_ids(_label(root, image), raw_ids(sample.label, cls.classes, void=255))


def _label(root: Path, image: Path) -> Path:
    return root.joinpath("gtFine", *image.parts[-3:-1], image.name[: -len(IMAGE)] + LABEL)
