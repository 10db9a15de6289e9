"""Bytes under an address, on disk and in memory that processes share."""

import os
from pathlib import Path

import numpy as np
import pytest

from uda_seg.data.cache import stores
from uda_seg.data.cache.stores import Address, Disk, Memory, Store


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return Disk(tmp_path / "kept")
    return Memory(2, ("image", "label"), need=100, most=1000)


def address(index: int = 0, kind: str = "image", digest: int = 7) -> Address:
    return Address(index, kind, f"CamVid/{kind}_44x30", bytes([digest] * 32))


def test_entries_are_told_apart_by_place_kind_and_digest(store: Store) -> None:
    places = [address(0), address(1, digest=8), address(1, "label")]
    for number, place in enumerate(places):
        assert store.load(place) is None
        store.save(place, [np.full(3, number, np.uint8), np.full(2, 9, np.uint8)])
    for number, place in enumerate(places):
        entry = store.load(place)
        assert entry is not None
        assert entry.tolist() == [number] * 3 + [9] * 2
        entry[:] = 99  # the caller's own
    assert store.load(places[0]) is not None
    assert store.has(places[0])
    assert not store.has(address(0, digest=6))
    again = store.load(places[0])
    assert again is not None
    assert again[0] == 0
    store.remove(places[1])
    assert [store.has(place) for place in places] == [True, False, True]


def test_only_old_remains_are_swept(tmp_path: Path) -> None:
    store = stores.Disk(tmp_path / "kept")
    for name in ("old", "new"):
        part = tmp_path / f"kept/CamVid/image_44x30/ab/{name}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    os.utime(part.with_name("old.part"), (1, 1))
    store.sweep()
    assert [p.name for p in tmp_path.rglob("*.part")] == ["new.part"]


def test_a_container_has_less_than_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = {"max": "1000", "current": "700", "stat": "anon 5\ninactive_file 200\n"}
    known = stores._numbers

    def numbers(path: Path) -> dict[str, int]:
        name = path.name.removeprefix("memory.")
        if name in lines:
            (tmp_path / name).write_text(lines[name])
            return known(tmp_path / name)
        return {"MemAvailable:": 10}

    monkeypatch.setattr(stores, "_numbers", numbers)
    assert stores.free_memory() == 500
    lines["max"] = "max"
    assert stores.free_memory() == 10240
