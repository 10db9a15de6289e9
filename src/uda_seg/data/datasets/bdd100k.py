"""BDD100K, its 10,000 images for semantic segmentation (Yu et al., CVPR 2020, arXiv:1805.04687).

Layout: `images/10k/SPLIT/NAME.jpg`, `labels/sem_seg/masks/SPLIT/NAME.png`; in older packages
`seg/images/SPLIT/NAME.jpg`, `seg/labels/SPLIT/NAME_train_id.png`. Both have Cityscapes' train ids.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_TRAIN_IDS
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of

LABELLED = ("train", "val")


class BDD100K(FileDataset):
    """
    Args:
        root: holds `images` and `labels`, or `seg`.
        split: train or val; test gives pictures alone.
    """

    terms = (
        "its own terms: educational, research and not-for-profit purposes; commercial ones for "
        "members of its consortium alone (read: bdd100k/bdd100k, doc/source/license.rst)"
    )
    classes = CITYSCAPES_TRAIN_IDS
    void = {255: "unlabeled"}

    def __init__(self, root: str, split: str) -> None:
        folder = folder_of(root, f"images/10k/{split}", f"seg/images/{split}")
        if folder.relative_to(root).parts[0].lower() == "seg":
            labels, ending = Path(root) / "seg" / "labels" / split, "_train_id.png"
        else:
            labels, ending = Path(root) / "labels" / "sem_seg" / "masks" / split, ".png"
        self.has_labels = split in LABELLED
        files = [
            Files(image, label=labels / f"{image.stem}{ending}" if self.has_labels else None)
            for image in self.pictures_in(folder, "*.jpg")
        ]
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """The image's own name; that the server takes it is recalled, not read."""
        return f"{self.files[index].image.stem}.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        name = f"{number:08x}-00000000"
        save_image(root / "images" / "10k" / split / f"{name}.jpg", sample.image)
        if split in LABELLED:
            assert sample.label is not None
            label = root / "labels" / "sem_seg" / "masks" / split / f"{name}.png"
            save_ids(label, raw_ids(sample.label, cls.classes, void=255))
