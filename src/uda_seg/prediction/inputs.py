"""What is to be predicted: pictures and videos, and the names their predictions go by."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from uda_seg.data.datasets.video import VIDEOS
from uda_seg.data.files.listing import NOT_READ, Listing, walk
from uda_seg.data.files.reading import PICTURES
from uda_seg.data.files.spelling import broken_link
from uda_seg.errors import ConfigError

log = logging.getLogger(__name__)

ENDINGS = (*PICTURES, *VIDEOS)
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
        wanted: a file, a folder (searched with all folders in it; links are followed, hidden ones
            are left out), or a pattern with `*`, `?`, `[…]` or `**`, whose capital letters do not
            matter behind its first `*`.
        output: folder that is written to.

    Returns:
        Sorted by path. Folders below the given one, or below the pattern's first part without
        `*`, are kept in the names.

    Raises:
        ConfigError: nothing is there, or the output would be found as input next time.
    """
    given = Path(wanted).expanduser()
    if given.is_file():
        if given.suffix.lower() in NOT_READ:
            raise ConfigError(
                f"input={wanted}: {given.suffix} is not read: convert to .png or .jpg"
            )
        if given.suffix.lower() not in ENDINGS:
            raise ConfigError(f"input={wanted}: is neither of {KINDS_OF_FILES}")
        return name_inputs(given.parent, [given])
    if given.is_dir():
        listing = walk(given, endings=ENDINGS)
        _check_apart(wanted, listing, output)
        if not listing.files:
            raise ConfigError(
                f"input={wanted}: holds no {KINDS_OF_FILES}, nor do folders in it "
                f"({listing.instead()})"
            )
        for remark in listing.remarks():
            log.warning("input: %s", remark)
        return name_inputs(given, listing.files)
    if not glob.has_magic(wanted):
        lies = broken_link(given) if given.is_symlink() else "is not there"
        raise ConfigError(
            f"input={wanted}: {lies}; give a picture, a video, a folder, or a pattern such as "
            "'drives/**/*.png'"
        )
    base = _fixed_part(given)
    listing = walk(base, "/".join(given.parts[len(base.parts) :]), ENDINGS)
    if "**" in given.parts:
        _check_apart(wanted, listing, output)
    if not listing.files:
        lies = listing.instead() if base.is_dir() else f"{base} is no folder"
        raise ConfigError(
            f"input={wanted}: matches no {KINDS_OF_FILES} ({lies}); ** matches folders of any depth"
        )
    within = [path for path in listing.files if path.resolve().is_relative_to(output.resolve())]
    if within:
        raise ConfigError(
            f"input={wanted}: matches what lies in output={output}, such as {within[0]}; "
            "give an output= elsewhere"
        )
    for remark in listing.remarks_on_links():
        log.warning("input: %s", remark)
    return name_inputs(base, listing.files)


def name_inputs(base: Path, paths: Sequence[Path]) -> list[Input]:
    """Names are paths below `base` without endings; with them where they would be the same.

    Raises:
        ConfigError: two have one name all the same.
    """
    bare = {path: path.relative_to(base).with_suffix("") for path in paths}
    count = Counter(_fold(path, bare[path]) for path in paths)
    chosen: dict[str, Path] = {}
    inputs = []
    for path in paths:
        name = bare[path]
        if count[_fold(path, name)] > 1:
            name = path.relative_to(base)
        other = chosen.setdefault(_fold(path, name), path)
        if other != path:
            raise ConfigError(
                f"input: {other} and {path} would be written to one name; rename one of them"
            )
        inputs.append(Input(path, name.as_posix(), _is_video(path)))
    return inputs


def _check_apart(wanted: str, listing: Listing, output: Path) -> None:
    place = output.resolve()
    if {str(place), *map(str, place.parents)} & listing.folders:
        raise ConfigError(
            f"output={output}: lies in input={wanted}, and would be predicted itself next time; "
            "give an output= elsewhere"
        )


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def _fold(path: Path, name: PurePath) -> str:
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
