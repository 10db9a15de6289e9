"""Fewer processes where shared memory or open files do not do for all; and why."""

import pytest
import torch

from uda_seg.batch import Batch, Source, Target
from uda_seg.data.feeding import worker_room
from uda_seg.data.feeding.worker_room import workers_with_room

BYTES = torch.empty(2**20, dtype=torch.uint8)
BATCH = Batch(Source(BYTES, BYTES, BYTES), Target(BYTES))
"""Four tensors, 4 MB."""


@pytest.mark.parametrize(
    ("megabytes", "files", "ranks", "found", "words"),
    [
        (1000, 1000, 1, 8, ""),
        (None, None, 1, 8, ""),
        (64, 1000, 1, 3, "workers=8: their batches need 132 MB of shared memory, .* 64 MB free; 3"),
        (64, 1000, 4, 0, r"need 528 MB of shared .* 0 are started \(docker run --shm-size=1g"),
        (1000, 256, 1, 3, "workers=8: their batches need 332 open files, .* have 256; 3 are"),
        (1000, 100, 1, 0, "open files"),
    ],
)
def test_as_many_as_there_is_room_for(
    megabytes, files, ranks, found, words, monkeypatch, caplog
) -> None:
    free = megabytes and megabytes * 2**20
    monkeypatch.setattr(worker_room, "free_memory", lambda: free)
    monkeypatch.setattr(worker_room, "open_files", lambda needed: files)
    assert workers_with_room(8, BATCH, 4, ranks) == found
    assert bool(caplog.text) == bool(words)
    if words:
        import re

        assert re.search(words, " ".join(caplog.text.split()))


def test_a_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch) -> None:
    resource = pytest.importorskip("resource")
    limits = [(256, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: limits.append(new))
    assert worker_room.open_files(1000) == 1000
    assert worker_room.open_files(9000) == 4096
    assert limits[1:] == [(1000, 4096), (4096, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert worker_room.open_files(1000) is None


def test_a_killed_worker_is_explained_in_one_line(tmp_path) -> None:
    torchs = (
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that the "
        "dataloader is out of shared memory. Please try to raise your shared memory limit."
    )
    words = worker_room.worker_words(torchs, tmp_path)
    assert words.startswith("DataLoader worker (pid 7) is killed by signal: Bus error: memory ran")
    assert words.endswith("fewer trainer.workers need less")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert worker_room.worker_words(torchs, tmp_path).endswith(f"resume={tmp_path}")
