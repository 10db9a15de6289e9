"""Virtual KITTI: 1.3.1 (Gaidon et al., CVPR 2016, arXiv:1605.06457) and 2 (arXiv:2001.10773).

1.3.1: `vkitti_1.3.1_rgb/WORLD/VARIATION/NNNNN.png`, and so for `scenegt` and `depthgt`. Labels have
a color for every car; `vkitti_1.3.1_scenegt/WORLD_VARIATION_scenegt_rgb_encoding.txt` names them,
such as `Car:1 200 200 200`.

2: `SceneNN/VARIATION/frames/rgb/Camera_N/rgb_NNNNN.jpg`, and so `classSegmentation` with
`classgt_NNNNN.png` and `depth` with `depth_NNNNN.png`, in one folder or each in its own:
`vkitti_2.0.3_rgb` and so on. Labels have one color for each class.

Depth is 16-bit centimetres in both; the far plane, and so the sky, is at 655.35 m.
"""

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files, Sample
from uda_seg.data.datasets.synthia import centimetres, to_centimetres
from uda_seg.data.datasets.writing import raw_ids, save_channels, save_ids, save_image
from uda_seg.data.files.color_table import Color, ColorTable
from uda_seg.data.files.listing import walk
from uda_seg.data.files.reading import load, read_colors
from uda_seg.data.files.spelling import find_folder, folder_of
from uda_seg.data.files.split_lists import check_split
from uda_seg.errors import DataError

# Colors of version 2 (colors.txt in vkitti_2.0.3_textgt); in 1.3.1 every scene has its own.
COLORS: dict[str, Color] = {
    "Undefined": (0, 0, 0),
    "Terrain": (210, 0, 200),
    "Sky": (90, 200, 255),
    "Tree": (0, 199, 0),
    "Vegetation": (90, 240, 0),
    "Building": (140, 140, 140),
    "Road": (100, 60, 100),
    "GuardRail": (250, 100, 255),
    "TrafficSign": (255, 255, 0),
    "TrafficLight": (200, 200, 0),
    "Pole": (255, 130, 0),
    "Misc": (80, 80, 80),
    "Truck": (160, 60, 60),
    "Car": (255, 127, 80),
    "Van": (0, 139, 139),
}
IDS = {word: number for number, word in enumerate(COLORS)}
"""The files hold colors only; these ids are ours."""
SPLITS = (
    "all", "clone", "fog", "morning", "overcast", "rain", "sunset",
    "15-deg-left", "15-deg-right", "30-deg-left", "30-deg-right",
)  # fmt: skip


class VirtualKITTI2(FileDataset):
    """
    Args:
        root: holds the scenes, or the folders of the archives.
        split: "all", or a variation, such as "clone"; both cameras.
    """

    terms = "CC BY-NC-SA 3.0: not for commercial use (recalled)"
    classes = {
        1: "terrain",
        2: "sky",
        3: "vegetation",
        4: "vegetation",
        5: "building",
        6: "road",
        8: "traffic sign",
        9: "traffic light",
        10: "pole",
        12: "truck",
        13: "car",
        14: "car",
    }
    void = {0: "undefined", 7: "guard rail", 11: "misc"}
    own_names = {3: "tree", 14: "van"}
    has_depth = True
    ids_in_files = False

    def __init__(self, root: str, split: str) -> None:
        check_split("Virtual KITTI 2", split, SPLITS)
        images = folder_of(root, "vkitti_2.0.3_rgb", "rgb", ".")
        labels = _part(root, "vkitti_2.0.3_classSegmentation", "classSegmentation")
        depths = _part(root, "vkitti_2.0.3_depth", "depth")
        found = self.pictures_in(images, f"Scene*/{_pattern(split)}/frames/rgb/Camera_*/rgb_*.jpg")
        files = [
            Files(
                image,
                label=_beside(image, images, labels, "classSegmentation", "classgt"),
                depth=_beside(image, images, depths, "depth", "depth"),
            )
            for image in found
        ]
        super().__init__(root, files)
        self.table = ColorTable({COLORS[word]: number for word, number in IDS.items()})

    def read_label(self, path: Path) -> np.ndarray:
        return self.table(read_colors(path), path)

    def read_depth(self, path: Path) -> np.ndarray:
        return centimetres(path)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        frames = "Scene01/" + ("clone" if split == "all" else split) + "/frames"
        image = root / f"vkitti_2.0.3_rgb/{frames}/rgb/Camera_0/rgb_{number:05d}.jpg"
        save_image(image, sample.image)
        ids = raw_ids(sample.label, cls.classes, void=0)
        label = f"{frames}/classSegmentation/Camera_0/classgt_{number:05d}.png"
        palette = np.array(list(COLORS.values()), np.uint8)
        save_channels(root / "vkitti_2.0.3_classSegmentation" / label, palette[ids])
        if sample.depth is not None:
            depth = f"{frames}/depth/Camera_0/depth_{number:05d}.png"
            save_ids(root / "vkitti_2.0.3_depth" / depth, to_centimetres(sample.depth))


