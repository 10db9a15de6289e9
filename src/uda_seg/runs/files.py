"""Files and folders that are there as a whole or not at all, whatever kills the process or fills
the disk; and JSON files read.

Each is written beside its place, under a hidden name that ends in `.part`, and takes its place when
it is complete. What a killed process leaves of it is removed by the next start in that folder.
"""

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uda_seg.errors import DataError, UserError

UNFINISHED = ".part"
NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


class WriteError(UserError, OSError):
    """The disk is full, or may not be written to; what stood there before still does."""

    def __init__(self, words: str, error: OSError) -> None:
        super().__init__(words)
        self.words, self.errno, self.strerror = words, error.errno, error.strerror

    def __str__(self) -> str:
        return self.words


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[IO[bytes]]:
    """A file to write into, which takes the place of `path` when nothing went wrong.

    Args:
        path: its folder is made when it is not there.
        durable: wait until the disk has it, so that not even a power failure leaves half a file.

    Raises:
        WriteError: it cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        if (told := explained(error, path)) is not None:
            raise told from error
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces the file as a whole: a reader sees the old one or the new one."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """The same in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """The same as indented JSON."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def read_json(path: Path, cure: str = "") -> Any:
    """
    Args:
        path: of a JSON file.
        cure: what to do when it is not there.

    Raises:
        DataError: it is not there, or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: is not there{cure and f'; {cure}'}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as JSON ({error})") from error


def stored_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds that may be absent, or cut off; then it is empty."""
    try:
        return dict(read_json(path))
    except (DataError, ValueError, TypeError):
        return {}


def check_empty(folder: Path, key: str) -> None:
    """
    Raises:
        DataError: something is in the way; the message begins with the config's `key`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{key}={folder}: is there already; give another one, or remove it first")


@contextmanager
def new_folder(folder: Path, key: str) -> Iterator[Path]:
    """A folder to write into, which takes its place when nothing went wrong.

    Raises:
        DataError: it cannot be made, or something is in the way.
    """
    check_empty(folder, key)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}{UNFINISHED}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{key}={folder}: cannot be written ({error.strerror})") from error
    try:
        yield unfinished
        check_empty(folder, key)
        if folder.exists():
            folder.rmdir()
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Removes what a killed process left half-written in a folder that nobody else writes to."""
    for path in folder.glob(f"**/.*{UNFINISHED}"):
        with suppress(OSError):
            path.unlink()


def check_writable(folder: Path) -> None:
    """Makes the folder, and tries whether there is room for what a run writes at its start.

    Raises:
        WriteError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=UNFINISHED) as file:
            file.write(bytes(2**18))
            file.flush()
    except OSError as error:
        with suppress(OSError):  # it is not empty, or not there
            folder.rmdir()
        if (told := explained(error, folder)) is not None:
            raise told from error
        raise


def explained(error: OSError, path: str | Path | None = None) -> WriteError | None:
    """What a user can do about a failed write; None for an error of another kind.

    Args:
        error: of the operating system.
        path: what was written, where the error itself does not say.
    """
    if isinstance(error, WriteError):
        return error
    where, why = path or error.filename or "the disk", error.strerror
    if error.errno in NO_ROOM:
        words = f"cannot be written, the disk is full ({why}); make room"
    elif error.errno in READ_ONLY:
        words = f"cannot be written ({why}); choose a folder that you may write to"
    elif error.errno in IN_THE_WAY:
        words = f"cannot be made ({why}: {error.filename})"
    else:
        return None
    return WriteError(f"{where}: {words}", error)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Makes a new name in it last, where a system can; Windows, for one, cannot."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
