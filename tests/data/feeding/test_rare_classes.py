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
from uda_seg.data.feeding.transforms import Transform
from uda_seg.errors import ConfigError
from uda_seg.training.setup import make_data_module

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


def test_chances_on_synthia() -> None:
    """From the shares as printed, three digits of which allow two of a chance."""
    shares = {
        "building": 303, "sidewalk": 203, "road": 186, "vegetation": 107, "sky": 72, "person": 44,
        "car": 43, "bus": 15, "pole": 11, "rider": 4.9, "fence": 2.8, "wall": 2.7, "bicycle": 2.2,
        "motorcycle": 2.1, "sign": 1.1, "light": 0.4,
    }  # fmt: skip
    counted = ClassStatistics(tuple(shares), np.array([[s * 1e6 for s in shares.values()]], int))
    for temperature, expected in {
        0.01: {"light": 0.1544, "sign": 0.1443, "rider": 0.0990, "bus": 0.0375, "car": 0.0023},
        0.05: {"light": 0.1046, "sign": 0.1032, "rider": 0.0957, "bus": 0.0788, "car": 0.0450},
    }.items():
        rare = RareClasses(counted, SETTINGS | {"temperature": temperature})
        chances = dict(zip(shares, rare.chances, strict=True))
        for name, chance in expected.items():
            assert chances[name] == pytest.approx(chance, rel=0.06), name


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
    with pytest.raises(ConfigError, match=r"rare_classes\.pixels=3000: no image of the source"):
        RareClasses(statistics([10, 20]), SETTINGS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tempo": 1}, r"rare_classes\.tempo: unknown"),
        ({"temperature": 0}, r"rare_classes\.temperature=0: must be a number, above 0"),
        ({"pixels": "many"}, r"rare_classes\.pixels=many"),
        ({"tries": None}, r"rare_classes\.tries=None"),
    ],
)
def test_settings_that_are_none(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RareClasses(statistics([10, 20]), SETTINGS | changes)


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
        "source=camvid", "target=camvid", "backbone=tiny", "method=source_only",
        f"source.root={root}", f"target.root={root}", f"cache_root={tmp_path / 'kept'}",
        "source.size=[96,128]", "target.size=[96,128]", "source.augment.crop=[48,48]",
        "rare_classes={temperature: 0.01, pixels: 100, ratio: 0.5, tries: 10}",
    ]  # fmt: skip
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


def test_without_it_nothing_changes(corner: Path, tmp_path: Path) -> None:
    plain = module(corner, tmp_path, "rare_classes=null").source
    assert plain.rare_classes is None
    indices = [plain._choose(place)[1] for place in range(4)]
    assert sorted(indices) == [0, 1, 2, 3]


def test_a_crop_is_drawn_again_while_one_class_covers_it() -> None:
    label = np.zeros((64, 64), np.uint8)
    label[:, 48:], label[:8] = 1, 255
    image = np.zeros((64, 64, 3), np.uint8)

    def shares(largest: float | None) -> list[float]:
        transform = Transform(None, None, [32, 32], False, 0.0, largest)
        found = []
        for seed in range(40):
            out = transform(image, np.random.default_rng(seed), label=label)["label"]
            counts = np.bincount(out[out != 255], minlength=2)
            found.append(counts.max() / counts.sum())
        return found

    free, checked = shares(None), shares(0.75)
    assert sum(share >= 0.75 for share in free) > 10
    assert sum(share >= 0.75 for share in checked) <= 1
    assert shares(None) == free
    varied = [a for a, b in zip(free, checked, strict=True) if a < 0.75 and a != b]
    assert not varied, "a first crop that will do stays"


def test_the_last_of_eleven_crops_stays() -> None:
    label = np.zeros((64, 64), np.uint8)
    transform = Transform(None, None, [32, 32], False, 0.0, 0.75)
    calls = []
    compose_once = transform.compose
    assert compose_once is not None
    transform.compose = lambda **given: calls.append(1) or compose_once(**given)  # type: ignore
    transform.compose.set_random_state = compose_once.set_random_state  # type: ignore[union-attr]
    out = transform(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(0), label=label)
    assert len(calls) == 11
    assert out["label"].shape == (32, 32)
