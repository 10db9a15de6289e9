"""IDD, the India Driving Dataset (Varma et al., WACV 2019, arXiv:1811.10200), 20k in two parts.

Layout: `leftImg8bit/SPLIT/DRIVE/NAME_leftImg8bit.png` (part II: `.jpg`) and
`gtFine/SPLIT/DRIVE/NAME_gtFine_polygons.json`, of which `createLabels.py` makes
`NAME_gtFine_labellevel3Ids.png` and others. Either will do: polygons are drawn as that script draws
them. Ids, names and script: AutoNUE/public-code, `helpers/anue_labels.py`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.classes import CITYSCAPES, CITYSCAPES_TRAIN_IDS
from uda_seg.data.datasets.writing import raw_ids, save_ids, save_image
from uda_seg.data.files.label_ids import whole
from uda_seg.data.files.reading import load
from uda_seg.data.files.spelling import Spelling, find_folder, folder_of
from uda_seg.errors import DataError

NAMES = (
    "road", "parking", "drivable fallback", "sidewalk", "rail track", "non-drivable fallback",
    "person", "animal", "rider", "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus",
    "caravan", "trailer", "train", "vehicle fallback", "curb", "wall", "fence", "guard rail",
    "billboard", "traffic sign", "traffic light", "pole", "polegroup", "obs-str-bar-fallback",
    "building", "bridge", "tunnel", "vegetation", "sky", "fallback background", "unlabeled",
    "ego vehicle", "rectification border", "out of roi", "license plate",
)  # fmt: skip
"""By `id`: what polygons are called."""

LEVEL_3_IDS = (
    0, 1, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    20, 21, 22, 23, 23, 24, 25, 25, 255, 255, 255, 255, 255,
)  # fmt: skip
"""By `id`: `level3Id`."""

LEVEL_3 = (
    "road", "drivable fallback", "sidewalk", "non-drivable fallback", "person", "rider",
    "motorcycle", "bicycle", "autorickshaw", "car", "truck", "bus", "vehicle fallback", "curb",
    "wall", "fence", "guard rail", "billboard", "traffic sign", "traffic light", "pole",
    "obs-str-bar-fallback", "building", "bridge", "vegetation", "sky",
)  # fmt: skip
"""By `level3Id`, as `evaluation/evaluate_mIoU.py` calls them; some hold more than their name says:
1 parking, 3 rail track, 4 animal, 12 caravan, trailer and train, 20 polegroup, 23 tunnel."""

TRAIN_IDS = tuple(
    9 if name == "non-drivable fallback" else CITYSCAPES.index(name) if name in CITYSCAPES else 255
    for name in NAMES
)
"""By `id`: `csTrainId`."""

LABELLED = ("train", "val")
PARTS = ("", "IDD_Segmentation", "idd20kII")
"""Parts I and II unpack to folders of these names; they may also be merged into one."""
IMAGE = "_leftImg8bit"
MASK, POLYGONS = "_gtFine_label{}s.png", "_gtFine_polygons.json"


class IDD(FileDataset):
    """The 26 classes of level 3, in which its challenges are scored.

    Args:
        root: holds `leftImg8bit` and, for labels, `gtFine`, or the folders of parts I and II.
        split: train or val; test gives pictures alone.
    """

    terms = "its own terms, agreed to on registration; what they say is unknown here"
    classes = dict(enumerate(LEVEL_3))
    void = {255: "unlabeled"}
    encoding = "level3Id"
    """What `createLabels.py` calls the ids: they are in the names of masks."""
    ids: tuple[int, ...] = LEVEL_3_IDS
    """By `id`: the id in this encoding."""

    def __init__(self, root: str, split: str) -> None:
        place = f"leftImg8bit/{split}"
        places = [f"{part}/{place}".strip("/") for part in PARTS]
        there = [folder for place in places if (folder := find_folder(root, place))]
        if not there:
            folder_of(root, *places)
        self.has_labels = split in LABELLED
        super().__init__(root, [files for folder in there for files in self._list_files(folder)])

    def _list_files(self, folder: Path) -> Iterator[Files]:
        spelling = Spelling(folder.parents[1])
        for image in self.pictures_in(folder, f"*/*{IMAGE}.*"):
            labels = folder.parents[1].joinpath("gtFine", *image.parts[-3:-1])
            stem = image.stem[: -len(IMAGE)]
            choices = [labels / f"{stem}{ending}" for ending in self._endings()]
            label = next(filter(spelling.has, choices), choices[0]) if self.has_labels else None
            yield Files(image, label)

    @classmethod
    def _endings(cls) -> tuple[str, ...]:
        return MASK.format(cls.encoding), MASK.format("id"), POLYGONS

    def prediction_name(self, index: int) -> str:
        """As its labels are called (AutoNUE/public-code, `evaluation/evaluate_mIoU.py`)."""
        image = self.files[index].image
        stem = image.stem[: -len(IMAGE)]
        return f"{image.parent.name}/{stem}{MASK.format(self.encoding)}"

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        name = f"{number:06d}_leftImg8bit.png"
        save_image(root / "leftImg8bit" / split / "0" / name, sample.image)
        if split in LABELLED:
            assert sample.label is not None
            label = root / "gtFine" / split / "0" / name.replace("_leftImg8bit.png", "")
            path = label.with_name(label.name + MASK.format(cls.encoding))
            save_ids(path, raw_ids(sample.label, cls.classes, void=255))

    def read_label(self, path: Path) -> np.ndarray:
        if path.name.endswith(POLYGONS):
            return draw_polygons(path, self.ids)
        label = whole(path, super().read_label(path))
        if path.name.endswith(MASK.format("id")):
            table, last = np.array(self.ids, np.uint8), len(self.ids) - 1
            known = (label >= 0) & (label <= last)
            label = np.where(known, table[label.clip(0, last)], label)
        return label

    @classmethod
    def _absent(cls, files: Files, field: str) -> str:  # type: ignore[override]
        if field != "label" or files.label is None:
            return FileDataset._absent(files, field)
        endings = ", ".join(f"*{ending}" for ending in cls._endings())
        return (
            f"{files.image}: has no label: none of {endings} for it lies in {files.label.parent}; "
            "unpack gtFine beside leftImg8bit, its polygons will do"
        )


class IDD19(IDD):
    """Cityscapes' 19 classes: IDD's `csTrainId`, in which much of the field is scored.

    Its terrain is IDD's non-drivable fallback.
    """

    classes = CITYSCAPES_TRAIN_IDS
    own_names = {9: "non-drivable fallback"}
    encoding = "csTrainId"
    ids = TRAIN_IDS


def draw_polygons(path: Path, ids: tuple[int, ...]) -> np.ndarray:
    """Polygons as a label, later ones over earlier ones, as `json2labelImg.py` draws them.

    That script draws a polygon of two corners as a line. At one of fewer, of which parts II and III
    have some (AutoNUE/public-code, issue 5), it stops; here it is passed by, as it covers nothing.

    Args:
        path: a `*_polygons.json`.
        ids: what to draw, by the `id` of a polygon's name.

    Returns:
        (H, W) uint8.
    """
    from PIL import Image, ImageDraw

    try:
        annotation = json.loads(load(path).tobytes())
        size = int(annotation["imgWidth"]), int(annotation["imgHeight"])
        label = Image.new("L", size, ids[NAMES.index("unlabeled")])
        canvas = ImageDraw.Draw(label)
        for thing in annotation["objects"]:
            if not thing.get("deleted"):
                corners = [(point[0], point[1]) for point in thing["polygon"]]
                name = thing["label"]
                if name not in NAMES:
                    name = name.removesuffix("group")  # several of them, such as cargroup
                value = ids[_position(path, name)]
                if len(corners) > 1:
                    canvas.polygon(corners, fill=value)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(
            f"{path}: holds no polygons of the India Driving Dataset "
            f"({type(error).__name__}: {error}); unpack it again"
        ) from error
    return np.array(label)


def _position(path: Path, name: str) -> int:
    if name not in NAMES:
        raise DataError(f"{path}: there is no class {name!r}; choose from {', '.join(NAMES)}")
    return NAMES.index(name)
