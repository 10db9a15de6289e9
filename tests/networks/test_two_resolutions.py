"""HRDA's network against loops over windows and cells, its windows, and what it refuses."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import compose

from uda_seg.components.teacher import FrozenTeacher, MovingTeacher
from uda_seg.config import build
from uda_seg.errors import ConfigError
from uda_seg.evaluation.inference import spans
from uda_seg.networks.deeplab import SummedPyramid
from uda_seg.networks.hrda import HRDANetwork, fuse, offset, sliding
from uda_seg.networks.portable import portable
from uda_seg.networks.pspnet import PSPNet

IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def make(*words: str) -> Any:
    """The tiny one, with statistics of its own."""
    torch.manual_seed(0)
    config = compose("train", ["backbone=hrda_tiny", *words])
    network = build(config["backbone"], classes=5)
    network(IMAGE)
    return network


def test_context_and_detail_are_fused_as_published() -> None:
    """The vector of two by two cells, with the half cell that attention leaks."""
    context = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    fused = fuse(context, torch.full_like(context, 0.5), torch.full((1, 1, 2, 2), 10.0), (0, 0))
    expected = [
        [5.5, 4.625, 1.625, 2], [4.875, 4.28125, 2.15625, 2.5],
        [2.375, 2.65625, 3.21875, 3.5], [3, 3.25, 3.75, 4],
    ]  # fmt: skip
    assert fused[0, 0].tolist() == expected


def test_a_window_that_begins_within_a_cell_is_rounded_down() -> None:
    """At stride 8, offsets of 8 pixels are half cells of the context."""
    context, attention = torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    fused = fuse(context, attention, torch.ones(1, 1, 4, 4), (3, 1))
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 1:3, 0:2] = 1
    inserted = torch.zeros(1, 1, 8, 8)
    inserted[..., 3:7, 1:5] = 1
    expected = inserted * F.interpolate(mask, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(fused, expected)


@pytest.mark.parametrize(
    ("length", "window", "stride"),
    [
        (1024, 512, 256),
        (2048, 1024, 512),
        (1024, 1024, 512),
        (64, 32, 32),
        (80, 40, 28),
        (60, 45, 10),
    ],
)
def test_windows_along_an_axis(length: int, window: int, stride: int) -> None:
    count = max(length - window + stride - 1, 0) // stride + 1
    expected = [min(i * stride, length - window) for i in range(count)]
    assert [span.start for span in spans(length, window, stride)] == expected
    side, corners = sliding(window / length, stride / length)
    assert [float(corner * length) for corner in corners] == expected
    assert side * length == window


def test_random_windows_never_reach_the_last_place() -> None:
    found = {offset(512, 8, number) for number in torch.linspace(0, 1 - 2**-24, 1000).tolist()}
    assert found == set(range(0, 505, 8))
    assert offset(0, 8, 0.99) == 0
    assert offset(7, 8, 0.99) == 0


def scores(network: Any, image: torch.Tensor) -> torch.Tensor:
    return network.host.head(network.host.late(network.host.early(image)))


def test_windows_slide_outside_training() -> None:
    """Also where batch norm alone is in training mode: all windows are one batch then."""
    network = make().eval()
    image = (IMAGE - network.mean) / network.std
    for layer in [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]:
        layer.train()
        layer.momentum = 0.0
    with torch.no_grad():
        found = network(IMAGE)
        places = [(top, left) for top in (0, 16, 32) for left in (0, 24, 48)]
        windows = torch.cat([image[..., top : top + 32, left : left + 48] for top, left in places])
        parts = scores(network, windows)
        total, times = torch.zeros(2, 5, 16, 24), torch.zeros(16, 24)
        for i, (top, left) in enumerate(places):
            rows, columns = slice(top // 4, top // 4 + 8), slice(left // 4, left // 4 + 12)
            total[..., rows, columns] += parts[2 * i : 2 * i + 2]
            times[rows, columns] += 1
        half = F.avg_pool2d(image, 2)
        features = network.host.late(network.host.early(half))
        context, attention = network.host.head(features), network.attention(features).sigmoid()
        fused = fuse(context, attention, total / times, None)
    expected = F.interpolate(fused, (64, 96), mode="bilinear")
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.features, features)
    assert found.detail is None


def test_a_teacher_slides_and_a_student_does_not() -> None:
    network = make()
    sizes: list[int] = []
    teacher = MovingTeacher(network, rate=0.9, first_move=0, buffers="own").train()
    for net in (network, teacher.network):
        net.host.early.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    network(IMAGE), teacher(IMAGE)
    assert sizes == [2, 2, 2, 18]


def test_distances_of_features_cost_the_context_alone() -> None:
    network = make()
    passes: list[int] = []
    guide = FrozenTeacher(network)
    guide.network.host.early.register_forward_hook(lambda *_: passes.append(1))
    guide.network.host.head.register_forward_hook(lambda *_: passes.append(1))
    features = guide(IMAGE)
    assert len(passes) == 1
    torch.testing.assert_close(features, network.eval()(IMAGE).features)


def test_detail_is_what_the_head_says_of_its_window() -> None:
    network = make("backbone.batch_norm=frozen")
    found = network(IMAGE)
    detail = found.detail
    window = detail.of((IMAGE - network.mean) / network.std)
    assert window.shape[-2:] == (32, 48)
    expected = F.interpolate(scores(network, window), (32, 48), mode="bilinear")
    torch.testing.assert_close(detail.logits, expected)
    assert found.logits.shape == (2, 5, 64, 96)
    places = {
        (network(IMAGE).detail.rows.start, network(IMAGE).detail.columns.start) for _ in range(40)
    }
    assert {row for row, _ in places} == {0, 8, 16, 24}
    assert {column for _, column in places} == {0, 8, 16, 24, 32, 40}


def test_images_of_any_size_are_filled_up_outside_training() -> None:
    network = make().eval()
    odd = IMAGE[..., :51, :83]
    filled = F.pad(odd, (0, 96 - 83, 0, 64 - 51), mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(network(odd).logits, network(filled).logits[..., :51, :83])
    with pytest.raises(ConfigError, match=r"multiples of 16, but they are 51x83: .*augment\.crop"):
        network.train()(odd)


def test_without_attention_it_is_the_mean_of_both() -> None:
    network = make("backbone.fixed_attention=0.5").eval()
    assert network.attention is None
    with torch.no_grad():
        image = (IMAGE - network.mean) / network.std
        context = F.interpolate(
            scores(network, F.avg_pool2d(image, 2)), scale_factor=2, mode="bilinear"
        )
        mean = (context + network._slide(image)) / 2
        expected = F.interpolate(mean, (64, 96), mode="bilinear")
        torch.testing.assert_close(network(IMAGE).logits, expected)
    assert len(network.heads()) == 1


def test_attention_and_head_learn_at_the_heads_rate() -> None:
    network = make("backbone.head_factor=10")
    groups = {group["name"]: group for group in network.parameter_groups()}
    heads = {id(p) for part in (network.host.head, network.attention) for p in part.parameters()}
    assert {id(p) for p in groups["heads"]["params"]} == heads
    assert groups["heads"]["factor"] == 10
    assert len(groups["encoder"]["params"]) == len(list(network.parameters())) - len(heads)


def test_batch_norm_policies_hold_for_the_host() -> None:
    network = make("backbone.batch_norm=target")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(IMAGE, "source")
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network(IMAGE, "target")
    assert not all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    twin = portable(network)
    assert twin.host.batch_norm == "frozen"
    torch.testing.assert_close(twin(IMAGE).logits, network.eval()(IMAGE).logits)


def test_hosts_that_do_not_fit_are_named() -> None:
    attention = partial(SummedPyramid, aspp="full4", dilations=[1])
    encoder = build(compose("train", ["backbone=small"])["backbone"]["encoder"])
    host = partial(
        PSPNet, encoder=encoder, bins=[2], width=8, dropout=0.1, auxiliary=False, frozen_stages=0,
        depth_head=False,
    )  # fmt: skip
    rest = {"mean": [0.5] * 3, "std": [0.5] * 3, "batch_norm": "train", "head_factor": 1.0}
    with pytest.raises(ConfigError, match="host: PSPNet has no stages"):
        HRDANetwork(5, host, attention, None, 0.5, 0.25, 8, **rest, pretrained="none")
    with pytest.raises(ConfigError, match="offset_multiple=6: must be a multiple of 4"):
        make("backbone.offset_multiple=6")
    with pytest.raises(ConfigError, match="detail_window=0.5, detail_stride=0.6"):
        make("backbone.detail_stride=0.6")


def test_a_host_that_rounds_up_is_named() -> None:
    network = make()
    network.host.late[0].padding = (2, 2)
    with pytest.raises(ConfigError, match="9x13 logits for a window of 32x48.*stride of 4"):
        network(IMAGE)
