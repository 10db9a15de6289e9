"""Files that are there as a whole or not at all, whatever kills the process or fills the disk.

Each is written beside its place, under a hidden name that ends in `.part`, and takes its place when
it is complete. What a killed process leaves of it is removed by the next start in that folder.
"""

import errno
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from uda_seg.errors import UserError

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
