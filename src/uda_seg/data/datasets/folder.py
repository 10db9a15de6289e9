"""Anyone's own images and masks: a YAML of ten lines says where they lie and what is in them."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.data.datasets.base import FileDataset, Files
from uda_seg.data.datasets.mask_names import Colors, Names, colors_of_names, ignored, names_of_ids
from uda_seg.data.files.color_table import ColorTable
from uda_seg.data.files.image_lists import Found, list_images
from uda_seg.data.files.label_ids import divide_ids, whole
from uda_seg.data.files.reading import read_colors
from uda_seg.data.files.spelling import Spelling, find_folder
from uda_seg.errors import ConfigError, DataError


class Folder(FileDataset):
    """Masks hold either ids or colors. An image and its mask lie at the same place below theirs.

    Args:
        root: holds both folders.
        split: stands where they say {split}.
        images: folder below root, searched with all folders in it.
        labels: folder below root, or None for images alone.
        image_name: of an image file; {stem} is what its mask shares with it, * is any text
            without a dot.
        label_name: of a mask, with that {stem}.
        classes: id in the masks -> name.
        void: id -> name of what does not count, or a list of such ids, any whole numbers; `classes`
            goes before it. None: 255.
        colors: name -> (red, green, blue) or several of them, in place of `classes`.
        void_colors: colors of what does not count.
        split_list: text file below root with the names of a split's images, as
            `image_lists.py` reads them, such as ImageSets/Segmentation/{split}.txt; None: all
            images are its.
        divide: for masks of class * 1000 + number of an instance: 1000; None for others. Ids below
            it are classes themselves, as in Cityscapes' instanceIds; negative ones stay.
        divide_all: ids below `divide` are divided too, and so are class 0.
        upright: turn images and masks as their EXIF says. Without labels they always are.
    """

    cure_of_strange_ids = "add them to `classes`, or to `void` if they do not count"
    cure_of_instance_ids = "set divide: {} (and divide_all: true where smaller ids are class 0)"

    def __init__(
        self,
        root: str,
        split: str,
        images: str,
        labels: str | None,
        image_name: str,
        label_name: str,
        classes: Names,
        void: Names | Sequence[int] | None,
        colors: Colors,
        void_colors: Colors,
        split_list: str | None,
        divide: int | None,
        divide_all: bool,
        upright: bool,
    ) -> None:
        self.has_labels = labels is not None
        self.upright = upright or not self.has_labels
        self.divide, self.divide_all = divide, divide_all
        self.cure_of_turned = "set upright: " + ("false" if upright else "true")
        self.table: ColorTable | None = None
        self.painted: dict[tuple[int, int, int], int] = {}
        if classes and colors:
            raise ConfigError(
                "classes and colors are both given; keep classes when the masks hold ids, "
                "colors when they are painted"
            )
        if self.has_labels and not (classes or colors):
            raise ConfigError(
                "classes: missing; name what is in the masks: classes: {0: road, 1: my class}, "
                "or colors: {road: [128, 64, 128]} for painted ones"
            )
        if divide and colors:
            raise ConfigError("divide and colors are both given; only ids are divided")
        if colors:
            self._paint(
                colors_of_names("colors", colors),
                colors_of_names("void_colors", void_colors),
            )
        else:
            self.classes = names_of_ids("classes", classes)
            left_out = names_of_ids("void", ignored(void)).items()
            self.void = {i: name for i, name in left_out if i not in self.classes}
        _check_pattern("image_name", image_name, "{stem}")
        _check_pattern("label_name", label_name, "{stem}")
        found = self._images(_below(root, split, "images", images), image_name)
        place = None
        if labels is not None:
            _check_pattern("labels", labels)
            place = Path(root) / labels.replace("{split}", split)
        if split_list is not None:
            path = _list(root, split, split_list)
            found = list_images(path, found, Path(root), place, Path(label_name).suffix)
        files = [
            Files(one.path, one.label or (place and place / one.inner / one.named(label_name)))
            for one in found
        ]
        _check_apart(files)
        super().__init__(root, files)

    def _paint(self, counting: dict[str, Any], ignored: dict[str, Any]) -> None:
        """Numbers the names: classes first."""
        everything = [*counting.items(), *ignored.items()]
        if len(everything) > 256:
            raise ConfigError(f"colors: {len(everything)} are too many; there may be 256")
        ids: dict[tuple[int, int, int], int] = {}
        for number, (name, colors) in enumerate(everything):
            for color in colors:
                twin = everything[ids.setdefault(color, number)][0]
                if ids[color] != number:
                    raise ConfigError(
                        f"colors: {name} and {twin} are both {list(color)}; a color means one "
                        "class, a class may have several: car: [[255, 0, 0], [200, 0, 0]]"
                    )
        self.table, self.painted, self.ids_in_files = ColorTable(ids), ids, False
        names = dict(enumerate(name for name, _ in everything))
        self.classes = {i: name for i, name in names.items() if i < len(counting)}
        self.void = {i: name for i, name in names.items() if i >= len(counting)}

    def identity(self, index: int) -> str:
        """Covers what decides which pixels and ids are read, too."""
        ways = f"{self.upright} {self.divide} {self.divide_all} {self.painted}"
        return hashlib.sha256(f"{super().identity(index)} {ways}".encode()).hexdigest()

    def option_for(self, classes: Mapping[int, str], void: Collection[int] = ()) -> str | None:
        if self.table is not None:
            return None
        named = ", ".join(f"{i}: {name}" for i, name in sorted(classes.items()))
        return f"classes: {{{named}}}" + (f" and void: {sorted(void)}" if void else "")

    def read_label(self, path: Path) -> np.ndarray:
        if self.table is not None:
            return self.table(read_colors(path, self.upright), path)
        label = super().read_label(path)
        if self.divide is None:
            return label
        return divide_ids(whole(path, label), self.divide, self.divide_all)

    def _images(self, folder: Path, pattern: str) -> list[Found]:
        wanted = re.compile(
            re.escape(pattern).replace(r"\{stem\}", "(?P<stem>.+)", 1).replace(r"\*", "[^.]*"), re.I
        )
        found = []
        pictures = self.pictures_in(folder, "**/*")
        for path in pictures:
            match = wanted.fullmatch(path.name)
            if match:
                found.append(Found(path, path.parent.relative_to(folder), match["stem"]))
        if not found:
            others = f"there are {len(pictures)} others, such as {pictures[0]}" if pictures else ""
            raise DataError(
                f"{folder.resolve()}: holds no picture named {pattern} "
                f"({others or self._listings[-1].instead()}); set images= or image_name="
            )
        return found

    @staticmethod
    def _absent(files: Files, field: str) -> str:
        where = f" at {files.label}; put it there, or set labels=, image_name= and label_name= "
        return f"{files.image}: has no {field}" + (
            where + "to how the files are called" if files.label else "; set labels= to its folder"
        )


def _check_pattern(key: str, pattern: str, needed: str = "") -> None:
    if needed not in pattern:
        raise ConfigError(f"{key}={pattern}: needs {needed}, which image and mask have in common")
    strange = set(re.findall(r"{[^}]*}?", pattern)) - {needed or "{split}"}
    if strange:
        known = needed or "{split}"
        raise ConfigError(f"{key}={pattern}: {min(strange)} is unknown; only {known} is replaced")


def _below(root: str, split: str, key: str, pattern: str) -> Path:
    """The folder of a split.

    Raises:
        DataError: it is not there; says what is.
    """
    _check_pattern(key, pattern)
    folder = Path(root) / pattern.replace("{split}", split)
    found = find_folder(root, pattern.replace("{split}", split))
    if found is not None:
        return found
    above = Path(root, pattern.partition("{split}")[0]) if "{split}" in pattern else Path(root)
    if not Path(root).is_dir():
        raise DataError(f"{Path(root).resolve()}: is no folder; set source.root= or target.root=")
    inside = sorted(p.name for p in above.iterdir() if p.is_dir()) if above.is_dir() else []
    lies = f"folders in {above}: {', '.join(inside[:8])}" if inside else f"{above} has no folders"
    what = f"split {split}: " if "{split}" in pattern and above.is_dir() else ""
    cure = "train_split= or val_split= to one of them" if what and inside else f"{key}= below root"
    raise DataError(f"{what}{folder} is not there ({lies}); set {cure}")


def _list(root: str, split: str, pattern: str) -> Path:
    """The text file of a split.

    Raises:
        DataError: it is not there; says what is.
    """
    _check_pattern("split_list", pattern)
    path = Spelling(Path(root)).one(Path(root) / pattern.replace("{split}", split))
    if path.is_file():
        return path
    there = sorted(p.name for p in path.parent.glob("*.txt"))
    lies = f"there are {', '.join(there[:8])}" if there else f"no list is in {path.parent}"
    raise DataError(
        f"split {split}: {path} is not there ({lies}); set train_split=, val_split= or split_list="
    )


def _check_apart(files: list[Files]) -> None:
    """One mask for two images, or an image taken for a mask, comes from names that say too little.

    Raises:
        ConfigError: as said.
    """
    images, owners = {file.image for file in files}, dict[Path, Path]()
    for file in files:
        if file.label is None:
            continue
        if file.label in images:
            raise ConfigError(
                f"{file.label}: is taken for an image and for a mask; set image_name= and "
                'label_name=, such as "{stem}_image.*" and "{stem}_mask.png"'
            )
        twin = owners.setdefault(file.label, file.image)
        if twin != file.image:
            raise ConfigError(
                f"{file.image.name} and {twin.name}, in {twin.parent}, would share the mask "
                f'{file.label.name}; set image_name=, such as "{{stem}}.jpg"'
            )
