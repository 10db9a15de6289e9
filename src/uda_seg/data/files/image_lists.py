"""Text files that name the images of a split, as VOC's ImageSets/Segmentation/train.txt.

A line is an image, with or without its folders and its ending; or an image and its mask, as in
mmsegmentation's lists. Empty lines, comments behind `#`, Windows' line ends and marks of the
encoding are fine.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uda_seg.data.files.reading import PICTURES
from uda_seg.data.files.spelling import Spelling, fold
from uda_seg.data.files.split_lists import read_lines
from uda_seg.errors import DataError, suggest

SHOWN = 3
"""Lines with mistakes that are shown one by one."""


@dataclass(frozen=True)
class Found:
    """An image, where it lies below the folder of images, and what its mask shares with it."""

    path: Path
    inner: Path
    stem: str
    label: Path | None = None
    """The mask that a list names."""

    def named(self, pattern: str) -> str:
        """A name in which {stem} stands for what image and mask share."""
        return pattern.replace("{stem}", self.stem)


def list_images(
    path: Path, images: Sequence[Found], root: Path, labels: Path | None, ending: str
) -> list[Found]:
    """The images that a list names, in their own order.

    Args:
        path: the list.
        images: all there are.
        root: what names of images and masks may begin at.
        labels: the folder of masks, where their names may begin too; None when they are not read.
        ending: of a mask that is named without one.

    Raises:
        DataError: the list is not there, or lines name nothing, several images, or one twice.
    """
    names, spelling = _Images(images, root), Spelling(root)
    chosen: dict[int, tuple[int, Found]] = {}
    mistakes = []
    for number, line in read_lines(path):
        image, mask = _columns(line, names)
        places = names.meant(image)
        if len(places) != 1:
            said = names.complaint(image, places)
        elif places[0] in chosen:
            said = f"{image} is in line {chosen[places[0]][0]} already"
        else:
            found, said = images[places[0]], ""
            if mask and labels is not None:
                label = _mask(mask, [root, labels], ending, spelling)
                said = "" if label else f"the mask {mask} is not there"
                found = replace(found, label=label)
            chosen[places[0]] = number, found
        if said:
            mistakes.append(f"line {number}: {said}")
    if mistakes:
        more = [f"and {len(mistakes) - SHOWN} more lines"] if len(mistakes) > SHOWN else []
        raise DataError("\n  ".join([f"{path}:", *mistakes[:SHOWN], *more]))
    return [found for _, (_, found) in sorted(chosen.items())]


class _Images:
    """Images by the names that a list may give them."""

    def __init__(self, images: Sequence[Found], root: Path) -> None:
        self.images = images
        self.inner = [_parts(found.inner) for found in images]
        self.below = [_parts(found.path.parent.relative_to(root)) for found in images]
        self.places: dict[str, list[int]] = {}
        for place, found in enumerate(images):
            for name in {fold(n) for n in (found.path.name, found.path.stem, found.stem)}:
                self.places.setdefault(name, []).append(place)

    def meant(self, name: str) -> list[int]:
        """Places of the images that a name may mean: best one.

        The folders of the name are those below the folder of images or the root, or the last of
        them; or they end with those below the folder of images, as on another machine.
        """
        *given, last = _parts(name.replace("\\", "/")) or ("",)
        folders = tuple(given)
        places = self.places.get(last, [])
        spelt = [place for place in places if self.images[place].path.name == Path(name).name]
        places = spelt or places
        for among in (self.inner, self.below):
            exact = [place for place in places if among[place] == folders]
            if exact:
                return exact
        within = [place for place in places if _ends(self.below[place], folders)]
        outside = [place for place in places if _ends(folders, self.inner[place])]
        depth = max((len(self.inner[place]) for place in outside), default=0)
        return within or [place for place in outside if len(self.inner[place]) == depth]

    def complaint(self, name: str, places: Sequence[int]) -> str:
        if places:
            some = " and ".join(str(self.images[place].path) for place in places[:2])
            return f"{name} may be {some}; write its folder and its ending"
        last = (_parts(name.replace("\\", "/")) or ("",))[-1]
        stem = os.path.splitext(last)[0]
        same = [str(self.images[place].path.name) for place in self.places.get(stem, [])]
        hint = f"did you mean {same[0]}? " if same else suggest(last, list(self.places)[:5000])
        return f"{name} is no image, {hint}".rstrip(", ")


def _columns(line: str, images: _Images) -> tuple[str, str]:
    """Image and mask: parted by a tab, a comma or a space, but names may hold these too."""
    if images.meant(line):
        return line, ""
    for separator in ("\t", ",", " "):
        for at in _all(line, separator):
            image, mask = line[:at].strip(), line[at + 1 :].strip()
            if images.meant(image):
                return image, mask
    return line, ""


def _mask(name: str, folders: Sequence[Path], ending: str, spelling: Spelling) -> Path | None:
    """Where a mask lies; of folders that are not there, those in front are dropped."""
    plain = name.replace("\\", "/")
    if not fold(plain).endswith(PICTURES):
        plain += ending
    if Path(plain).is_absolute() and Path(plain).is_file():
        return Path(plain)
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    for start in range(len(parts)):
        for folder in folders:
            path = folder.joinpath(*parts[start:])
            if spelling.has(path):
                return spelling.one(path)
    return None


def _parts(path: object) -> tuple[str, ...]:
    return tuple(fold(part) for part in str(path).split("/") if part not in ("", "."))


def _ends(path: tuple[str, ...], end: tuple[str, ...]) -> bool:
    return len(end) <= len(path) and path[len(path) - len(end) :] == end


def _all(text: str, part: str) -> Iterator[int]:
    return (at for at, letter in enumerate(text) if letter == part)
