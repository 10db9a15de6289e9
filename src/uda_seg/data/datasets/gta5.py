"""GTA5 (Richter et al., Playing for Data, ECCV 2016, arXiv:1608.02192).

Layout: `images/NNNNN.png`, `labels/NNNNN.png`, 00001 to 24966; labels are palette PNGs with
Cityscapes' ids, and 34 for licence plates. Most images are 1914x1052; some, and some labels, are a
few pixels smaller. The authors' split is `split.mat` in their read_mapping.zip.
"""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES_IDS, CITYSCAPES_VOID
from uda_seg.data.datasets.writing import raw_ids, save_image, save_palette
from uda_seg.data.files.spelling import Spelling, folder_of
from uda_seg.data.files.split_lists import add_to_list, check_split, pick, read_list
from uda_seg.errors import DataError
from uda_seg.images.pictures import color_of

SPLITS = ("train", "val", "test", "all")
MATLAB = ("split.mat", "read_mapping/split.mat")
NEARLY = 0.02
"""A label may be off its image's height and width by this share."""


class GTA5(FileDataset):
    """
    Args:
        root: holds `images`, `labels` and, for a split other than "all", `split.mat` or text files
            `train.txt`, `val.txt`, `test.txt`.
        split: "all", the 24,966 images the papers train on; or train, val, test.
    """

    terms = "research and educational use; the pictures are of a commercial game (recalled)"
    classes = CITYSCAPES_IDS
    void = CITYSCAPES_VOID | {34: "license plate"}

    def __init__(self, root: str, split: str) -> None:
        check_split("GTA5", split, SPLITS)
        images = folder_of(root, "images")
        labels = images.with_name("labels")
        found = self.pictures_in(images, "*.png")
        if split != "all":
            found = pick(found, *_split(Path(root), split))
        super().__init__(
            root, [Files(image, label=labels / f"{image.stem}.png") for image in found]
        )

    def read(self, index: int, fields: Collection[str]) -> Sample:
        """A label that is off by a few pixels is stretched to its image, as in the papers' code."""
        from uda_seg.images.scaling import resize_mask  # takes a second

        sample = super().read(index, set(fields) - {"label"})
        if "label" in fields:
            files = self.files[index]
            path, label = self._read_ids(files)
            if _nearly(label.shape, sample.image.shape[:2]):
                height, width = sample.image.shape[:2]
                label = resize_mask(label, (height, width))
            self._same_size(path, label, files, sample.image)
            sample.label = label
        return sample

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        name = f"{len(SPLITS) * number + SPLITS.index(split) + 1:05d}"
        save_image(root / f"images/{name}.png", sample.image)
        ids = raw_ids(sample.label, cls.classes, void=0)
        colors = np.zeros((256, 3), np.uint8)
        for identifier, word in cls.classes.items():
            colors[identifier] = color_of(word)
        save_palette(root / f"labels/{name}.png", ids, colors)
        if split != "all":
            add_to_list(root / f"{split}.txt", name)


def _nearly(label: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether sizes differ, but so little that both are of one view."""
    off = max(abs(a - b) / b for a, b in zip(label, image))
    return 0 < off <= NEARLY


def _split(root: Path, split: str) -> tuple[list[str], Path]:
    """Names of a split's images, and the file that tells them."""
    spelling = Spelling(root)
    for path in (spelling.one(root / name) for name in MATLAB):
        if path.is_file():
            return _matlab(path, split), path
    path = spelling.one(root / f"{split}.txt")
    if path.is_file():
        return read_list(path), path
    raise DataError(
        f"{root.resolve()}: no file tells GTA5's {split} split; put split.mat there (from "
        "read_mapping.zip on the dataset's download page), or a list "
        f"{split}.txt; or take all images: source.train_split=all"
    )


def _matlab(path: Path, split: str) -> list[str]:
    from scipy.io import loadmat

    try:
        numbers = loadmat(path)[f"{split}Ids"]
        return [f"{int(number):05d}" for number in np.ravel(numbers)]
    except Exception as error:  # a broken file can raise almost anything in there
        raise DataError(
            f"{path}: has no readable list {split}Ids ({error}); take split.mat from "
            "read_mapping.zip again"
        ) from error
