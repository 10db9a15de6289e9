"""Files replaced as a whole: full disks, kills, leftovers."""

import errno
import os
from pathlib import Path

import pytest
import torch

from uda_seg.errors import UserError
from uda_seg.runs import files
from uda_seg.runs.checkpoint import CheckpointFiles, step_of


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    files.write_json(path, {"ä": 1})
    assert files.json.loads(path.read_text("utf-8")) == {"ä": 1}
    assert path.stat().st_mode & 0o777 == 0o666 & ~files._umask()
    writing = files.replacing(path)
    writing.__enter__().write(b"half")
    assert len(names(path.parent)) == 2
    writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text().startswith("{")
    assert names(path.parent) == ["a.json"]


@pytest.mark.parametrize(
    ("number", "cure"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "disk is full"), (errno.EROFS, "may write to")],
)
def test_a_disk_that_refuses_is_named_and_the_old_file_stays(
    number: int, cure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.ckpt"
    CheckpointFiles().save_checkpoint({"global_step": 3}, path)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match=rf"last\.ckpt: cannot be written.*{cure}") as caught:
        CheckpointFiles().save_checkpoint({"global_step": 4}, path)
    assert isinstance(caught.value, OSError)  # who writes on a disk may look for either
    assert caught.value.errno == number
    assert step_of(path) == 3
    assert names(tmp_path) == ["last.ckpt"]


def test_torch_hides_what_the_system_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    opened = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda handle, mode: opened(os.dup2(
        os.open(full, os.O_WRONLY), handle), mode))  # fmt: skip
    with pytest.raises(UserError, match=r"last\.ckpt: cannot be written, the disk is full"):
        CheckpointFiles().save_checkpoint({"a": torch.zeros(100_000)}, tmp_path / "last.ckpt")
    assert names(tmp_path) == []


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"a\.json: cannot be made \(File exists.*file"):
        files.write_json(tmp_path / "file" / "a.json", {})
    with pytest.raises(UserError, match=r"cannot be made \(.*file"):
        files.check_writable(tmp_path / "file")


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.replacing(tmp_path / "a"):
        raise FileNotFoundError(errno.ENOENT, "of somebody else's")
    assert files.explained(FileNotFoundError(errno.ENOENT, "no")) is None


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    for name in (".last.ckpt.ab12.part", "last.ckpt", "mine.part", ".hidden"):
        (tmp_path / "checkpoints" / name).touch()
    files.remove_unfinished(tmp_path)
    assert names(tmp_path / "checkpoints") == [".hidden", "last.ckpt", "mine.part"]


def test_a_writable_folder_is_left_as_it_was(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "new")
    assert names(tmp_path / "new") == []


def test_a_folder_without_room_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.tempfile, "NamedTemporaryFile", full)
    with pytest.raises(files.WriteError, match="make room"):
        files.check_writable(tmp_path / "new")
    assert names(tmp_path) == []
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").touch()
    with pytest.raises(files.WriteError):
        files.check_writable(tmp_path / "old")
    assert names(tmp_path / "old") == ["config.yaml"]


def test_the_step_of_what_is_no_checkpoint(tmp_path: Path) -> None:
    assert step_of(tmp_path / "absent.ckpt") is None
    (tmp_path / "broken.ckpt").write_bytes(b"PK\x03\x04broken")
    assert step_of(tmp_path / "broken.ckpt") is None
