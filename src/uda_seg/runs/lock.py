"""One process at a time writes into a run folder: a lock that ends with the process, however it
ends.

A POSIX record lock belongs to a process, not to those it forks, and most network file systems pass
it on to the other machines. Where there is none the run goes on without: it is a safeguard.
"""

import contextlib
import json
import logging
import os
import socket
import sys
import time
from pathlib import Path

from uda_seg.errors import ConfigError
from uda_seg.runs.files import stored_json

log = logging.getLogger(__name__)

NAME = ".lock"
PATIENCE = 3.0
"""Seconds to wait: a run that was just killed is perhaps not quite gone."""

_held: dict[Path, int] = {}
"""Folders this process has locked, and the open files."""


class InUseError(ConfigError):
    """Another process writes into the folder."""


def lock(folder: Path, patience: float = PATIENCE, key: str = "hydra.run.dir") -> None:
    """Keeps other processes out of a folder until this one ends, or unlocks it.

    Args:
        folder: made if it is not there.
        patience: seconds to wait for another process to end.
        key: that names another folder.

    Raises:
        InUseError: another process has it.
    """
    folder = Path(folder).resolve()
    if folder in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    while True:
        try:
            handle = _locked(folder / NAME)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.2)
                continue
            raise InUseError(
                f"{folder}: is being written by another run ({_owner(folder / NAME)}); wait for it "
                f"or stop it, or name another folder ({key}=)"
            ) from None
        except OSError as error:  # the file system knows no locks, or is read-only
            log.debug("%s: cannot be locked (%s)", folder, error)
            return
        _held[folder] = handle
        return


def unlock(folder: Path) -> None:
    """Lets others in; nothing if the folder is not locked by this process."""
    folder = Path(folder).resolve()
    handle = _held.pop(folder, None)
    if handle is None:
        return
    with contextlib.suppress(OSError):
        (folder / NAME).unlink()  # while it is locked, so that it is ours
    os.close(handle)


def _locked(path: Path) -> int:
    """An open, locked file that is still the one its name leads to.

    Raises:
        BlockingIOError: it is locked by another process.
        OSError: it cannot be locked.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _take(handle)
            if _is(handle, path):
                _sign(handle)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its owner removed it between the two


def _is(handle: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _sign(handle: int) -> None:
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    os.truncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, (json.dumps(owner) + "\n").encode())


def _owner(path: Path) -> str:
    owner = stored_json(path)
    if not {"pid", "host", "since"} <= owner.keys():
        return "a process that did not say which"
    return f"process {owner['pid']} on {owner['host']}, since {owner['since']}"


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        os.lseek(handle, 1 << 20, os.SEEK_SET)  # far behind the text, which others may read
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from error

else:
    import fcntl

    def _take(handle: int) -> None:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except PermissionError as error:  # what some systems say instead
            raise BlockingIOError(*error.args) from error
