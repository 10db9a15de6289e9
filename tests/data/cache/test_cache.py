"""What is kept is what would have been read: never stale, never damaged, never half-written."""

import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from conftest import write_camvid
from PIL import Image

from uda_seg.data.cache import cached_dataset, stores
from uda_seg.data.cache.cached_dataset import Cached, cached
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.feeding.transforms import Transform
from uda_seg.data.toytown import ToyTown
from uda_seg.errors import ConfigError, DataError

SIZE = [30, 44]
BOTH = {"image", "label"}


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "kept")


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a file of the dataset was opened")

    monkeypatch.setattr(CamVid, "read", refuse)


@pytest.mark.parametrize("kind", ["disk", "ram", "auto"])
@pytest.mark.parametrize("size", [SIZE, None])
@pytest.mark.parametrize("augmented", [True, False])
def test_a_transform_gives_the_same_bits_with_and_without(
    camvid: Path,
    root: str,
    kind: str,
    size: list | None,
    augmented: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = CamVid(str(camvid), "train")
    transform = Transform(size, None, *(([24, 24], True, 0.3) if augmented else (None, False, 0)))
    expected = []
    for index in range(3):
        sample = plain.read(index, BOTH)
        chance = np.random.default_rng(index)
        expected.append(transform(sample.image, chance, label=sample.label))
    kept = cached(plain, size, kind, root)
    for turn in range(2):
        for index in range(3):
            sample = kept.read(index, BOTH)
            item = transform(sample.image, np.random.default_rng(index), label=sample.label)
            assert sample.name == plain.name(index)
            for name, array in expected[index].items():
                np.testing.assert_array_equal(item[name], array)
        if not turn:
            no_reading(monkeypatch)


def test_for_scoring_labels_keep_their_own_size(camvid: Path, root: str) -> None:
    plain = CamVid(str(camvid), "val")
    label = plain.read(0, BOTH).label
    kept = cached(plain, SIZE, "disk", root, own_labels=True)
    for _ in range(2):
        sample = kept.read(0, BOTH)
        assert sample.image.shape == (*SIZE, 3)
        np.testing.assert_array_equal(sample.label, label)
    again = cached(plain, SIZE, "disk", root).read(0, BOTH).label
    assert again is not None
    assert again.shape == tuple(SIZE)


def test_depth_is_kept_to_the_last_bit(root: str) -> None:
    class Town(ToyTown):
        def identity(self, index: int) -> str:
            return str(index)

    town = Town("toytown", "val", {"val": 1}, [40, 60], 0)
    depth = town.read(0, {"depth"}).depth
    for kind in ("disk", "ram"):
        kept = cached(town, None, kind, root)
        for _ in range(2):
            np.testing.assert_array_equal(kept.read(0, {"depth"}).depth, depth)
        assert cached(town, [20, 30], kind, root).read(0, {"depth"}).depth.shape == (20, 30)


def test_the_wrapper_says_what_its_dataset_says(camvid: Path, root: str) -> None:
    plain = CamVid(str(camvid), "train")
    plain.has_labels = False
    (camvid / "trainannot/001.png").unlink()
    kept = cached(plain, SIZE, "disk", root)
    assert isinstance(kept, Cached)
    assert len(kept) == len(plain)
    assert list(kept.missing(BOTH)) == list(plain.missing(BOTH)) != []
    for field in ("classes", "void", "own_names", "has_labels", "has_depth"):
        assert getattr(kept, field) == getattr(plain, field)
    for method in (Dataset.name, Dataset.identity):
        name = method.__name__
        assert getattr(kept, name)(1) == getattr(plain, name)(1)


def test_a_dataset_without_identity_or_a_cache_of_none_is_passed_through(
    camvid: Path, root: str
) -> None:
    class Town(ToyTown):
        def recipe(self, index: int) -> None:
            return None

    town = Town("toytown", "val", {"val": 1}, [40, 60], 0)
    assert cached(town, SIZE, "disk", root) is town
    plain = CamVid(str(camvid), "train")
    assert cached(plain, SIZE, "none", root) is plain
    assert not Path(root).exists()


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_a_changed_file_is_read_anew(camvid: Path, root: str, kind: str) -> None:
    kept = cached(CamVid(str(camvid), "train"), None, kind, root)
    kept.read(0, BOTH)
    Image.new("RGB", (64, 48), (1, 2, 3)).save(camvid / "train/000.png")
    os.utime(camvid / "train/000.png", (1, 1))
    assert kept.read(0, BOTH).image[5, 5].tolist() == [1, 2, 3]


def test_only_what_is_asked_for_is_opened_and_kept(camvid: Path, root: str) -> None:
    shutil.rmtree(camvid / "trainannot")
    kept = cached(CamVid(str(camvid), "train"), SIZE, "disk", root)
    assert kept.read(0, {"image"}).label is None
    with pytest.raises(DataError, match=r"has no label at"):
        kept.read(0, BOTH)
    assert [path.name for path in Path(root, "CamVid").iterdir()] == ["image_44x30"]


@pytest.mark.parametrize("damage", ["cut", "zeros", "one bit", "empty", "header", "magic"])
@pytest.mark.parametrize("what", ["image", "label"])
def test_a_damaged_entry_is_noticed_and_made_anew(
    camvid: Path, root: str, damage: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "disk", root)
    before = kept.read(0, BOTH)
    path = next(Path(root, "CamVid", f"{what}_44x30").rglob("*.bin"))
    code = bytearray(path.read_bytes())
    whole = bytes(code)
    if damage == "cut":
        code = code[:-9]
    elif damage == "zeros":
        code[64:] = bytes(len(code) - 64)
    elif damage == "one bit":
        code[-1] ^= 4
    elif damage == "empty":
        code.clear()
    else:
        code[0 if damage == "magic" else 16] ^= 1
    path.write_bytes(code)
    after = kept.read(0, BOTH)
    np.testing.assert_array_equal(after.image, before.image)
    np.testing.assert_array_equal(after.label, before.label)
    assert path.read_bytes() == whole
    assert "train/000.png is damaged" in caplog.text


def test_a_killed_write_leaves_no_entry(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "disk", root)

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", kill)
        with pytest.raises(KeyboardInterrupt):
            kept.read(0, {"image"})
    assert not [path for path in Path(root).rglob("*") if path.is_file()]
    kept.read(0, {"image"})
    assert len(list(Path(root).rglob("*.bin"))) == 1


def fill(kept: Dataset) -> list[float]:
    return [float(kept.read(i, BOTH).image.mean()) for i in range(len(kept)) for _ in range(3)]


def test_several_processes_fill_one_folder(tmp_path: Path, root: str) -> None:
    plain = CamVid(str(write_camvid(tmp_path / "camvid", count=8)), "train")
    with ProcessPoolExecutor(4, get_context("fork")) as pool:
        means = list(pool.map(fill, [cached(plain, SIZE, "disk", root)] * 4))
    assert all(mean == means[0] for mean in means)
    assert len(list(Path(root).rglob("*.bin"))) == 16
    assert not list(Path(root).rglob("*.part"))


def test_memory_is_shared_with_forked_processes(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "ram", root)
    process = get_context("fork").Process(target=fill, args=(kept,))
    process.start()
    process.join()
    no_reading(monkeypatch)
    assert len(fill(kept)) == 9
    assert not Path(root).exists()


def test_what_is_spawned_gets_memory_of_its_own(camvid: Path, root: str) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "ram", root)
    fill(kept)
    other = pickle.loads(pickle.dumps(kept))
    assert other.store.held() == 0
    assert fill(other) == fill(kept)


