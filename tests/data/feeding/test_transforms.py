"""A crop's window says where in the full image each of its pixels lies."""

import os
import random

import numpy as np
import pytest
from PIL import Image

from uda_seg.batch import IGNORE
from uda_seg.data.feeding.transforms import Transform
from uda_seg.data.toytown import scene
from uda_seg.images.scaling import resize_image, resize_mask


def ramp(height: int, width: int) -> np.ndarray:
    """Red says how far right a pixel lies, green how far down; blue nothing."""
    x = np.broadcast_to((np.arange(width) + 0.5) / width * 255, (height, width))
    y = np.broadcast_to(((np.arange(height) + 0.5) / height * 255)[:, None], (height, width))
    return np.stack([x, y, np.zeros_like(x)], -1).round().astype(np.uint8)


@pytest.mark.parametrize("seed", range(8))
def test_the_window_tells_where_every_pixel_comes_from(seed: int) -> None:
    transform = Transform([100, 200], [0.8, 1.4], [64, 96], True, 0.0)
    out = transform(ramp(100, 200), np.random.default_rng(seed))
    left, top, right, bottom = out["window"]
    height, width = out["image"].shape[:2]
    inside = out["image"][..., 1] > 0
    x = left + (right - left) * (np.arange(width) + 0.5) / width
    y = top + (bottom - top) * (np.arange(height) + 0.5) / height
    assert (height, width) == (64, 96)
    valid = np.ix_((y > 0.02) & (y < 0.98), (x > 0.02) & (x < 0.98))
    assert inside[valid].all()
    np.testing.assert_allclose(out["image"][..., 0][valid][0], x[valid[1][0]] * 255, atol=2.5)
    np.testing.assert_allclose(out["image"][..., 1][valid][:, 0], y[valid[0][:, 0]] * 255, atol=2.5)


def test_mirrored_crops_occur_and_say_so() -> None:
    transform = Transform(None, None, None, True, 0.0)
    windows = [transform(ramp(8, 16), np.random.default_rng(s))["window"] for s in range(20)]
    mirrored = [window[0] > window[2] for window in windows]
    assert any(mirrored)
    assert not all(mirrored)
    for window, flipped in zip(windows, mirrored, strict=True):
        np.testing.assert_allclose(window, [1, 0, 0, 1] if flipped else [0, 0, 1, 1])


def test_label_and_depth_move_with_the_image() -> None:
    image = ramp(60, 80)
    transform = Transform(None, [0.5, 1.5], [48, 48], True, 0.0)
    label = (image[..., 0] > 127).astype(np.uint8)
    depth = image[..., 1].astype(np.float32)
    for seed in range(6):
        out = transform(image, np.random.default_rng(seed), label=label, depth=depth)
        known = out["label"] != IGNORE
        sharp = known & (np.abs(out["image"][..., 0].astype(int) - 127) > 6)
        assert ((out["image"][..., 0] > 127) == out["label"])[sharp].all()
        assert np.abs(out["depth"] - out["image"][..., 1])[known].max() < 8
        assert (out["depth"][~known] == 0).all()


def test_chance_comes_from_the_given_numbers_alone() -> None:
    transform = Transform(None, [0.5, 1.5], [32, 32], True, 0.3)
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    once, again, other = (
        transform(image, np.random.default_rng(seed))["image"] for seed in (1, 1, 2)
    )
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


@pytest.mark.parametrize("size", [(33, 71), (48, 80), (97, 131), (60, 40)])
def test_images_and_labels_are_resized_as_pillow_does(size: tuple[int, int]) -> None:
    image = scene(0, 1, "toytown_camera", (60, 80)).image
    label = np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8)
    pillow = Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)
    difference = np.abs(resize_image(image, size).astype(int) - np.asarray(pillow))
    # Pillow may take columns before rows; where that overshoots white or black, it shows.
    assert (difference <= 1).mean() > 0.995
    assert difference.max() <= 8
    pillow = Image.fromarray(label).resize(size[::-1], Image.Resampling.NEAREST)
    np.testing.assert_array_equal(resize_mask(label, size), np.asarray(pillow))


def test_any_layout_of_an_image_gives_the_same_bits() -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)
    turned = np.ascontiguousarray(image[..., ::-1])[..., ::-1]
    fixed = image.copy()
    fixed.flags.writeable = False
    for transform in (
        Transform([30, 40], None, None, False, 0.0),
        Transform([60, 80], [0.5, 1.5], [24, 24], True, 0.3),
    ):
        expected = transform(image, np.random.default_rng(0))
        for other in (planes, turned, fixed):
            out = transform(other, np.random.default_rng(0))
            np.testing.assert_array_equal(out["image"], expected["image"])
            np.testing.assert_array_equal(out["window"], expected["window"])


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
    calls, cut = [], transform._cut
    transform._cut = lambda *given: calls.append(1) or cut(*given)  # type: ignore
    out = transform(np.zeros((64, 64, 3), np.uint8), np.random.default_rng(0), label=label)
    assert len(calls) == 11
    assert out["label"].shape == (32, 32)


@pytest.mark.parametrize("crop", [(24, 40), (64, 30), (30, 90)])
def test_crops_and_flips_are_those_of_albumentations(crop: tuple[int, int]) -> None:
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations as A

    steps = [A.RandomCrop(*crop, True, "top_left", fill_mask=IGNORE), A.HorizontalFlip(p=0.5)]
    theirs, ours = A.Compose(steps), Transform(None, None, list(crop), True, 0.0)
    numbers = np.random.default_rng(0)
    image = numbers.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    label = numbers.integers(0, 5, (48, 64), dtype=np.uint8)
    for seed in range(12):
        drawn = np.random.default_rng(seed)
        theirs.set_random_state(drawn, random.Random(int(drawn.integers(2**31))))
        expected = theirs(image=image, mask=label)
        out = ours(image, np.random.default_rng(seed), label=label)
        np.testing.assert_array_equal(out["image"], expected["image"])
        np.testing.assert_array_equal(out["label"], expected["mask"])
