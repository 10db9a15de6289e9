"""Logits enlarged a few rows at once say what whole ones say."""

import tracemalloc

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uda_seg.evaluation import enlarged
from uda_seg.evaluation.enlarged import Enlarged
from uda_seg.evaluation.inference import Inference
from uda_seg.evaluation.selection import (
    InformationMaximisation,
    SoftNeighbourhoodDensity,
    TeacherAgreement,
)
from uda_seg.networks.prediction import Prediction
from uda_seg.networks.resizing import Small
from uda_seg.prediction.predictor import entropy_map

CLASSES = 7


class Coarse(nn.Module):
    """Smooth logits of a stride, which depend on where in its input a pixel lies.

    Args:
        waits: it hands them out as small ones.
    """

    def __init__(self, stride: int, align_corners: bool, waits: bool, scale: float = 20) -> None:
        super().__init__()
        self.stride, self.align_corners, self.waits = stride, align_corners, waits
        self.scale = scale
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(CLASSES, 3, 1, 1, generator=generator)

    def forward(self, image: Tensor, domain: str) -> Prediction:
        smooth = F.avg_pool2d(image - 0.5, 9, self.stride, 4, count_include_pad=False)
        maps = self.scale * F.conv2d(smooth, self.weight)
        maps[:, 0] += torch.linspace(-1, 1, maps.shape[3])
        small = Small(maps, (image.shape[2], image.shape[3]), self.align_corners)
        return Prediction(small if self.waits else small.enlarged(), maps)


def answers(
    size: tuple[int, int], inference: Inference, align_corners: bool, stride: int = 4, **more: float
) -> tuple[list[Tensor | Enlarged], Tensor]:
    """Of two images, those that wait and those that do not."""
    image = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    waiting = inference.each(Coarse(stride, align_corners, True, **more), image)
    assert all(isinstance(one, Enlarged) for one in waiting)
    return list(waiting), inference(Coarse(stride, align_corners, False, **more), image)


def assert_classes(found: Tensor, logits: Tensor) -> None:
    """The same, but where two logits are nearly equal."""
    best = logits.topk(2, 1).values
    sure = best[:, 0] - best[:, 1] > 1e-4
    assert sure.float().mean() > 0.99
    assert torch.equal(found[sure].long(), logits.argmax(1)[sure])
    assert found.unique().numel() > 2


WAYS = {
    "whole": Inference("whole", None, None, False),
    "mirrored": Inference("whole", None, None, True),
    "windows": Inference("slide", [24, 32], [15, 32], False),
    "mirrored windows": Inference("slide", [33, 21], [16, 7], True),
    "labels aligned otherwise": Inference("slide", [24, 32], [15, 20], True, False),
}


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(64, 96), (51, 83), (24, 33)])
@pytest.mark.parametrize("way", WAYS)
def test_all_is_as_of_whole_logits(
    way: str, size: tuple[int, int], align_corners: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enlarged, "CACHED", 3000)
    monkeypatch.setattr(enlarged, "COLUMNS", 10)
    inference = WAYS[way]
    found, expected = answers(size, inference, align_corners)
    metrics = [[InformationMaximisation(), SoftNeighbourhoodDensity()] for _ in range(2)]
    for one, logits in zip(found, expected.split(1), strict=True):
        assert isinstance(one, Enlarged)
        assert one.shape == logits.shape
        torch.testing.assert_close(one.whole(), logits, rtol=1e-5, atol=1e-5)
        for other in (size, (150, 161), (40, 50), (size[0], 100)):
            assert_classes(inference.predict(one, other), inference.resized(logits, other))
            resized = inference.resized(one, other)
            torch.testing.assert_close(
                resized, inference.resized(logits, other), rtol=1e-5, atol=2e-5
            )
        torch.testing.assert_close(entropy_map(one), entropy_map(logits), rtol=1e-5, atol=2e-6)
        for waiting, straight in zip(*metrics, strict=True):
            waiting.update(one)
            straight.update(logits)
    for waiting, straight in zip(*metrics, strict=True):
        torch.testing.assert_close(waiting.compute(), straight.compute(), rtol=2e-6, atol=0)
    found, expected = (each[0].mean_normalised_entropy() for each in metrics)
    torch.testing.assert_close(found, expected, rtol=2e-6, atol=0)


@pytest.mark.parametrize("stride", [2, 8])
def test_strides_differ(stride: int) -> None:
    (one, _), expected = answers((70, 90), WAYS["windows"], False, stride)
    assert_classes(WAYS["windows"].predict(one, (70, 90)), expected[:1])


@pytest.mark.parametrize("scale", [1000.0, 1e-3])
def test_steep_and_flat_logits_are_weighed(scale: float) -> None:
    (one, _), expected = answers((64, 96), WAYS["windows"], False, scale=scale)
    waiting, straight = InformationMaximisation(), InformationMaximisation()
    waiting.update(one)
    straight.update(expected[:1])
    torch.testing.assert_close(waiting.compute(), straight.compute(), rtol=1e-5, atol=1e-6)


def test_of_equal_logits_the_first_class_is_taken() -> None:
    maps = torch.randint(2, (1, CLASSES, 6, 9), generator=torch.Generator().manual_seed(0)).float()
    network = Coarse(4, False, True)
    network.forward = lambda image, domain: Prediction(Small(maps, (24, 36), False), maps)
    (one,) = WAYS["whole"].each(network, torch.zeros(1, 3, 24, 36))
    expected = F.interpolate(maps, (24, 36), mode="bilinear").argmax(1)
    assert torch.equal(WAYS["whole"].predict(one, (24, 36)), expected.byte())


def test_half_precision_around_it_changes_nothing() -> None:
    said = []
    for half in (True, False):
        (one, _), _ = answers((64, 96), WAYS["mirrored windows"], False)
        enlarged.again.cache_clear()
        metric = InformationMaximisation()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            metric.update(one)
            said.append((metric.compute(), WAYS["windows"].predict(one, (70, 80)), one.whole()))
    for found, expected in zip(*said, strict=True):
        assert torch.equal(found, expected)


def test_a_teacher_agrees_with_either() -> None:
    found, expected = answers((64, 96), WAYS["whole"], False)
    theirs = expected.roll(1, 1)
    theirs[..., :48] = expected[..., :48]
    for ours in (found[0], expected[:1]):
        metric = TeacherAgreement()
        metric.update(ours, theirs[:1])
        assert float(metric.compute()) == 0.5


@pytest.mark.parametrize(
    "inference",
    [
        Inference("whole", None, None, False, scales=[0.5, 1.0]),
        Inference("slide", 32, 32, False, mean_of="probabilities"),
    ],
)
def test_means_of_scales_and_probabilities_do_not_wait(inference: Inference) -> None:
    image = torch.rand(1, 3, 64, 96)
    (one,) = inference.each(Coarse(4, False, True), image)
    assert torch.equal(one, inference(Coarse(4, False, False), image))


def test_nothing_is_as_large_as_whole_logits() -> None:
    inference, size = WAYS["whole"], (256, 384)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    network = Coarse(8, False, True)
    tracemalloc.start()
    with torch.profiler.profile(profile_memory=True) as profile:
        (one,) = inference.each(network, image)
        InformationMaximisation().update(one)
        inference.predict(one, size)
    _, of_numpy = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    largest = max(event.self_cpu_memory_usage / event.count for event in profile.key_averages())
    whole = 4 * CLASSES * size[0] * size[1]
    assert 0 < largest < whole / 2
    assert 0 < of_numpy < whole / 2
