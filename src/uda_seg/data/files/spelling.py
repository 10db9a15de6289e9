"""How a path is spelt on disk: the case of letters in names is not told apart."""

import os
import stat
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from uda_seg.errors import DataError


def fold(name: str) -> str:
    """A name as names are compared: in small letters, accents composed."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def broken_link(path: Path) -> str:
    """What is to be said of a link that leads nowhere."""
    try:
        return f"is a link to {os.readlink(path)}, where nothing is (is a disk not mounted?)"
    except OSError as error:
        return f"is a link that cannot be followed ({error.strerror})"


def broken_part(path: Path) -> Path | None:
    """The path itself or the folder of it that is a link that leads nowhere, if one is."""
    return next(filter(is_broken, [path, *path.parents]), None)


def absent(paths: Iterable[Path]) -> set[Path]:
    """Those that are not there, or are links that lead nowhere.

    Raises:
        DataError: a folder may not be listed.
    """
    listed: dict[Path, set[str]] = {}  # one listing a folder: asking file by file is slow
    lacking = set()
    for path in paths:
        if path.parent not in listed:
            listed[path.parent] = _present(path.parent)
        if path.name not in listed[path.parent]:
            lacking.add(path)
    return lacking


def real_paths(paths: Sequence[Path], links: Collection[Path]) -> list[str]:
    """Where files really lie; `links` are those that are links themselves."""
    folders = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    return [
        os.path.realpath(path) if path in links else os.path.join(folders[path.parent], path.name)
        for path in paths
    ]


class Spelling:
    """Paths as they are spelt on disk, whatever the case of their letters.

    Args:
        root: nothing above it is looked at. A folder below it is listed once.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.listed: dict[str, tuple[str, dict[str, list[str]]]] = {}

    def of(self, paths: Sequence[Path | None]) -> list[Path | None]:
        """Each path, or the one file that differs from it in capital letters alone.

        A file that another of the paths names exactly is not taken for it.
        """
        spelt = [path and self.one(path) for path in paths]
        pairs = list(zip(paths, spelt))
        exact = {there for path, there in pairs if path and there and path.name == there.name}
        return [
            path if path and there and path.name != there.name and there in exact else there
            for path, there in pairs
        ]

    def one(self, path: Path) -> Path:
        """A path as it is spelt; itself where nothing is there, or more than one may be meant."""
        choices = self._choices(path)
        name = choices[0] if len(choices) == 1 else path.name
        folder = self.listed[str(path.parent)][0]
        same = name == path.name and folder == str(path.parent)
        return path if same else Path(folder, name)

    def has(self, path: Path) -> bool:
        """Whether something is there by some spelling of its name."""
        return bool(self._choices(path))

    def _choices(self, path: Path) -> list[str]:
        """The names in its folder that it may mean: itself, or all that differ in case alone."""
        names = self._names(path.parent)
        same = names.get(fold(path.name), [])
        return [path.name] if path.name in same else same

    def _names(self, folder: Path) -> dict[str, list[str]]:
        key = str(folder)
        if key not in self.listed:
            spelt, entries = key, _names_of(key)
            if entries is None and key.startswith(self.root) and key != self.root:
                spelt = str(self.one(folder))
                entries = _names_of(spelt) if spelt != key else None
            names: dict[str, list[str]] = {}
            for name in entries or ():
                names.setdefault(fold(name), []).append(name)
            self.listed[key] = spelt, names
        return self.listed[key][1]


def folder_of(root: str | Path, *choices: str) -> Path:
    """The first of the folders under `root` that exists.

    Raises:
        DataError: when none does; says where it looked and which key to set.
    """
    found = find_folder(root, *choices)
    if found is not None:
        return found
    there = _names_of(str(root))
    lies = "there is no such folder" if there is None else f"there are {_some(there)}"
    broken = [part for choice in choices if (part := broken_part(Path(root) / choice))]
    if broken:
        lies = f"{broken[0]} {broken_link(broken[0])}"
    raise DataError(
        f"{Path(root).resolve()}: none of the folders {', '.join(choices)} is there ({lies}); "
        "set source.root=, target.root=, data_root= or UDA_SEG_DATA to where the dataset lies"
    )


def find_folder(root: str | Path, *choices: str) -> Path | None:
    """The first of the folders under `root` that exists, or None.

    Raises:
        DataError: one may not be entered.
    """
    spelling = Spelling(Path(root))
    for choice in choices:
        for path in (Path(root) / choice, spelling.one(Path(root) / choice)):
            if _is_folder(path):
                return path
    return None


def is_broken(path: Path) -> bool:
    """Whether it is a link that leads nowhere."""
    return path.is_symlink() and not os.path.exists(path)


def _present(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {e.name for e in entries if not (e.is_symlink() and is_broken(Path(e)))}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from error


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError as error:
        raise DataError(
            f"{path}: may not be entered; give yourself the right: chmod -R u+rX"
        ) from error
    except OSError:
        return False


def _names_of(folder: str) -> list[str] | None:
    """Names of what is there; None without a folder. One that may not be listed tells nothing."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return []


def _some(names: Collection[str], most: int = 6) -> str:
    found = sorted(names)
    return ", ".join(found[:most]) + (", …" if len(found) > most else "") if found else "no files"
