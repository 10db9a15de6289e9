"""KITTI's semantic benchmark (Alhaija et al., IJCV 2018): 200 labelled and 200 unlabelled images.

Layout: `training/image_2/NNNNNN_10.png`, `training/semantic/NNNNNN_10.png` with Cityscapes' ids,
and `testing/image_2/NNNNNN_10.png`. Sizes vary a little around 1242x375.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of
from uda_seg.data.files.split_lists import check_split


class KITTI(FileDataset):
    """
    Args:
        root: holds `training` and `testing`, or the folder data_semantics with them.
        split: training, which has labels, or testing, which has none.
    """

    terms = "CC BY-NC-SA 3.0: not for commercial use (recalled)"
    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID

    def __init__(self, root: str, split: str) -> None:
        check_split("KITTI", split, ["training", "testing"])
        self.has_labels = split == "training"
        images = folder_of(root, f"{split}/image_2", f"data_semantics/{split}/image_2")
        labels = images.with_name("semantic")
        files = [
            Files(image, label=labels / f"{image.stem}.png" if self.has_labels else None)
            for image in self.pictures_in(images, "*.png")
        ]
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """The image's own name; that the server takes it is recalled, not read."""
        return f"{self.files[index].image.stem}.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        name = f"{number:06d}_10.png"
        save_image(root / split / "image_2" / name, sample.image)
        if split == "training":
            assert sample.label is not None
            ids = raw_ids(sample.label, cls.classes, void=0)
            save_ids(root / split / "semantic" / name, ids)
