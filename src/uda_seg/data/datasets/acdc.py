"""ACDC: streets in fog, at night, in rain and in snow (Sakaridis et al., ICCV 2021, 2104.13395).

Layout: `rgb_anon/CONDITION/SPLIT/SEQUENCE/NAME_rgb_anon.png` and
`gt/CONDITION/SPLIT/SEQUENCE/NAME_gt_labelIds.png` with Cityscapes' ids. The same places in good
weather are in `rgb_anon/CONDITION/SPLIT_ref/SEQUENCE/NAME_rgb_ref_anon.png`.
"""

from collections.abc import Sequence
from pathlib import Path

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.spelling import folder_of

CONDITIONS = ("fog", "night", "rain", "snow")
LABELLED = ("train", "val")
IMAGE, REFERENCE, LABEL = "_rgb_anon.png", "_rgb_ref_anon.png", "_gt_labelIds.png"


class ACDC(FileDataset):
    """
    Args:
        root: holds `rgb_anon` and, for labels, `gt`.
        split: train or val; test, or the references train_ref, val_ref and test_ref, give pictures
            alone.
        conditions: those to read, out of fog, night, rain and snow.
    """

    terms = "its own terms: not for commercial use (recalled)"
    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID
    benchmark_ids = "train_ids"

    def __init__(self, root: str, split: str, conditions: Sequence[str]) -> None:
        self.has_labels = split in LABELLED
        ending = REFERENCE if split.endswith("_ref") else IMAGE
        files = []
        for condition in conditions:
            folder = folder_of(root, f"rgb_anon/{condition}/{split}")
            for image in self.pictures_in(folder, f"*/*{ending}"):
                files.append(Files(image, label=_label(image) if self.has_labels else None))
        super().__init__(root, files)

    def prediction_name(self, index: int) -> str:
        """As DAFormer's README has them handed in: train ids, in a folder of that name."""
        return f"labelTrainIds/{self.files[index].image.stem}.png"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        condition = CONDITIONS[number % len(CONDITIONS)]
        ending = REFERENCE if split.endswith("_ref") else IMAGE
        name = f"GOPR0475_frame_{number:06d}{ending}"
        for place in CONDITIONS:
            (root / "rgb_anon" / place / split).mkdir(parents=True, exist_ok=True)
        image = root / "rgb_anon" / condition / split / "GOPR0475" / name
        save_image(image, sample.image)
        if split in LABELLED:
            assert sample.label is not None
            save_ids(_label(image), raw_ids(sample.label, cls.classes, void=0))


def _label(image: Path) -> Path:
    root = image.parents[4]
    return root.joinpath("gt", *image.parts[-4:-1], image.name[: -len(IMAGE)] + LABEL)
