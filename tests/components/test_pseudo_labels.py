"""Pseudo-labels: one weight for a batch, and margins that travel with crops and flips."""

import numpy as np
import pytest
import torch

from uda_seg.batch import Target
from uda_seg.components.class_thresholds import ClassThresholds
from uda_seg.components.pseudo_labels import (
    confident_share,
    labels_by_class,
    pseudo_labels,
    trusted,
)
from uda_seg.data.feeding.transforms import Transform
from uda_seg.losses import feature_distance, weighted_cross_entropy

NONE = {"top": 0.0, "bottom": 0.0, "left": 0.0, "right": 0.0}
DAFORMER = NONE | {"top": 15 / 512, "bottom": 120 / 512}


def test_the_weight_is_one_number_for_the_batch() -> None:
    confidence = torch.tensor([[0.99, 0.968, 0.967, 0.5], [0.97, 0.4, 0.3, 0.2]])
    assert float(confident_share(confidence, 0.968)) == 0.375
    sure = torch.tensor([[[8.0, 0.0], [0.0, 0.1]], [[0.0, 8.0], [0.0, 0.0]]])
    found = pseudo_labels(
        torch.stack([sure, torch.zeros_like(sure)]), 0.9, torch.ones(2, 2, 2, dtype=torch.bool)
    )
    assert found.label[0].tolist() == [[0, 1], [0, 0]]
    assert torch.equal(found.weight, torch.full((2, 2, 2), 0.25))


def test_the_loss_is_a_mean_over_all_pixels() -> None:
    """Cross-entropies 1, 2, 0 (ignored), 4 and weights 1, .375, .375, .375: 3.25 / 4."""
    wanted = torch.tensor([1.0, 2.0, 3.0, 4.0])
    other = (torch.exp(wanted) - 1).log()  # -log softmax of (0, x) at 0 is log(1 + e^x)
    logits = torch.stack([torch.zeros(4), other])[None, :, None]
    label = torch.tensor([[[0, 0, 255, 0]]])
    weight = torch.tensor([[[1.0, 0.375, 0.375, 0.375]]])
    assert float(weighted_cross_entropy(logits, label, weight)) == pytest.approx(0.8125)
    assert float(weighted_cross_entropy(logits, label)) == pytest.approx(7 / 4)


def test_daformers_rows_of_a_crop_as_high_as_the_image() -> None:
    window = torch.tensor([[0.25, 0.0, 0.75, 1.0]])
    target = Target(torch.zeros(1, 3, 512, 512), window)
    trust = trusted(target, DAFORMER)
    rows = trust[0].all(1)
    assert torch.equal(rows, trust[0].any(1))
    assert rows.nonzero().flatten().tolist() == list(range(15, 392))
    for none in (NONE, {}):
        assert bool(trusted(target, none).all())


def test_what_a_crop_was_filled_up_with_is_not_trusted() -> None:
    """An image of 64 x 96 in a crop of 96 x 128, at its upper left, and the other way round."""
    transform = Transform(size=None, scale=None, crop=[96, 128], flip=True, color=0.0)
    for seed in range(6):
        item = transform(np.full((64, 96, 3), 9, np.uint8), np.random.default_rng(seed))
        target = Target(torch.zeros(1, 3, 96, 128), torch.from_numpy(item["window"])[None])
        inside = torch.from_numpy(item["image"][..., 0] == 9)
        assert int(inside.sum()) == 64 * 96
        assert torch.equal(trusted(target, NONE)[0], inside)


def test_hrdas_margins_travel_with_crop_and_flip() -> None:
    """30, 240, 30 and 30 pixels of a full image of 1024 x 2048, here at an eighth."""
    margins = {"top": 30 / 1024, "bottom": 240 / 1024, "left": 30 / 2048, "right": 60 / 2048}
    height, width = 128, 256
    full = trusted(Target(torch.zeros(1, 3, height, width)), margins)
    assert full[0].any(1).sum() == height - 4 - 30
    assert full[0].any(0).sum() == width - 4 - 8
    transform = Transform(size=None, scale=None, crop=[64, 64], flip=True, color=0.0)
    image = (full[0, :, :, None].numpy() * 255).astype("uint8").repeat(3, 2)
    mirrored = 0
    for seed in range(12):
        item = transform(image, np.random.default_rng(seed))
        window = torch.from_numpy(item["window"])[None]
        mirrored += bool(window[0, 0] > window[0, 2])
        trust = trusted(Target(torch.zeros(1, 3, 64, 64), window), margins)
        assert torch.equal(trust[0], torch.from_numpy(item["image"][..., 0] > 0))
    assert 0 < mirrored < 12


def test_distances_count_where_the_mask_says() -> None:
    features = torch.tensor([[[1.0, 2.0], [3.0, 0.0]], [[0.0, 2.0], [4.0, 0.0]]])[None]
    mask = torch.tensor([[[False, True], [True, False]]])
    nothing = torch.zeros_like(features)
    distance = float(feature_distance(features, nothing, mask))
    assert distance == pytest.approx(3.914214, abs=1e-6)
    assert 0.005 * distance == pytest.approx(0.019571, abs=1e-6)
    features.requires_grad_()
    empty = feature_distance(features, nothing, torch.zeros_like(mask))
    empty.backward()
    assert float(empty.detach()) == 0
    assert bool((features.grad == 0).all())


def test_thresholds_by_class_let_the_surest_share_of_each_count() -> None:
    """Class 0 is sure of 0.9 … 0.6, class 1 of 0.5 … 0.2: half of each count, none needs 0.8."""
    confidence = torch.tensor([[[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, 0.3, 0.2]]])
    label = torch.tensor([[[0, 0, 0, 0], [1, 1, 1, 1]]])
    thresholds = ClassThresholds(3, share=0.5, most=0.75)
    found = thresholds(confidence, label)
    torch.testing.assert_close(found, torch.tensor([0.75, 0.4, 0.75]), atol=2e-3, rtol=0)
    again = thresholds(torch.full((1, 1, 80), 0.9), torch.ones(1, 1, 80, dtype=torch.long))
    assert float(again[1]) == pytest.approx(0.75), "80 new ones outweigh the four of before"


def test_labels_by_class_weigh_one_or_nothing() -> None:
    sure = torch.tensor([[[4.0, 2.0, 0.0, 0.0]], [[0.0, 0.0, 0.5, 0.1]]])[None]
    trust = torch.tensor([[[True, True, True, False]]])
    found = labels_by_class(sure, ClassThresholds(2, share=0.5, most=0.968), trust)
    assert found.label.tolist() == [[[0, 0, 1, 1]]]
    assert found.weight.tolist() == [[[1.0, 0.0, 1.0, 0.0]]]
    assert torch.equal(found.confident, found.weight.bool())
    everything = labels_by_class(sure, ClassThresholds(2, share=1.0, most=0.968), trust)
    assert everything.weight.tolist() == [[[1.0, 1.0, 1.0, 0.0]]]
