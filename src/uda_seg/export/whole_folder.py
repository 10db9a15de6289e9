"""A folder that is there as a whole, or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uda_seg.errors import DataError


def check_empty(folder: Path) -> None:
    """
    Raises:
        DataError: something is in the way.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"output={folder}: is there already; give another one, or remove it first")


@contextmanager
def whole(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes its place when nothing went wrong.

    Raises:
        DataError: it cannot be made, or something is in the way.
    """
    check_empty(folder)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"output={folder}: cannot be written ({error.strerror})") from error
    try:
        yield unfinished
        check_empty(folder)
        if folder.exists():
            folder.rmdir()
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
