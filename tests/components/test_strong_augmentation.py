"""Jitter and blur: kernel sizes, kornia's rules, coins."""

import colorsys
from typing import Any

import pytest
import torch
import torchvision.transforms.v2.functional as vision

from uda_seg.components import strong_augmentation
from uda_seg.components.strong_augmentation import (
    StrongAugmentation,
    additive,
    blur,
    kernel_size,
    multiplicative,
)
from uda_seg.errors import ConfigError


def make(**changes: Any) -> StrongAugmentation:
    settings: dict[str, Any] = {
        "jitter": "additive", "strength": 0.25, "jitter_probability": 0.8,
        "blur_probability": 0.5, "sigma": [0.15, 1.15], "coins": "step",
    }  # fmt: skip
    return StrongAugmentation(**settings | changes)


@pytest.mark.parametrize(
    ("side", "size"),
    [(144, 15), (192, 19), (256, 25), (512, 51), (720, 71), (1024, 103), (1280, 127)],
)
def test_kernels_are_a_tenth_of_a_side(side: int, size: int) -> None:
    assert kernel_size(side) == size


def test_a_blur_is_a_gaussian_with_mirrored_edges() -> None:
    image = torch.rand(3, 48, 64)
    for sigma in (0.15, 0.6, 1.15):
        theirs = vision.gaussian_blur(image, [kernel_size(64), kernel_size(48)], [sigma, sigma])
        torch.testing.assert_close(blur(image, sigma), theirs, rtol=1e-5, atol=1e-6)


def test_brightness_is_added_and_contrast_has_no_mean() -> None:
    image = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1)
    assert additive(image, 0, 0.2).flatten().tolist() == pytest.approx([0.3, 0.7, 1.0])
    assert additive(image, 1, 0.2).flatten().tolist() == pytest.approx([0.12, 0.6, 1.0])
    assert multiplicative(image, 0, 0.2).flatten().tolist() == pytest.approx([0.12, 0.6, 1.0])
    blended = 1.2 * image - 0.2 * vision.rgb_to_grayscale(image).mean()
    torch.testing.assert_close(multiplicative(image, 1, 0.2), blended.clamp(0, 1))


@pytest.mark.parametrize("which", [2, 3])
@pytest.mark.parametrize("change", [-0.2, 0.13, 0.2])
def test_saturation_and_hue_are_those_of_hsv(which: int, change: float) -> None:
    torch.manual_seed(0)
    image = torch.rand(3, 6, 6)
    image[:, 0, 0] = 0.4  # grey has no hue
    image[:, 0, 1] = 0.0
    image[:, 0, 2] = torch.tensor([0.9, 0.0, 0.3])  # as saturated as can be
    ours = additive(image, which, change)
    for y in range(6):
        for x in range(6):
            h, s, v = colorsys.rgb_to_hsv(*image[:, y, x].tolist())
            if which == 2:
                expected = colorsys.hsv_to_rgb(h, min(s * (1 + change), 1), v)
            else:
                expected = colorsys.hsv_to_rgb((h + change) % 1, s, v)
            assert ours[:, y, x].tolist() == pytest.approx(expected, abs=1e-5)


def test_one_pair_of_coins_for_all_images_or_one_for_each() -> None:
    images = torch.rand(1, 3, 16, 16).expand(4, 3, 16, 16)
    for coins, mixed in (("step", False), ("image", True)):
        augment = make(coins=coins, blur_probability=0)
        changed = []
        for seed in range(40):
            torch.manual_seed(seed)
            out = augment(images)
            changed.append([not torch.equal(a, b) for a, b in zip(images, out, strict=True)])
        shares = torch.tensor(changed).float()
        assert 0.65 < float(shares.mean()) < 0.95
        assert bool((shares.mean(1).remainder(1) > 0).any()) == mixed


def test_strengths_are_each_images_own_but_an_order_and_a_blur_may_be_shared() -> None:
    images = torch.rand(1, 3, 16, 16).expand(2, 3, 16, 16)
    torch.manual_seed(1)
    first, second = make(jitter_probability=1, blur_probability=0)(images)
    assert not torch.equal(first, second)
    seen: list[float] = []

    def note(image: torch.Tensor, sigma: float) -> torch.Tensor:
        seen.append(sigma)
        return image

    original, strong_augmentation.blur = strong_augmentation.blur, note
    try:
        for together in (True, False):
            make(blur_probability=1)(images, together=together)
    finally:
        strong_augmentation.blur = original
    assert seen[0] == seen[1]
    assert seen[2] != seen[3]
    assert all(0.15 <= sigma <= 1.15 for sigma in seen)


def test_nothing_happens_without_luck_and_words_are_checked() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert torch.equal(make(jitter_probability=0, blur_probability=0)(images), images)
    for key in ("jitter", "coins"):
        with pytest.raises(ConfigError, match=key):
            make(**{key: "kornia"})