def test_memory_that_does_not_fit_is_refused_before_anything_is_read(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = CamVid(str(camvid), "train")
    need = 3 * 3 * 100 * 200
    monkeypatch.setattr(stores, "free_memory", lambda: stores.SPARE + need)
    first = cached(plain, [100, 200], "ram", root)
    with pytest.raises(ConfigError, match=r"cache=ram: 3 images need .*cache=disk"):
        cached(plain, [100, 200], "ram", root)  # the first will fill what is free now
    fill(first)
    cached(plain, [100, 200], "ram", root)


def test_full_memory_is_told_once_and_reading_goes_on(
    camvid: Path, root: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "ram", root)
    monkeypatch.setattr(stores, "free_memory", lambda: 1)
    assert len(fill(kept)) == 9
    assert caplog.text.count("memory is full") == 1


def test_a_full_disk_and_a_wrong_folder_name_the_cure(
    camvid: Path, tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = CamVid(str(camvid), "train")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cache_root=.*file/kept: .*cache=none"):
        cached(plain, SIZE, "disk", str(tmp_path / "file/kept"))
    with pytest.raises(ConfigError, match="lies inside the dataset's folder"):
        cached(plain, SIZE, "disk", str(camvid / "kept"))
    kept = cached(plain, SIZE, "disk", root)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DataError, match=r"kept: cannot be written \(No space left.*cache=none"):
        kept.read(0, {"image"})
    assert not list(Path(root).rglob("*.part"))


def test_other_results_are_worked_out_once(camvid: Path, root: str) -> None:
    kept = cached(CamVid(str(camvid), "train"), SIZE, "disk", root)
    assert isinstance(kept, Cached)
    segments = np.arange(30 * 44, dtype=np.int32).reshape(30, 44)
    made: list[str] = []

    def result(method: str) -> np.ndarray:
        def make() -> np.ndarray:
            made.append(method)
            return segments

        return kept.keep(0, "superpixels", method, make)

    for method in ("slic 100", "slic 100", "slic 200"):
        np.testing.assert_array_equal(result(method), segments)
    assert made == ["slic 100", "slic 200"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float16, np.float32])
@pytest.mark.parametrize("shape", [(3,), (5, 7), (3, 5, 7), (2, 3, 4, 5)])
def test_arrays_come_back_as_they_were(dtype: type, shape: tuple) -> None:
    array = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    for compress in (True, False):
        back = cached_dataset.unpack(np.concatenate(cached_dataset.pack(array, compress)))
        assert back is not None
        assert back.dtype == array.dtype
        assert back.flags.writeable
        np.testing.assert_array_equal(back, array)
