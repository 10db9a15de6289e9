"""Which files lie below a folder: one walk for every reader of a dataset, and for `predict`.

Links to folders are followed, and each folder is listed once, so a link to a parent ends there.
Names are compared in small letters. Hidden files and folders, and those that operating systems
leave behind, are left out.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from heapq import heappop, heappush
from pathlib import Path

from uda_seg.data.files.reading import PICTURES
from uda_seg.data.files.spelling import broken_link, fold
from uda_seg.errors import DataError

NOT_READ = (
    ".heic .heif .avif .gif .jp2 .j2k .jxl .exr .hdr .npy .npz .pbm .pnm .pfm .tga .psd .svg .dcm "
    ".raw .dng .cr2 .cr3 .nef .arw .orf .rw2 .raf"
).split()
"""Endings of pictures that are not read."""
LEFTOVERS = {
    "__macosx", "@eadir", "#recycle", "@recycle", "$recycle.bin", "lost+found",
    "system volume information",
}  # fmt: skip
"""Folders made by operating systems and network disks, in small letters."""


@dataclass
class Listing:
    """What lies below a folder and matches a pattern.

    Attributes:
        files: sorted by folder and name. A link that leads nowhere is among them when its name
            fits: it is a file that cannot be read.
        links: those of `files` that are links.
        broken: links that lead nowhere, among `files` or where a folder may have been.
        repeated: links to folders that are listed already, or contain the listed one.
        others: ending in small letters -> files that fit but for their ending.
        folders: real paths of all folders that were listed.
        hidden: how many files and folders were left out.
    """

    files: list[Path] = field(default_factory=list)
    links: set[Path] = field(default_factory=set)
    broken: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)
    others: dict[str, list[str]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    hidden: int = 0

    def remarks(self) -> Iterator[str]:
        """What was passed over and may be missed, one line each."""
        yield from self.remarks_on_links()
        for ending, paths in sorted(self.others.items()):
            if ending in NOT_READ:
                yield f"{_some('file', paths)} in {ending}: not read; convert to .png or .jpg"
            elif ending in PICTURES:
                yield f"{_some('file', paths)} in {ending}: left out, the layout has another"

    def remarks_on_links(self) -> Iterator[str]:
        for path in self.broken:
            if path not in self.links:
                yield f"{path}: {broken_link(path)}; what lay there is left out"
        if self.repeated:
            links = _some("link", list(map(str, self.repeated)))
            yield f"{links} to what is listed already: not listed again"

    def instead(self) -> str:
        """What lies there instead, for the message that nothing was found."""
        counts = {ending or "no ending": len(paths) for ending, paths in self.others.items()}
        kinds = sorted(counts, key=lambda ending: (-counts[ending], ending))
        said = [f"{counts[ending]} files with {ending}" for ending in kinds[:4]]
        said += ["other files"] * (len(kinds) > 4)
        said += [f"{self.hidden} hidden files or folders"] * bool(self.hidden)
        said += [f"a link that leads nowhere: {path}" for path in self.broken[:1]]
        convert = any(ending in NOT_READ for ending in self.others)
        cure = f"; images are read from {' '.join(PICTURES)}: convert them" if convert else ""
        return f"there are {', '.join(said)}{cure}" if said else "it is empty"


def walk(folder: Path, pattern: str = "**/*", endings: Collection[str] = PICTURES) -> Listing:
    """
    Args:
        folder: where to begin; it may itself be hidden.
        pattern: of paths below it, parted by "/": `*`, `?` and `[…]` within a name, `**` for
            folders of any depth.
        endings: of the files that are wanted, in small letters.

    Raises:
        DataError: a folder may not be listed.
    """
    wanted, listing = _Wanted(pattern, endings), Listing()
    start = os.path.realpath(folder)
    folders = [(str(folder), start, wanted.start)]
    links: list[tuple[str, str, frozenset[int]]] = []  # followed last: real folders come first
    seen: set[tuple[str, frozenset[int]]] = set()
    while folders or links:
        is_link = not folders
        path, real, places = heappop(links) if is_link else folders.pop()
        if (real, places) in seen or (is_link and _above(real, start)):
            listing.repeated.append(Path(path))
            continue
        seen.add((real, places))
        listing.folders.add(real)
        for entry in _entries(path):
            if entry.name.startswith(".") or entry.name.lower() in LEFTOVERS:
                listing.hidden += 1
                continue
            kind, below = _kind(entry), wanted.below(places, entry.name)
            if kind != "folder":
                wanted.sort(entry, kind, places, below, listing)
            elif below and _is_link(entry):
                heappush(links, (entry.path, os.path.realpath(entry.path), below))
            elif below:
                folders.append((entry.path, os.path.join(real, entry.name), below))
    listing.files.sort(key=lambda path: path.parts)
    listing.broken.sort()
    return listing


def pictures_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Picture files below a folder that match, as `walk` finds them."""
    return walk(folder, pattern).files


