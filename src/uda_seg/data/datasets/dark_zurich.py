"""Dark Zurich: unlabelled streets by day, dusk and night (Sakaridis et al., ICCV 2019, 1901.05946).

Layout: `rgb_anon/SPLIT/TIME/SEQUENCE/NAME_rgb_anon.png`; for the 50 labelled night images
`gt/val/night/SEQUENCE/NAME_gt_labelIds.png` with Cityscapes' ids. The archives may also lie in
folders of their own: `Dark_Zurich_train_anon/rgb_anon/…`.
"""

from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of
from uda_seg.errors import DataError

PLACES = {
    "train": "train/night",
    "train_day": "train/day",
    "train_twilight": "train/twilight",
    "val": "val/night",
    "test": "test/night",
}
"""Where a split's images lie."""
IMAGE, LABEL = "_rgb_anon.png", "_gt_labelIds.png"


class DarkZurich(FileDataset):
    """
    Args:
        root: holds `rgb_anon` and, for labels, `gt`, or the folders of the three archives.
        split: train is by night, as are val and test; train_day and train_twilight are not. Only
            val has labels.
    """

    terms = "its own terms: not for commercial use (recalled)"
    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID
    benchmark_ids = "train_ids"

    def __init__(self, root: str, split: str) -> None:
        if split not in PLACES:
            raise DataError(f"Dark Zurich has no split {split!r}; choose from {', '.join(PLACES)}")
        archive = f"Dark_Zurich_{split.split('_')[0]}_anon"
        place = f"rgb_anon/{PLACES[split]}"
        folder = folder_of(root, place, f"{archive}/{place}")
        self.has_labels = split == "val"
        files = [
            Files(image, label=_label(image) if self.has_labels else None)
            for image in self.pictures_in(folder, f"*/*{IMAGE}")
        ]
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """As DAFormer's README has them handed in: train ids, in a folder of that name."""
        return f"labelTrainIds/{self.files[index].image.stem}.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        folder = root / "rgb_anon" / PLACES[split] / "GOPR0356"
        image = folder / f"GOPR0356_frame_{number:06d}{IMAGE}"
        save_image(image, sample.image)
        if split == "val":
            assert sample.label is not None
            save_ids(_label(image), raw_ids(sample.label, cls.classes, void=0))


def _label(image: Path) -> Path:
    root = image.parents[4]
    return root.joinpath("gt", *image.parts[-4:-1], image.name[: -len(IMAGE)] + LABEL)
