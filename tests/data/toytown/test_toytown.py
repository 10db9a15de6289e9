"""ToyTown: what is drawn follows from its key alone, is exact, and drives on without surprises."""

import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from uda_seg.config import build, shipped
from uda_seg.data.cache.cached_dataset import cached
from uda_seg.data.toytown import CLASSES, DOMAINS, ToyTown, draw, scene, sequence
from uda_seg.data.toytown.dataset import SPLITS
from uda_seg.errors import ConfigError

SMALL = (64, 128)
LENGTH = {"train": 4, "val": 3, "test": 2, "tune": 2}
CONF = Path(__file__).parents[3] / "conf"


@pytest.mark.parametrize("domain", DOMAINS)
def test_scene_follows_from_its_key_alone(domain):
    once = scene(3, 5, domain, SMALL)
    scene(3, 6, domain, SMALL)
    again = scene(3, 5, domain, SMALL)
    for a, b in zip(vars(once).values(), vars(again).values(), strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (scene(3, 6, domain, SMALL), scene(4, 5, domain, SMALL)):
        assert (other.label != once.label).mean() > 0.05


def test_another_process_draws_the_same():
    code = (
        "import zlib; from uda_seg.data.toytown import scene; "
        "p = scene(1, 2, 'toytown_camera', (64, 128)); "
        "print(zlib.crc32(p.image.tobytes()), zlib.crc32(p.label.tobytes()))"
    )
    environment = {"PYTHONHASHSEED": "5", "PYTHONPATH": ":".join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    ours = scene(1, 2, "toytown_camera", (64, 128))
    expected = [zlib.crc32(ours.image.tobytes()), zlib.crc32(ours.label.tobytes())]
    assert [int(number) for number in result.stdout.split()] == expected


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [(64, 128), (96, 96), (75, 131)])
def test_any_size_has_the_right_shapes_and_types(domain, size):
    picture = scene(0, 1, domain, size)
    assert picture.image.shape == (*size, 3)
    assert picture.image.dtype == np.uint8
    assert picture.label.shape == size
    assert picture.label.dtype == np.uint8
    assert picture.depth.shape == size
    assert picture.depth.dtype == np.float32
    assert set(np.unique(picture.label)) <= {*range(19), 255}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_class_covers_its_share(domain):
    """Enough of everything to be learnt at the size we train at."""
    counts = np.zeros(256)
    for index in range(40):
        counts += np.bincount(scene(0, index, domain).label.ravel(), minlength=256)
    share = counts / counts.sum()
    for identifier, name in enumerate(CLASSES):
        assert share[identifier] > 0.004, (name, share[identifier])
    assert share[255] < 0.01


@pytest.mark.parametrize("domain", DOMAINS)
def test_depth_of_the_road_is_the_ground_planes(domain):
    size = (128, 256)
    picture, street = draw(0, 4, domain, size, 0.0)
    mount, label = street.mount, picture.label
    rows = np.arange(size[0])[:, None] - (size[0] / 2 - 0.25)  # labels are taken a quarter up
    ray = np.broadcast_to(rows / (mount.focal * size[1]), size)
    down = np.cos(mount.pitch) * ray + np.sin(mount.pitch)  # per metre of depth
    ground = np.isin(label, [CLASSES.index(n) for n in ("road", "sidewalk", "terrain")])
    ground &= picture.depth < 60
    assert ground.mean() > 0.15
    # Half a pixel of the painter's buffer is all that a face may be wider than it is.
    np.testing.assert_allclose(picture.depth[ground], mount.height / down[ground], rtol=1e-3)


@pytest.mark.parametrize("domain", DOMAINS)
def test_depth_of_sky_and_things(domain):
    picture = scene(0, 2, domain)
    sky = picture.label == CLASSES.index("sky")
    assert sky.any()
    assert (picture.depth[sky] == 1000).all()
    assert picture.depth.min() >= 1
    assert picture.depth[~sky].max() < 200
    assert sky[: len(sky) // 2].sum() > sky[len(sky) // 2 :].sum()


def test_larger_pictures_show_the_same_scene():
    small, large = scene(0, 3, "toytown", (64, 128)), scene(0, 3, "toytown", (128, 256))
    assert (large.label[::2, ::2] == small.label).mean() > 0.9


def test_domains_look_apart_but_lay_out_alike():
    pictures = {d: [scene(0, i, d, SMALL) for i in range(24)] for d in DOMAINS}
    game, camera = (np.stack([p.image for p in pictures[d]]).astype(float) for d in DOMAINS)
    colorful = [np.ptp(images, axis=-1).mean() for images in (game, camera)]
    assert colorful[0] > 2 * colorful[1]
    means = camera.mean((1, 2, 3)).std(), game.mean((1, 2, 3)).std()
    assert means[0] > 1.5 * means[1]  # exposure varies
    shares = [
        np.bincount(np.stack([p.label for p in pictures[d]]).ravel(), minlength=256)[:19]
        for d in DOMAINS
    ]
    a, b = (share / share.sum() for share in shares)
    assert np.abs(a - b).sum() / 2 < 0.12  # total variation of the class shares


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_vanishes_while_driving(domain):
    """A vehicle or rider that is whole in a picture is there 0.2 m later, and what leaves at a
    side does so little by little."""
    sliver = 0.03 * SMALL[0] * SMALL[1]
    index = 4 + DOMAINS.index(domain)  # trams and buses pass the camera in both
    before: dict[tuple, tuple[int, bool]] = {}
    for step in range(120):
        position = 0.2 * step
        picture, street = draw(0, index, domain, SMALL, position)
        now, leaving = visible(picture, street), cut(picture, street)
        for key, (pixels, left) in before.items():
            few = pixels < (sliver if left else 25)
            assert few or key in now, (index, position, key, pixels)
        before = {key: (pixels, key in leaving) for key, pixels in now.items()}
    assert before


def visible(picture, street) -> dict[tuple, int]:
    owners, counts = np.unique(picture.owner[picture.owner > 0], return_counts=True)
    return {street.footprints[o - 1].key: int(n) for o, n in zip(owners, counts, strict=True)}


def cut(picture, street) -> set[tuple]:
    """Those that touch the picture's sides."""
    border = np.unique(picture.owner[:, [0, -1]])
    return {street.footprints[o - 1].key for o in border if o > 0}


@pytest.mark.parametrize("domain", DOMAINS)
def test_vehicles_neither_cross_each_other_nor_the_camera(domain):
    lane = 1.7
    for index in range(4):
        for position in np.arange(0, 150, 7.3):
            _, street = draw(0, index, domain, (16, 32), float(position))
            prints = street.footprints
            assert prints
            for k, a in enumerate(prints):
                ours = a.x0 < lane + 0.9 and a.x1 > lane - 0.9
                assert not (ours and a.s0 < position + 2 and a.s1 > position - 2), a
                for b in prints[k + 1 :]:
                    apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.s1 <= b.s0 or b.s1 <= a.s0
                    assert apart, (a, b)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_step_ahead_changes_little(domain):
    first, second, far = sequence(0, 1, domain, SMALL, (5.0, 5.05, 60.0))
    assert (first.label == second.label).mean() > 0.95
    assert (first.label == far.label).mean() < 0.9
    still = scene(0, 1, domain, SMALL, 5.0)
    np.testing.assert_array_equal(still.image, first.image)


def test_splits_hold_different_scenes():
    images = [
        ToyTown("toytown", split, LENGTH, SMALL, seed).read(i, {"image"}).image.tobytes()
        for seed in (0, 1)
        for split in SPLITS
        for i in range(LENGTH[split])
    ]
    assert len(set(images)) == len(images)


def test_reads_only_what_is_asked_for():
    dataset = ToyTown("toytown_camera", "val", LENGTH, list(SMALL), 0)
    assert len(dataset) == 3
    assert dataset.has_depth
    assert len(dataset.classes) == 19
    bare = dataset.read(1, {"image"})
    assert bare.label is None
    assert bare.depth is None
    full = dataset.read(1, {"image", "label", "depth"})
    assert full.label is not None
    assert full.depth is not None
    assert full.name == bare.name
    np.testing.assert_array_equal(bare.image, full.image)
    np.testing.assert_array_equal(full.label, scene(dataset.seed, 1, "toytown_camera", SMALL).label)


def test_memory_is_not_shared_with_the_caller():
    dataset = ToyTown("toytown", "test", LENGTH, SMALL, 0)
    spoilt = dataset.read(0, {"image", "label"})
    before = spoilt.image.copy()
    spoilt.image[:] = 0
    np.testing.assert_array_equal(dataset.read(0, {"image"}).image, before)


def test_drawn_once_and_bounded(monkeypatch):
    from uda_seg.data.toytown import dataset as module

    drawn = []
    monkeypatch.setattr(module, "_cache", type(module._cache)())
    monkeypatch.setattr(module, "_cached", 0)
    monkeypatch.setattr(module, "CACHE_BYTES", 2 * 4 * SMALL[0] * SMALL[1])  # two scenes
    monkeypatch.setattr(module, "scene", lambda *key: drawn.append(key) or scene(*key))
    dataset = ToyTown("toytown", "train", LENGTH, SMALL, 0)
    for index in (0, 1, 1, 0):
        dataset.read(index, {"image"})
    assert len(drawn) == 2
    dataset.read(2, {"image"})
    dataset.read(0, {"image"})
    assert len(drawn) == 4  # 0 had to make room


def test_mistakes_name_the_choices():
    with pytest.raises(ConfigError, match="toytown_camera"):
        ToyTown("toytwon", "train", LENGTH, SMALL, 0)
    with pytest.raises(ConfigError, match="train, val, test, tune"):
        ToyTown("toytown", "trian", LENGTH, SMALL, 0)
    with pytest.raises(ConfigError, match="toytown_camera"):
        scene(0, 0, "camera", SMALL)
    with pytest.raises(IndexError):
        ToyTown("toytown", "val", LENGTH, SMALL, 0).read(3, {"image"})


@pytest.mark.parametrize("role", ["source", "target"])
@pytest.mark.parametrize("domain", DOMAINS)
def test_configs_build_the_dataset_they_name(role, domain):
    node = shipped(role, domain)
    assert node["name"] == node["domain"] == domain
    for split in (node["train_split"], node["val_split"]):
        dataset = build(node, split=split)
        assert isinstance(dataset, ToyTown)
        assert len(dataset) == node["length"][split]
    assert node["_choices_"]["domain"] == list(DOMAINS)


@pytest.mark.parametrize("domain", DOMAINS)
def test_traffic_stays_as_dense_far_along(domain):
    """Both riders' strips and the lanes are as full after a long drive as at its start."""
    prints = []
    for position in (0.0, 400.0):
        streets = [draw(0, index, domain, (8, 16), position)[1] for index in range(12)]
        prints.append([f for street in streets for f in street.footprints])
    for low, high in ((-3.8, -3.0), (-3.0, -0.4), (0.4, 3.0), (3.0, 3.8)):
        counts = [sum(low < f.x0 and f.x1 < high for f in there) for there in prints]
        assert counts[0] > 12
        assert 0.5 < counts[1] / counts[0] < 2, (low, counts)


@pytest.mark.parametrize("kind", ["disk", "ram"])
def test_scenes_are_drawn_once(kind, tmp_path, monkeypatch):
    towns = {
        (domain, split, size, seed): ToyTown(domain, split, {"train": 1, "val": 1}, size, seed)
        for domain in ("toytown", "toytown_camera")
        for split in ("train", "val")
        for size in ((24, 32), (24, 40))
        for seed in (0, 1)
    }
    expected = {key: town.read(0, {"label"}) for key, town in towns.items()}
    kept = {key: cached(town, list(town.size), kind, str(tmp_path)) for key, town in towns.items()}
    for again in (False, True):
        if again:
            monkeypatch.setattr(ToyTown, "read", None)
        for key, dataset in kept.items():
            sample = dataset.read(0, {"label"})
            np.testing.assert_array_equal(sample.image, expected[key].image)
            np.testing.assert_array_equal(sample.label, expected[key].label)
    assert dataset.identity(0) is None  # which names files