class _Wanted:
    """A pattern, walked along part by part: a place is the part that comes next."""

    def __init__(self, pattern: str, endings: Collection[str]) -> None:
        self.parts = pattern.split("/")
        self.parts += ["*"] * (self.parts[-1] == "**")
        self.endings = frozenset(endings)
        self.fits = _matcher(self.parts[-1])
        stem, dot, _ = self.parts[-1].rpartition(".")
        self.nearly = _matcher(stem if dot else self.parts[-1])
        self.start = self._reach({0})

    def below(self, places: frozenset[int], name: str) -> frozenset[int]:
        """Places within a folder of that name; none when nothing in it can match."""
        after = {place for place in places if self.parts[place] == "**"}
        ahead = [place for place in places - after if place < len(self.parts) - 1]
        after |= {place + 1 for place in ahead if _matcher(self.parts[place])(fold(name))}
        return self._reach(after)

    def _reach(self, places: Collection[int]) -> frozenset[int]:
        """Those, and what follows a `**`, which may stand for no folder."""
        reached = set(places)
        for place, part in enumerate(self.parts):
            if place in reached and part == "**":
                reached.add(place + 1)
        return frozenset(reached)

    def sort(
        self,
        entry: "os.DirEntry[str]",
        kind: str,
        places: frozenset[int],
        below: frozenset[int],
        listing: Listing,
    ) -> None:
        """Notes down what is no folder."""
        stem, ending = os.path.splitext(fold(entry.name))
        last, fits = len(self.parts) - 1 in places, False
        if last and kind != "else":
            fits = ending in self.endings and bool(self.fits(stem + ending))
            if fits:
                listing.files.append(Path(entry.path))
                if entry.is_symlink():
                    listing.links.add(Path(entry.path))
            elif kind == "file" and self.nearly(stem):
                listing.others.setdefault(ending, []).append(entry.path)
        if kind == "nothing" and (fits or below):
            listing.broken.append(Path(entry.path))


@lru_cache(maxsize=256)
def _matcher(part: str) -> Callable[[str], object]:
    return (lambda _: True) if part == "*" else re.compile(translate(fold(part))).match


def _entries(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise DataError(
            f"{folder}: may not be listed; give yourself the right: chmod -R u+rX"
        ) from error
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _kind(entry: "os.DirEntry[str]") -> str:
    """A folder, a file, something else, or nothing, to which a link leads."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        entry.stat()
        return "else"
    except OSError:  # also a link to itself, or into a folder that may not be entered
        return "nothing"


def _is_link(entry: "os.DirEntry[str]") -> bool:
    """Also a junction, of Windows."""
    return entry.is_symlink() or bool(getattr(entry, "is_junction", bool)())


def _above(folder: str, other: str) -> bool:
    return folder != other and os.path.join(other, "").startswith(os.path.join(folder, ""))


def _some(word: str, paths: Sequence[str]) -> str:
    """How many of that word, with an example."""
    count = f"1 {word}" if len(paths) == 1 else f"{len(paths)} {word}s"
    return f"{count} ({min(paths)}{', …' if len(paths) > 1 else ''})"
