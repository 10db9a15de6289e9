"""Rare-class sampling: whom it draws, and that a sample is a function of seed and place."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import compose, write_camvid
from PIL import Image

from uda_seg.data.checking.statistics import ClassStatistics
from uda_seg.data.feeding.rare_classes import RareClasses
from uda_seg.data.feeding.streams import Loader, TrainingPairs, collate_pairs
from uda_seg.errors import ConfigError, DataError
from uda_seg.training.setup import make_data_module

FEW = "{temperature: 0.01, pixels: 100, ratio: 0.5, tries: 10}"
SETTINGS = {"temperature": 0.01, "pixels": 3000, "ratio": 0.5, "tries": 10}


def statistics(*rows: list[int]) -> ClassStatistics:
    names = tuple("abcdefghijklmnopqrs"[: len(rows[0])])
    return ClassStatistics(names, np.array(rows, np.int64))


@pytest.mark.parametrize(
    ("counts", "temperature", "expected"),
    [
        ([600, 300, 90, 10], 0.01, [0.000000, 0.000000, 0.000335, 0.999665]),
        ([600, 300, 90, 10], 0.05, [0.000006, 0.002513, 0.167558, 0.829923]),
        ([600, 300, 90, 10], 0.1, [0.001818, 0.036510, 0.298143, 0.663530]),
        ([600, 300, 90, 10], 1, [0.171847, 0.231969, 0.286175, 0.310010]),
        ([9000, 900, 90, 10], 0.01, [0.000000, 0.000094, 0.309996, 0.689910]),
        ([9000, 900, 90, 10], 0.05, [0.000000, 0.083452, 0.421690, 0.494858]),
    ],
)
def test_chances_of_the_design(counts: list[int], temperature: float, expected: list[int]) -> None:
    settings = SETTINGS | {"temperature": temperature, "pixels": 0}
    chances = RareClasses(statistics(counts), settings).chances
    assert chances == pytest.approx(expected, abs=1e-6)


SYNTHIA = {  # T 0.01, T 0.05, share of pixels, of those whose chance at T 0.05 has three digits
    "light": (0.1544, 0.1046, 0.0004), "sign": (0.1443, 0.1032, 0.0011),
    "motorcycle": (0.1305, 0.1011, 0.0021), "bicycle": (0.1297, 0.1010, 0.0022),
    "wall": (0.1234, 0.1000, 0.0027), "fence": (0.1221, 0.0998, 0.0028),
    "rider": (0.0990, 0.0957, 0.0049), "pole": (0.0548, 0.0850, 0.011),
    "bus": (0.0375, 0.0788, 0.015), "car": (0.0023, 0.0450, 0.043),
    "person": (0.0020, 0.0436, 0.044), "sky": (0.0001, 0.0252, 0.072),
}  # fmt: skip
LARGE = {"building": 0.303, "sidewalk": 0.203, "road": 0.186, "vegetation": 0.107}


def test_chances_on_synthia() -> None:
    """Shares are printed with few digits; the chances at T 0.05 tell them better: f = k - T ln P.
    What they are then at T 0.01 was printed too.
    """
    logs = {name: -0.05 * np.log(warm) for name, (_, warm, _) in SYNTHIA.items()}
    shift = (1 - sum(LARGE.values()) - sum(logs.values())) / len(logs)
    shares = {name: log + shift for name, log in logs.items()} | LARGE
    for name, (_, _, printed) in SYNTHIA.items():
        assert shares[name] == pytest.approx(printed, abs=6e-4), name
    pixels = np.round(np.array([list(shares.values())]) * 1e9).astype(np.int64)
    counted = ClassStatistics(tuple(shares), pixels)
    for place, temperature in enumerate((0.01, 0.05)):
        chances = RareClasses(counted, SETTINGS | {"temperature": temperature}).chances
        for name, chance in zip(shares, chances, strict=True):
            expected = SYNTHIA[name][place] if name in SYNTHIA else None
            if expected is not None:
                assert chance == pytest.approx(expected, abs=6e-4), (name, temperature)
            else:
                assert chance < (5e-5 if temperature == 0.01 else 0.0125), name


def test_images_that_hold_more_than_the_floor() -> None:
    rare = RareClasses(
        statistics([3000, 9000], [3001, 0], [9000, 0]), SETTINGS | {"temperature": 1}
    )
    drawn = [rare.draw(np.random.default_rng(seed)) for seed in range(40)]
    assert {choice.index for choice in drawn if choice.label == 0} == {1, 2}
    assert {choice.index for choice in drawn if choice.label == 1} <= {0}
    label = np.zeros((50, 60), np.uint8)
    label[:25] = 1
    choice = drawn[0]
    assert not choice.is_met(label[:50]), "1500 pixels are not more than 1500"
    label[25, :1] = choice.label
    assert choice.is_met(label) == (int((label == choice.label).sum()) > 1500)


def test_classes_that_can_be_drawn_share_all_chances_at_any_temperature() -> None:
    """The rarest one cannot be: at this temperature the others would have none beside it."""
    rare = RareClasses(statistics([9000, 7000, 10]), SETTINGS | {"temperature": 1e-5})
    assert rare.chances.tolist() == [0, 1, 0]


def test_a_floor_below_one_is_a_share() -> None:
    settings = SETTINGS | {"pixels": 0.1, "ratio": 2}
    rare = RareClasses(statistics([11, 89], [10, 90], [60, 40]), settings)
    assert [list(holders) for holders in rare.holders] == [[0, 2], [0, 1, 2]]
    choice = rare.draw(np.random.default_rng(0))
    label = np.full((10, 10), 1 - choice.label, np.uint8)
    label[:2] = choice.label
    assert not choice.is_met(label)
    label[2, 0] = choice.label
    assert choice.is_met(label)


def test_classes_of_which_no_image_holds_enough(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        rare = RareClasses(statistics([9000, 10, 0], [4000, 20, 0]), SETTINGS)
    assert "no image holds more than that of b; none is drawn" in caplog.text
    assert rare.chances.tolist() == [1, 0, 0]
    with pytest.raises(
        ConfigError, match=r"rare_classes\.pixels=3000: no image holds more than that of any class"
    ):
        RareClasses(statistics([10, 20]), SETTINGS)


def test_draws_follow_the_chances() -> None:
    rare = RareClasses(
        statistics([600, 300, 90], [600, 310, 0], [600, 0, 0]),
        SETTINGS | {"temperature": 0.5, "pixels": 1},
    )
    drawn = [rare.draw(np.random.default_rng((0, place))) for place in range(3000)]
    labels = np.bincount([choice.label for choice in drawn], minlength=3) / len(drawn)
    assert labels == pytest.approx(rare.chances, abs=0.03)
    for label, holders in enumerate(([0, 1, 2], [0, 1], [0])):
        images = np.array([choice.index for choice in drawn if choice.label == label])
        shares = np.bincount(images, minlength=3) / len(images)
        assert shares[holders] == pytest.approx(1 / len(holders), abs=0.07)


@pytest.fixture
def corner(tmp_path: Path) -> Path:
    """CamVid with buildings all over, but for one image with a small car in its corner."""
    root = write_camvid(tmp_path / "camvid", count=4, size=(96, 128))
    for path in (root / "trainannot").iterdir():
        label = np.ones((96, 128), np.uint8)
        if path.stem == "002":
            label[70:, 100:] = 8
        Image.fromarray(label).save(path)
    return root


def module(root: Path, tmp_path: Path, *words: str) -> Any:
    overrides = [
        "target=camvid", "backbone=tiny",
        f"target.root={root}", f"cache_root={tmp_path / 'kept'}", f"rare_classes={FEW}",
        "target.size=[96,128]", "source.augment.crop=[48,48]",
    ]  # fmt: skip
    if not any(word.startswith("method=") for word in words):
        overrides.append("method=source_only")
    if not any(word.startswith("source=") for word in words):
        overrides += ["source=camvid", f"source.root={root}", "source.size=[96,128]"]
    return make_data_module(compose("train", [*overrides, *words]), tmp_path)


def test_crops_show_the_class_that_they_were_drawn_for(corner: Path, tmp_path: Path) -> None:
    source = module(corner, tmp_path).source
    car = list(module(corner, tmp_path).space.classes).index("car")
    held = [int((source[place]["label"] == car).sum()) for place in range(30)]
    # A random crop of one image in four would do so in one of thirty.
    assert sum(pixels > 50 for pixels in held) >= 20


def test_a_sample_is_a_function_of_seed_and_place(corner: Path, tmp_path: Path) -> None:
    one, two = (module(corner, tmp_path).source for _ in range(2))
    list(map(one.__getitem__, range(7)))
    for place in (3, 11, 6):
        for name, value in one[place].items():
            assert torch.equal(value, two[place][name]), name
    other = module(corner, tmp_path, "seed=1").source
    assert any(not torch.equal(one[p]["image"], other[p]["image"]) for p in range(4))


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_samples_from_a_cache_are_the_same(cache: str, corner: Path, tmp_path: Path) -> None:
    read = module(corner, tmp_path).source
    kept = module(corner, tmp_path, f"cache={cache}").source
    for place in (0, 1, 2, 1):
        for name, value in read[place].items():
            assert torch.equal(value, kept[place][name]), name


def test_workers_draw_what_one_process_draws(corner: Path, tmp_path: Path) -> None:
    source = module(corner, tmp_path).source
    places = [[0, 1], [2, 3], [4, 5]]
    loader = Loader(TrainingPairs(source, None), collate_pairs, batch_sampler=places, num_workers=2)
    for batch, both in zip(loader, places, strict=True):
        for image, place in zip(batch.source.image, both, strict=True):
            assert torch.equal(image, source[place]["image"])


def test_an_image_that_cannot_be_read_is_told_before_training(corner: Path, tmp_path: Path) -> None:
    """It would never be drawn, and so never met."""
    write_camvid(corner, count=40, size=(96, 128))
    bad = corner / "trainannot" / "007.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"007\.png"):
        module(corner, tmp_path)
    skipping = module(corner, tmp_path, "on_bad_image=skip").source
    assert 7 not in np.concatenate(skipping.rare_classes.holders)
    assert "007.png" in (tmp_path / "bad_images_source.txt").read_text()
    skipping.bad_images.met = lambda *_: pytest.fail("met while training")
    list(map(skipping.__getitem__, range(20)))


def test_the_oracles_images_are_drawn_by_the_targets_labels(corner: Path, tmp_path: Path) -> None:
    others = write_camvid(tmp_path / "others", count=2, size=(96, 128))
    words = ["method=target_only", f"source.root={others}", "target.augment.crop=[48,48]"]
    data = module(corner, tmp_path, *words)
    car = list(data.space.classes).index("car")
    assert list(data.source.rare_classes.holders[car]) == [2]
    held = [int((data.source[place]["label"] == car).sum()) for place in range(10)]
    assert sum(pixels > 50 for pixels in held) >= 6


def test_several_sources_are_drawn_from_as_one(corner: Path, tmp_path: Path) -> None:
    words = [
        "source=[camvid,toytown]", "source.like=camvid", f"source.datasets.camvid.root={corner}",
        "source.datasets.toytown.length.train=3", "source.datasets.toytown.size=[96,128]",
    ]  # fmt: skip
    data = module(corner, tmp_path, *words)
    holders = data.source.rare_classes.holders
    names = {data.source.dataset.name(i).partition("/")[0] for i in np.concatenate(holders)}
    assert names == {"camvid", "toytown"}
    car = list(data.space.classes).index("car")
    assert 2 in holders[car], "CamVid's, in the corner"


def test_drawn_scenes_are_a_source(tmp_path: Path) -> None:
    words = [
        "source=toytown",
        "source.length.train=6",
        "source.size=[64,128]",
        "source.augment.crop=[32,32]",
    ]
    words += ["target=toytown_camera", "target.size=[64,128]", "cache_root=kept"]
    words += ["backbone=tiny", "method=source_only", f"rare_classes={FEW}"]
    data = make_data_module(compose("train", words), tmp_path)
    held = [
        (choice, data.source.sample(choice.index, place, choice)["label"].numpy())
        for place in range(12)
        for choice in [data.source.rare_classes.draw(np.random.default_rng(place))]
    ]
    assert sum(choice.is_met(label) for choice, label in held) >= 8


def test_without_it_nothing_changes(corner: Path, tmp_path: Path) -> None:
    plain = module(corner, tmp_path, "rare_classes=null").source
    assert plain.rare_classes is None
    indices = [plain._choose(place)[1] for place in range(4)]
    assert sorted(indices) == [0, 1, 2, 3]


def test_both_rules_hold_together(corner: Path, tmp_path: Path) -> None:
    """As VFM-UDA asks of a crop: enough of the class, and no class all over it."""
    words = ["source.augment.largest_class=0.75", "source.augment.crop=[32,32]"]
    source = module(corner, tmp_path, *words).source
    places = [p for p in range(60) if source._choose(p)[0].index == 2][:30]
    crops = [(source._choose(place)[0], source[place]["label"].numpy()) for place in places]
    fine = [
        choice.is_met(label)
        and np.bincount(label[label != 255]).max() < 0.75 * (label != 255).sum()
        for choice, label in crops
        if choice.label != source.rare_classes.chances.argmin()
    ]
    assert len(fine) >= 10
    assert np.mean(fine) > 0.5
