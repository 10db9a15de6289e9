"""A lock that another process meets, and that ends with its process however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uda_seg.runs import lock

HOLD = """
import sys, time
from uda_seg.runs import lock
lock.lock(sys.argv[1])
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path):
    """A process that holds the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_a_folder_has_one_writer_until_that_is_killed(other, tmp_path) -> None:
    with pytest.raises(lock.InUseError, match=rf"process {other.pid} on .*, since 20"):
        lock.lock(tmp_path / "run", patience=0)
    os.kill(other.pid, signal.SIGKILL)
    lock.lock(tmp_path / "run")
    lock.lock(tmp_path / "run")  # twice is once
    lock.unlock(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_lock_that_its_owner_removed_meanwhile_is_no_lock(tmp_path, monkeypatch) -> None:
    taken = []
    original = lock._take

    def take(handle: int) -> None:
        original(handle)
        if not taken:
            (tmp_path / lock.NAME).unlink()
        taken.append(handle)

    monkeypatch.setattr(lock, "_take", take)
    lock.lock(tmp_path)
    assert len(taken) == 2
    assert (tmp_path / lock.NAME).is_file()
    lock.unlock(tmp_path)


def test_a_file_system_without_locks_is_no_reason_not_to_run(tmp_path, monkeypatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock, "_take", refuse)
    lock.lock(tmp_path)
    lock.unlock(tmp_path)
