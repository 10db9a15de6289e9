"""`cache=auto`: as many samples in memory as it has room for."""

from pathlib import Path

import pytest

from uda_seg.data.cache import cached_dataset, stores
from uda_seg.data.cache.cached_dataset import Cached, cached
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.errors import ConfigError

SIZE = [30, 44]


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "kept")


def fill(kept: Dataset) -> list[float]:
    both = {"image", "label"}
    return [float(kept.read(i, both).image.mean()) for i in range(len(kept)) for _ in range(3)]


@pytest.mark.parametrize("entries", [0, 2, 100])
def test_auto_keeps_what_memory_has_room_for_and_reads_the_rest(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    plain, room = CamVid(str(camvid), "train"), [entries]

    def free() -> int:
        room[0] -= 1
        return 10 * stores.SPARE if room[0] >= 0 else 2 * stores.SPARE - 1

    monkeypatch.setattr(cached_dataset, "free_memory", lambda: 10 * stores.SPARE)
    expected = fill(cached(plain, SIZE, "ram", root))
    kept = cached(plain, SIZE, "auto", root)
    assert isinstance(kept, Cached)
    assert isinstance(kept.store, stores.Memory)
    monkeypatch.setattr(stores, "free_memory", free)  # a fifth of it is left to training
    assert fill(kept) == fill(kept) == expected
    found = [i for i in range(len(plain)) if not kept.lacks(i, {"image"})]
    assert len(found) == min((entries + 1) // 2, len(plain))  # an image and its label each


def test_auto_is_no_reason_to_stop(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise ConfigError("the system refuses")

    plain = CamVid(str(camvid), "train")
    monkeypatch.setattr(stores, "_memory", refused)
    assert cached(plain, SIZE, "auto", root) is plain
    with pytest.raises(ConfigError, match="refuses"):
        cached(plain, SIZE, "ram", root)