class VirtualKITTI(FileDataset):
    """Version 1.3.1.

    Args:
        root: holds the folders of the archives, `vkitti_1.3.1_rgb` and so on, or `rgb`, `scenegt`
            and `depthgt`.
        split: "all", or a variation, such as "clone".
    """

    terms = VirtualKITTI2.terms
    classes = VirtualKITTI2.classes
    void = VirtualKITTI2.void
    own_names = VirtualKITTI2.own_names
    has_depth = True
    ids_in_files = False

    def __init__(self, root: str, split: str) -> None:
        check_split("Virtual KITTI", split, SPLITS)
        images = folder_of(root, "vkitti_1.3.1_rgb", "rgb")
        self.labels = _part(root, "vkitti_1.3.1_scenegt", "scenegt")
        depths = _part(root, "vkitti_1.3.1_depthgt", "depthgt")
        found = self.pictures_in(images, f"[0-9]*/{_pattern(split)}/*.png")
        places = [image.relative_to(images) for image in found]
        pngs = [place.with_suffix(".png") for place in places]
        files = [Files(image, self.labels / png, depths / png) for image, png in zip(found, pngs)]
        super().__init__(root, files)
        self.tables: dict[Path, ColorTable] = {}
        self._texts: dict[Path, str] = {}

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        yield from super().missing(fields)
        if "label" in fields:
            for folder in sorted({f.label.parent for f in self.files if f.label}):
                if folder.is_dir() and not _encodings(folder):
                    yield _no_encoding(folder)

    def identity(self, index: int) -> str:
        """Of the text that says what colors mean, too."""
        label = self.files[index].label
        assert label is not None
        if label.parent not in self._texts:
            stats = [text.stat() for text in _encodings(label.parent)]
            self._texts[label.parent] = f"{[(s.st_size, s.st_mtime_ns) for s in stats]}"
        words = f"{super().identity(index)} {self._texts[label.parent]}"
        return hashlib.sha256(words.encode()).hexdigest()

    def read_label(self, path: Path) -> np.ndarray:
        table = self.tables.get(path.parent)
        if table is None:
            table = self.tables[path.parent] = _table(path.parent)
        return table(read_colors(path), path)

    def read_depth(self, path: Path) -> np.ndarray:
        return centimetres(path)

    @classmethod
    def write_sample(cls, root: Path, split: str, number: int, sample: Sample) -> None:
        assert sample.label is not None
        variation = "clone" if split == "all" else split
        place = f"0001/{variation}/{number:05d}.png"
        save_image(root / "vkitti_1.3.1_rgb" / place, sample.image)
        ids = raw_ids(sample.label, cls.classes, void=IDS["Misc"])
        palette = np.array(list(COLORS.values()), np.uint8)
        labels = root / "vkitti_1.3.1_scenegt"
        save_channels(labels / place, palette[ids])
        words = {"Car": "Car:0", "Van": "Van:1"}
        lines = [
            f"{words.get(word, word)} {red} {green} {blue}"
            for word, (red, green, blue) in COLORS.items()
            if word != "Undefined"
        ]
        encoding = labels / f"0001_{variation}_scenegt_rgb_encoding.txt"
        encoding.write_text("\n".join(["Category(:id) r g b", *lines]) + "\n", "utf-8")
        if sample.depth is not None:
            save_ids(root / "vkitti_1.3.1_depthgt" / place, to_centimetres(sample.depth))


def _pattern(split: str) -> str:
    return "*" if split == "all" else split


def _part(root: str, *names: str) -> Path:
    """The folder of an archive, or the root, when archives were unpacked on top of each other."""
    found = find_folder(root, *names)
    if found is not None:
        return found
    merged = any(Path(root).glob("Scene*"))
    return Path(root) if merged else Path(root) / names[0]


def _beside(image: Path, images: Path, folder: Path, kind: str, prefix: str) -> Path:
    """What belongs to a frame of version 2: SCENE/VARIATION/frames/KIND/CAMERA/PREFIX_NNNNN.png."""
    scene, variation, frames, _, camera, name = image.relative_to(images).parts
    number = Path(name).stem[len("rgb_") :]
    return folder / scene / variation / frames / kind / camera / f"{prefix}_{number}.png"


def _encodings(folder: Path) -> list[Path]:
    world, variation = folder.parts[-2:]
    return walk(folder.parent.parent, f"{world}_{variation}_scenegt*.txt", [".txt"]).files


def _no_encoding(folder: Path) -> str:
    world, variation = folder.parts[-2:]
    where = folder.parent.parent / f"{world}_{variation}_scenegt_rgb_encoding.txt"
    return f"{where}: is not there, and so its labels' colors have no names; unpack scenegt again"


def _table(folder: Path) -> ColorTable:
    """Colors of the labels in WORLD/VARIATION, from the text file that names them."""
    found = _encodings(folder)
    if not found:
        raise DataError(_no_encoding(folder))
    path, ids = found[0], {COLORS["Undefined"]: IDS["Undefined"]}
    for number, line in enumerate(load(path).tobytes().decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("Category"):
            continue
        word = words[0].split(":")[0]
        try:
            red, green, blue = (int(value) for value in words[1:])
        except ValueError as error:
            raise DataError(
                f"{path}: line {number} is {line.strip()!r}, not a name and three numbers; "
                "unpack scenegt again"
            ) from error
        if word not in IDS:
            raise DataError(
                f"{path}: line {number} names {word!r}, which is none of {', '.join(IDS)}"
            )
        ids[red, green, blue] = IDS[word]
    return ColorTable(ids)
