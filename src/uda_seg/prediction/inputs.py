"""What is to be predicted: pictures and videos, and the names their predictions go by."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from uda_seg.data.files import PICTURES
from uda_seg.data.video import VIDEOS
from uda_seg.errors import ConfigError

KINDS_OF_FILES = f"pictures ({' '.join(PICTURES)}) or videos ({' '.join(VIDEOS)})"


@dataclass(frozen=True)
class Input:
    """A picture or a video.

    Attributes:
        path: of the file.
        name: what its predictions are called below each kind's folder, without an ending.
        is_video: told by the file's ending.
    """

    path: Path
    name: str
    is_video: bool


def find(wanted: str, output: Path) -> list[Input]:
    """
    Args:
        wanted: a file, a folder (searched with all folders in it; hidden ones are left out), or a
            pattern with `*`, `?`, `[…]` or `**`.
        output: folder that is written to.

    Returns:
        Sorted by path. Folders below the given one, or below the pattern's first part without
        `*`, are kept in the names.

    Raises:
        ConfigError: nothing is there, or the output would be found as input next time.
    """
    given = Path(wanted).expanduser()
    if given.is_file():
        if not _readable(given):
            raise ConfigError(f"input={wanted}: is neither of {KINDS_OF_FILES}")
        return named(given.parent, [given])
    if given.is_dir():
        _check_apart(wanted, given, output)
        found = _shown(given, given.rglob("*"))
        if not found:
            raise ConfigError(f"input={wanted}: holds no {KINDS_OF_FILES}, nor do folders in it")
        return named(given, found)
    if not glob.has_magic(wanted):
        raise ConfigError(
            f"input={wanted}: is not there; give a picture, a video, a folder, or a pattern such "
            "as 'drives/**/*.png'"
        )
    base = _fixed_part(given)
    if "**" in given.parts:
        _check_apart(wanted, base, output)
    found = _shown(base, map(Path, glob.glob(str(given), recursive=True)))
    if not found:
        raise ConfigError(
            f"input={wanted}: matches no {KINDS_OF_FILES}; ** matches folders of any depth"
        )
    within = [path for path in found if path.resolve().is_relative_to(output.resolve())]
    if within:
        raise ConfigError(
            f"input={wanted}: matches what lies in output={output}, such as {within[0]}; "
            "give an output= elsewhere"
        )
    return named(base, found)


def named(base: Path, paths: Sequence[Path]) -> list[Input]:
    """Names are paths below `base` without endings; with them where they would be the same.

    Raises:
        ConfigError: two have one name all the same.
    """
    bare = {path: path.relative_to(base).with_suffix("") for path in paths}
    count = Counter(_folded(path, bare[path]) for path in paths)
    chosen: dict[str, Path] = {}
    inputs = []
    for path in paths:
        name = bare[path]
        if count[_folded(path, name)] > 1:
            name = path.relative_to(base)
        other = chosen.setdefault(_folded(path, name), path)
        if other != path:
            raise ConfigError(
                f"input: {other} and {path} would be written to one name; rename one of them"
            )
        inputs.append(Input(path, name.as_posix(), _is_video(path)))
    return inputs


def _check_apart(wanted: str, folder: Path, output: Path) -> None:
    if output.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(
            f"output={output}: lies in input={wanted}, and would be predicted itself next time; "
            "give an output= elsewhere"
        )


def _shown(base: Path, paths: Iterable[Path]) -> list[Path]:
    """Those that can be read, sorted, none in a hidden folder."""
    return sorted(
        path
        for path in paths
        if _readable(path)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(base).parts)
    )


def _readable(path: Path) -> bool:
    return path.suffix.lower() in (*PICTURES, *VIDEOS)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def _folded(path: Path, name: PurePath) -> str:
    """Some file systems do not tell capital letters from small ones; folders of kinds differ."""
    return f"{_is_video(path)} {os.path.normcase(name).casefold()}"


def _fixed_part(pattern: Path) -> Path:
    """The folders before the first part with a wildcard."""
    fixed = Path()
    for part in pattern.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed
