"""ROAD's losses against loops, its regions under crop and flip, and who learns from what."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from conftest import make_batch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from uda_seg.components.regions import OUTSIDE, RegionClassifiers, region_map, reverse_gradient
from uda_seg.data.feeding.transforms import Transform
from uda_seg.losses import feature_distance
from uda_seg.methods.road import ROAD

ALL = {"segmentation": 1.0, "distillation": 0.1, "spatial_source": 0.01, "spatial_target": 0.01}


def road(network: Any, without: str = "", **changes: Any) -> ROAD:
    torch.manual_seed(0)
    weights = {name: None if without and without in name else w for name, w in ALL.items()}
    return ROAD(network, weights, **({"distil_on": "target", "grid": 3, "width": 6} | changes))


def test_regions_are_thirds_of_the_full_image() -> None:
    regions = region_map(None, (6, 9), grid=3, batch=2)
    expected = [[3 * (3 * y // 6) + 3 * x // 9 for x in range(9)] for y in range(6)]
    assert regions.tolist() == [expected, expected]


@pytest.mark.parametrize("seed", range(8))
def test_a_crop_keeps_its_regions_and_a_flip_mirrors_them(seed: int) -> None:
    """The map of a crop is what cropping and flipping a picture of the regions gives."""
    height, width = 60, 90
    whole = np.array([[3 * (3 * y // height) + 3 * x // width for x in range(width)]
                      for y in range(height)])  # fmt: skip
    picture = np.repeat(whole[..., None], 3, 2).astype(np.uint8)
    transform = Transform(None, None, crop=[33, 47], flip=True, color=0.0)
    item = transform(picture, np.random.default_rng(seed))
    window = torch.from_numpy(item["window"])[None]
    regions = region_map(window, (33, 47), grid=3, batch=1)[0]
    np.testing.assert_array_equal(regions, item["image"][..., 0])


def test_padding_lies_in_no_region() -> None:
    window = torch.tensor([[0.0, 0.0, 2.0, 1.0]])  # as wide again as the image, on the right
    regions = region_map(window, (3, 6), grid=3, batch=1)[0]
    assert regions[:, 3:].eq(OUTSIDE).all()
    assert regions[0, :3].tolist() == [0, 1, 2]


def by_hand(
    classifiers: RegionClassifiers, features: Tensor, regions: Tensor, answer: float
) -> Tensor:
    means = []
    for region in range(classifiers.regions):
        losses = []
        for b, y, x in np.ndindex(*regions.shape):
            if regions[b, y, x] == region:
                hidden = features[b, :, y, x] @ classifiers.hidden_weight[region]
                hidden = relu(hidden + classifiers.hidden_bias[region, 0])
                score = hidden @ classifiers.score_weight[region, :, 0]
                score = score + classifiers.score_bias[region, 0, 0]
                losses.append(binary_cross_entropy_with_logits(score, torch.tensor(answer)))
        if losses:
            means.append(torch.stack(losses).mean())
    return torch.stack(means).mean()


@pytest.mark.parametrize("answer", [0.0, 1.0])
def test_classifiers_equal_a_loop_over_positions(answer: float) -> None:
    torch.manual_seed(0)
    classifiers = RegionClassifiers(5, 9, 4)
    features = torch.randn(2, 5, 4, 7, requires_grad=True)
    windows = torch.tensor([[0.1, 0.2, 0.9, 0.8], [0.6, 0.0, -0.3, 0.7]])
    regions = region_map(windows, (4, 7), 3, 2)
    assert (regions == OUTSIDE).any()
    ours = classifiers.loss(features, regions, answer)
    theirs = by_hand(classifiers, features, regions, answer)
    torch.testing.assert_close(ours, theirs)
    parameters = [features, *classifiers.parameters()]
    for a, b in zip(
        torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_every_region_weighs_the_same_however_small() -> None:
    """One position of region 1 against many of region 0."""
    torch.manual_seed(0)
    classifiers = RegionClassifiers(3, 2, 4)
    features = torch.randn(1, 3, 1, 8)
    regions = torch.zeros(1, 1, 8, dtype=torch.long)
    regions[0, 0, 5] = 1
    both = classifiers.loss(features, regions, 1.0)
    alone = classifiers.loss(features[..., 5:6], regions[..., 5:6], 1.0)
    others = [i for i in range(8) if i != 5]
    rest = classifiers.loss(features[..., others], regions[..., others], 1.0)
    torch.testing.assert_close(both, (alone + rest) / 2)


def test_the_picture_puts_each_score_back_in_its_place() -> None:
    torch.manual_seed(0)
    classifiers = RegionClassifiers(3, 4, 4)
    features = torch.randn(2, 3, 4, 4)
    regions = region_map(None, (4, 4), 2, 2)
    picture = classifiers.targetness(features, regions)
    for b, y, x in np.ndindex(2, 4, 4):
        one = regions[b : b + 1, y : y + 1, x : x + 1]
        with torch.no_grad():
            scores, real = classifiers(features[b : b + 1, :, y : y + 1, x : x + 1], one)
        assert picture[b, 0, y, x] == pytest.approx(float(scores[real].sigmoid()), rel=1e-5)


def test_distance_is_the_mean_of_lengths() -> None:
    features, guide = torch.randn(2, 3, 2, 2), torch.randn(2, 3, 2, 2)
    lengths = [
        math.sqrt(
            sum((float(features[b, d, y, x]) - float(guide[b, d, y, x])) ** 2 for d in range(3))
        )
        for b, y, x in np.ndindex(2, 2, 2)
    ]
    assert float(feature_distance(features, guide)) == pytest.approx(np.mean(lengths), rel=1e-5)


def test_a_student_that_equals_its_teacher_has_a_finite_gradient() -> None:
    features = torch.ones(1, 3, 2, 2, requires_grad=True)
    feature_distance(features, features.detach().clone()).backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()


def gradients(losses: dict[str, Tensor], name: str, module: nn.Module) -> list[Tensor]:
    found = torch.autograd.grad(
        losses[name], list(module.parameters()), retain_graph=True, allow_unused=True
    )
    return [g for g in found if g is not None and bool(g.any())]


def test_each_loss_reaches_exactly_its_players(network: Any) -> None:
    method = road(network)
    parts = list(method.losses(make_batch()))
    assert [sorted(part) for part in parts] == [
        ["segmentation", "spatial_source"],
        ["distillation", "spatial_target"],
    ]
    losses = {name: loss for part in parts for name, loss in part.items()}
    assert method.classifiers is not None
    for name in losses:
        spatial = name.startswith("spatial")
        assert gradients(losses, name, network), name
        assert bool(gradients(losses, name, method.classifiers)) == spatial, name
    assert all(not p.requires_grad for p in method.teacher.parameters())


def test_the_network_climbs_what_the_classifiers_descend(network: Any) -> None:
    features = torch.randn(2, 5, 3, 3, requires_grad=True)
    classifiers = RegionClassifiers(5, 9, 4)
    regions = region_map(None, (3, 3), 3, 2)
    straight = torch.autograd.grad(classifiers.loss(features, regions, 1.0), features)[0]
    against = torch.autograd.grad(
        classifiers.loss(reverse_gradient(features), regions, 1.0), features
    )[0]
    torch.testing.assert_close(against, -straight)


def test_the_teacher_stays_as_it_was_made(network: Any) -> None:
    """It is in evaluation mode, whatever the method is, and later weights do not reach it."""
    method = road(network).train()
    assert not any(module.training for module in method.teacher.modules())
    image = make_batch().target.image
    before = method.teacher(image)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    network(image, "target")  # moves the network's statistics
    torch.testing.assert_close(method.teacher(image), before, rtol=0, atol=0)


def test_a_distilled_network_stays_nearer_to_its_teacher(network: Any) -> None:
    method = road(network, without="spatial")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    seen = []
    for _ in range(10):
        losses = [part for part in method.losses(make_batch()) if "distillation" in part]
        seen.append(float(losses[0]["distillation"].detach()))
        optimizer.zero_grad()
        losses[0]["distillation"].backward()
        optimizer.step()
    assert seen[-1] < 0.8 * seen[0]


@pytest.mark.parametrize(
    ("without", "changes", "names"),
    [
        ("spatial", {}, ["segmentation", "distillation"]),
        ("spatial", {"distil_on": "source"}, ["segmentation", "distillation"]),
        ("distillation", {"grid": 1}, ["segmentation", "spatial_source", "spatial_target"]),
    ],
)
def test_ablations_have_the_losses_they_are_named_after(
    network: Any, without: str, changes: dict[str, Any], names: list[str]
) -> None:
    method = road(network, without, **changes)
    assert [name for part in method.losses(make_batch()) for name in part] == names
    assert (method.classifiers is None) == (without == "spatial")
    assert (method.teacher is None) == (without == "distillation")
    if changes.get("grid"):
        assert method.classifiers is not None
        assert method.classifiers.regions == 1


def test_source_guided_distillation_looks_at_source_images(network: Any) -> None:
    method = road(network, "spatial", distil_on="source")
    with torch.no_grad():
        network.early[0].weight.add_(0.1)
    first, second = make_batch(), make_batch()
    second.target.image = torch.rand_like(second.target.image)
    network.eval()
    values = [next(method.losses(b))["distillation"].detach() for b in (first, second)]
    assert float(values[0]) == float(values[1]) > 0
