"""Superpixels: pieces of an image that stay its pieces, wherever they are kept and cropped."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from data.datasets.test_real import there

from uda_seg.batch import IGNORE, NO_SUPERPIXEL
from uda_seg.data.cache.cached_dataset import cached
from uda_seg.data.cache.slic import SLIC, Remembered, WithSuperpixels, members, with_superpixels
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.camvid import CamVid
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.feeding.transforms import Transform
from uda_seg.data.toytown import ToyTown, scene
from uda_seg.images import pictures
from uda_seg.images.scaling import resize_image

SIZE = [24, 32]
BOTH = {"image", "superpixels"}


def slic(segments: int = 20, compactness: float = 10.0) -> SLIC:
    return SLIC(segments, compactness, smoothing=0.5, iterations=4)


def edges(ids: np.ndarray) -> np.ndarray:
    black = np.zeros((*ids.shape, 3), np.uint8)
    return pictures.boundaries(black, ids).any(-1)


def toytown() -> ToyTown:
    return ToyTown("toytown_camera", "train", {"train": 3}, [32, 64], seed=0)


@pytest.mark.parametrize("size", [(64, 128), (37, 53), (8, 300)])
@pytest.mark.parametrize("segments", [1, 20, 100])
def test_ids_count_connected_pieces(size: tuple[int, int], segments: int) -> None:
    image = scene(0, 3, "toytown_camera", size).image
    ids = slic(segments)(image)
    assert ids.dtype == np.int32
    assert ids.shape == size
    assert np.unique(ids).tolist() == list(range(ids.max() + 1))
    assert segments / 3 <= ids.max() + 1 <= 3 * segments
    for number in range(ids.max() + 1):
        assert cv2.connectedComponents((ids == number).astype(np.uint8), connectivity=4)[0] == 2
    np.testing.assert_array_equal(slic(segments)(image.copy()), ids)


@pytest.mark.parametrize("value", [0, 255])
def test_an_image_of_one_color_is_divided_too(value: int) -> None:
    assert slic()(np.full((40, 60, 3), value, np.uint8)).max() > 5


def test_pieces_end_where_colors_do() -> None:
    image = np.full((60, 80, 3), 90, np.uint8)
    image[:, 33:] = (120, 100, 80)
    image[25:40, 50:71] = (60, 110, 140)
    areas = image.astype(int).sum(-1)
    ids = slic()(image)
    assert all(len(np.unique(areas[ids == number])) == 1 for number in range(ids.max() + 1))


def test_compactness_means_the_same_in_every_image() -> None:
    """The library would stretch the other half's faint colors when an image has no extremes."""
    image = np.clip(scene(0, 5, "toytown_camera", (64, 128)).image // 4 + 90, 0, 255)
    image = image.astype(np.uint8)
    extreme = image.copy()
    extreme[:4, :4], extreme[:4, 4:8] = 0, 255
    found, other = edges(slic(60)(image)), edges(slic(60)(extreme))
    np.testing.assert_array_equal(found[:, 64:], other[:, 64:])


@pytest.mark.parametrize("cache", ["none", "disk", "ram"])
@pytest.mark.parametrize("size", [SIZE, None])
def test_they_are_of_the_resized_image_and_made_once(
    camvid: Path, tmp_path: Path, cache: str, size: list | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, root = CamVid(str(camvid), "train"), str(tmp_path / "kept")
    dataset = with_superpixels(cached(plain, size, cache, root), size, root, slic())
    image = plain.read(1, set()).image
    expected = slic()(resize_image(image, size) if size else image)
    sample = dataset.read(1, {*BOTH, "label"})
    np.testing.assert_array_equal(sample.superpixels, expected)
    assert sample.superpixels is not None
    assert sample.superpixels.dtype == np.int32
    assert sample.label is not None
    assert dataset.read(1, {"image"}).superpixels is None
    shelves = {path.parts[-3].partition("_")[0] for path in Path(root).rglob("*.bin")}
    own = {"none": {"superpixels"}, "disk": {"image", "label", "superpixels"}, "ram": set()}
    assert shelves == own[cache]
    monkeypatch.setattr(SLIC, "__call__", refuse)
    np.testing.assert_array_equal(dataset.read(1, BOTH).superpixels, expected)


def refuse(*_: object) -> None:
    raise AssertionError("made again")


def test_other_settings_are_other_superpixels(camvid: Path, tmp_path: Path) -> None:
    plain, root = CamVid(str(camvid), "train"), str(tmp_path / "kept")
    one = with_superpixels(plain, SIZE, root, slic(20))
    one.read(0, BOTH)
    for other, size in ((slic(6), SIZE), (slic(20, 40.0), SIZE), (slic(20), None)):
        (member,) = members(with_superpixels(plain, size, root, other))
        assert member.lacking() == [0, 1, 2]
    (member,) = members(with_superpixels(plain, SIZE, root, SLIC(20, 10, 0.5, 4)))
    assert member.lacking() == [1, 2]


def test_of_drawn_scenes_they_are_made_once_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = with_superpixels(toytown(), None, str(tmp_path / "kept"), slic())
    expected = [slic()(toytown().read(index, set()).image) for index in range(3)]
    for turn in range(2):
        for index in (2, 0, 1):
            np.testing.assert_array_equal(dataset.read(index, BOTH).superpixels, expected[index])
        if not turn:
            monkeypatch.setattr(SLIC, "__call__", refuse)
    assert not (tmp_path / "kept").exists()
    assert members(dataset)[0].lacking() == []
    assert isinstance(members(dataset)[0].kept, Remembered)


def test_members_of_several_share_entries_with_themselves(camvid: Path, tmp_path: Path) -> None:
    plain, root = CamVid(str(camvid), "train"), str(tmp_path / "kept")
    alone = with_superpixels(plain, SIZE, root, slic()).read(2, BOTH).superpixels
    both: Dataset = MergedDataset({"toytown": toytown(), "camvid": plain}, None)
    whole = with_superpixels(both, SIZE, root, slic())
    assert [member.lacking() for member in members(whole)] == [[], [0, 1]]
    np.testing.assert_array_equal(whole.read(5, BOTH).superpixels, alone)
    assert whole.read(0, BOTH).superpixels is not None
    assert isinstance(both.datasets["camvid"], CamVid)  # the other one is as it was


def test_they_move_with_the_image() -> None:
    ids = np.arange(6 * 8).reshape(6, 8).repeat(10, 0).repeat(10, 1).astype(np.int32)
    image = np.repeat((5 * ids)[..., None], 3, -1).astype(np.uint8)
    transform = Transform(None, [0.5, 1.5], [48, 64], True, 0.0)
    padded = mirrored = 0
    for seed in range(12):
        out = transform(image, np.random.default_rng(seed), superpixels=ids, label=image[..., 0])
        found = out["superpixels"]
        assert found.dtype == np.int32
        inside = found != NO_SUPERPIXEL
        np.testing.assert_array_equal(inside, out["label"] != IGNORE)
        same = np.abs(out["image"][..., 0].astype(int) - 5 * found)[inside] <= 2
        assert same.mean() > 0.75  # what is not lies at an edge, where bicubic filters mix
        padded += not inside.all()
        mirrored += out["window"][0] > out["window"][2]
    assert padded
    assert 0 < mirrored < 12


def test_a_map_of_the_resized_image_fits_an_image_that_is_not_resized_yet() -> None:
    image = scene(0, 1, "toytown_camera", (48, 64)).image
    ids = slic()(resize_image(image, SIZE))
    out = Transform(SIZE, None, None, False, 0.0)(image, np.random.default_rng(0), superpixels=ids)
    np.testing.assert_array_equal(out["superpixels"], ids)


def test_boundaries_are_drawn_where_regions_meet() -> None:
    ids = np.array([[0, 0, 1], [0, 0, 1], [2, 2, 2]])
    line = edges(ids)
    assert line.tolist() == [[False, True, False], [True, True, True], [False, False, False]]
    grey = np.full((3, 3, 3), 7, np.uint8)
    drawn = pictures.boundaries(grey, ids)
    assert (drawn[line] == pictures.BOUNDARY).all()
    assert (drawn[~line] == 7).all()


@pytest.mark.real
def test_superpixels_of_genuine_streets_keep_classes_apart() -> None:
    dataset = CamVid(str(there("camvid")), "val")
    shares = []
    for index in range(0, len(dataset), 25):
        sample = dataset.read(index, {"label"})
        assert sample.label is not None
        ids, known = SLIC(768, 10.0, 0.5, 4)(sample.image), sample.label != 11
        assert 600 < ids.max() + 1 < 900
        kept = sum(
            np.bincount(sample.label[known & (ids == n)]).max() for n in np.unique(ids[known])
        )
        shares.append(kept / known.sum())
    assert np.mean(shares) > 0.94  # 0.956 over twelve images, benchmarks/superpixels.py


def test_it_pickles_for_processes_that_are_spawned(camvid: Path, tmp_path: Path) -> None:
    dataset = with_superpixels(CamVid(str(camvid), "train"), SIZE, str(tmp_path / "kept"), slic())
    copy = pickle.loads(pickle.dumps(dataset))
    assert isinstance(copy, WithSuperpixels)
    np.testing.assert_array_equal(copy.read(0, BOTH).superpixels, dataset.read(0, BOTH).superpixels)
