"""Samples left out by name, of any dataset: `source.leave_out=` and `target.leave_out=`."""

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from uda_seg.config import build
from uda_seg.data.datasets.base import Dataset, FileDataset
from uda_seg.data.files.spelling import fold
from uda_seg.data.files.split_lists import read_lines
from uda_seg.errors import ConfigError, DataError, show

SHOWN = 3
"""Unknown names that are shown one by one."""

Names = Mapping[str, str]
"""Name -> where it was given, for messages."""


def open_dataset(domain: Mapping[str, Any], split: str) -> Dataset:
    """The dataset of a config, at one of its splits, without the samples that it leaves out."""
    dataset = build(domain, split=split)
    leave_out(dataset, read_names(domain.get("leave_out")), domain.get("name", ""))
    return dataset


def read_names(given: Any) -> Names:
    """
    Args:
        given: None, a list of names, or a text file with one a line: `#` begins a comment, and
            what follows a tab is passed over, so that a run's `bad_images_target.txt` will do.

    Raises:
        ConfigError: it is neither.
        DataError: the file cannot be read.
    """
    if given is None:
        return {}
    if isinstance(given, Sequence) and not isinstance(given, str):
        if not all(isinstance(name, str) for name in given):
            raise ConfigError(f"leave_out={show(list(given))}: must be names, in quotes if need be")
        return {name: f"leave_out={name}" for name in given}
    if not isinstance(given, str):
        raise ConfigError(f"leave_out={show(given)}: must be a list of names, or a text file")
    path = Path(given).expanduser()
    if not path.is_file():
        raise DataError(
            f"leave_out={given}: there is no such file; give a text file with a name a line, as "
            "data check writes it, or names in brackets: [images/a.png,images/b.png]"
        )
    lines = read_lines(path)
    return {line.split("\t")[0].strip(): f"{path}, line {number}" for number, line in lines}


def leave_out(dataset: Dataset, names: Names, called: str) -> None:
    """
    Args:
        dataset: is made shorter.
        names: as the dataset calls its samples, or paths of their files; without an ending too. A
            video's name means all its frames. Those of other splits are passed over, as long as
            they are there.
        called: the dataset's name, for messages.

    Raises:
        DataError: a name means no file of the dataset, or no sample is left.
    """
    if not names:
        return
    known: dict[str, list[int]] = {}
    for index in range(len(dataset)):
        for name in _names(dataset, index):
            known.setdefault(fold(name), []).append(index)
    root = getattr(dataset, "root", None)
    dropped: set[int] = set()
    unknown = {}
    for name, where in names.items():
        plain = _plain(name, root)
        if fold(plain) in known:
            dropped.update(known[fold(plain)])
        elif root is None or not _is_there(Path(root), plain):
            unknown[where] = f"{name} is no file of {called}, {_suggestion(plain, known, dataset)}"
    if unknown:
        raise DataError(_complaint(unknown))
    if len(dropped) == len(dataset):
        raise DataError(f"leave_out: leaves none of the {len(dropped)} samples of {called}")
    if dropped:
        dataset.take([index for index in range(len(dataset)) if index not in dropped])


def by_member(names: Names, members: Mapping[str, Dataset]) -> Iterator[tuple[str, Names]]:
    """Names of several datasets, such as gta5/images/00001.png, sorted to their members.

    Raises:
        DataError: a name begins with no member's.
    """
    parted: dict[str, dict[str, str]] = {member: {} for member in members}
    for name, where in names.items():
        member, _, inner = name.partition("/")
        if member not in parted:
            known = ", ".join(members)
            raise DataError(_complaint({where: f"{name} must begin with one of {known}, and a /"}))
        parted[member][inner] = where
    yield from parted.items()


def _complaint(unknown: Mapping[str, str]) -> str:
    lines = [f"{where}: {said}" for where, said in list(unknown.items())[:SHOWN]]
    more = [f"and {len(unknown) - SHOWN} more"] if len(unknown) > SHOWN else []
    return "\n  ".join(["names to be left out (leave_out) are not there:", *lines, *more])


def _names(dataset: Dataset, index: int) -> Iterator[str]:
    """All that a sample may be called."""
    yield dataset.name(index)
    yield os.path.splitext(dataset.name(index))[0]
    if isinstance(dataset, FileDataset):
        files = dataset.files[index]
        for path in (files.label, files.depth):
            if path is not None and path.is_relative_to(dataset.root):
                yield str(path.relative_to(dataset.root))
    else:
        yield os.path.dirname(dataset.name(index))


def _plain(name: str, root: Path | None) -> str:
    """Below the root, with slashes."""
    if root is not None:
        for start in (root, root.absolute(), root.resolve()):
            if Path(name).is_absolute() and Path(name).is_relative_to(start):
                name = str(Path(name).relative_to(start))
    return str(PurePosixPath(name.replace("\\", "/")))


def _is_there(root: Path, name: str) -> bool:
    """A file of another split, or a video of which a frame is named."""
    path = root / name
    return any(os.path.lexists(p) and not p.is_dir() for p in (path, path.parent))


def _suggestion(name: str, known: Mapping[str, Sequence[int]], dataset: Dataset) -> str:
    stem = PurePosixPath(fold(name)).stem
    same = [places[0] for other, places in known.items() if PurePosixPath(other).stem == stem]
    near = same or [known[n][0] for n in difflib.get_close_matches(name, list(known)[:5000], 1)]
    example = dataset.name(near[0] if near else 0)
    return f"did you mean {example}?" if near else f"whose samples are called like {example}"
