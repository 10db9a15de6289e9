"""HRDA trains exactly as the published algorithm; what its losses are taken over."""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import make, method_config
from test_dacs import THRESHOLD, close, mix, move, sgd
from test_daformer import distance
from torch import Tensor

from uda_seg.batch import IGNORE, Batch
from uda_seg.config import build
from uda_seg.errors import ConfigError
from uda_seg.training.optimization import seed_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the teacher, but for batch norm
]
Window = tuple[slice, slice]


def logits_and_features(network: Any, image: Tensor) -> tuple[Tensor, Tensor]:
    features = network.host.late(network.host.early(image))
    return network.host.head(features), features


def window_of(height: int, width: int) -> Window:
    """methods_modern 7: half of each side; offsets randint(0, (margin + 1) div 8) · 8."""
    numbers = torch.rand(2)
    rows, columns = (
        (int(number * ((side // 2 + 1) // 8)) * 8, side // 2)
        for number, side in zip(numbers, (height, width), strict=True)
    )
    return slice(rows[0], sum(rows)), slice(columns[0], sum(columns))


def slid(network: Any, image: Tensor) -> Tensor:
    """Nine windows in one pass, their logits averaged where they overlap; stride 4."""
    height, width = image.shape[-2:]
    places = [(y, x) for y in range(0, height // 2 + 1, height // 4)
              for x in range(0, width // 2 + 1, width // 4)]  # fmt: skip
    windows = [image[..., y : y + height // 2, x : x + width // 2] for y, x in places]
    parts = logits_and_features(network, torch.cat(windows))[0].split(len(image))
    total, times = torch.zeros(len(image), 4, height // 4, width // 4), torch.zeros(1)
    for part, (y, x) in zip(parts, places, strict=True):
        around = (x // 4, (width // 2 - x) // 4, y // 4, (height // 2 - y) // 4)
        total, times = total + F.pad(part, around), times + F.pad(torch.ones_like(part), around)
    return total / times


def two_resolutions(network: Any, image: Tensor, window: Window | None) -> SimpleNamespace:
    """methods_modern 7, fusion, steps 1 to 3."""
    image = (image - network.mean) / network.std
    low, features = logits_and_features(network, F.avg_pool2d(image, 2))
    if window is None:
        high = inserted = slid(network, image)
    else:
        high = logits_and_features(network, image[..., window[0], window[1]])[0]
        inserted = torch.zeros(len(image), 4, image.shape[2] // 4, image.shape[3] // 4)
        rows, columns = (slice(part.start // 4, part.stop // 4) for part in window)
        inserted[..., rows, columns] = high
    attention = network.attention(features).sigmoid()
    if window is not None:
        mask = torch.zeros_like(attention)
        rows, columns = (slice(part.start // 8, part.stop // 8) for part in window)
        mask[..., rows, columns] = 1
        attention = attention * mask
    low, attention = (
        F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)
        for maps in ((1 - attention) * low, attention)
    )
    fused, high = (
        F.interpolate(maps, scale_factor=4.0, mode="bilinear", align_corners=False)
        for maps in (attention * inserted + low, high)
    )
    return SimpleNamespace(logits=fused, high=high, features=features)


def loss(found: Any, label: Tensor, weight: Tensor, window: Window) -> Tensor:
    """0.9 of both together, 0.1 of detail alone, means over all pixels."""
    rows, columns = window
    parts = [(found.logits, label, weight)]
    parts += [(found.high, label[:, rows, columns], weight[:, rows, columns])]
    both, alone = (
        (F.cross_entropy(logits, own, ignore_index=IGNORE, reduction="none") * count).mean()
        for logits, own, count in parts
    )
    return 0.9 * both + 0.1 * alone


def published(network: Any, guide: Any, batches: list[Batch], augment: Any) -> Any:
    """methods_modern 1.2, 6 and 7."""
    teacher, optimizer = deepcopy(network).train(), sgd(network)
    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        if step:
            move(teacher, network, step, 0.999)
        source, label = batch.source.image, batch.source.label
        height, width = label.shape[-2:]
        window = window_of(height, width)
        found = two_resolutions(network, source, window)
        loss(found, label, torch.ones(label.shape), window).backward(retain_graph=True)
        with torch.no_grad():
            half = F.avg_pool2d((source - guide.mean) / guide.std, 2)
            near = logits_and_features(guide, half)[1]
        (0.005 * distance(found.features, near, label, stride=8)).backward()
        sliding = lambda image: two_resolutions(teacher, image, None)  # noqa: E731
        image, label, weight = mix(sliding, batch, augment, of_batch=True)
        y, x = (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width
        trusted = ((y > 30 / 1024) & (y < 1 - 240 / 1024))[:, None]
        trusted = trusted & (x > 30 / 2048) & (x < 1 - 30 / 2048)
        weight = torch.where(weight == 1, weight, weight * trusted)
        window = window_of(height, width)
        loss(two_resolutions(network, image, window), label, weight, window).backward()
        optimizer.step()
    move(teacher, network, len(batches), 0.999)
    return teacher


def test_same_weights_and_buffers_as_the_published_algorithm(network: Any) -> None:
    method: Any = make(("hrda", (THRESHOLD,)), network)
    with torch.no_grad():  # a run that starts elsewhere is still guided by ImageNet's weights
        for weight in method.network.parameters():
            weight += 0.02 * torch.randn_like(weight)
    reference, guide = deepcopy(method.network), deepcopy(method.guide.network).eval()
    start = deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published(reference, guide, deepcopy(batches), method.augmentation)
    train(method, batches)
    for ours, theirs in (
        (method.network, reference),
        (method.teacher.network, teacher),
        (method.guide.network, guide),
    ):
        close(ours, theirs)
    moved = [k for k, v in method.state_dict().items() if not torch.equal(v, start[k])]
    for part in ("attention", "host.early", "host.late", "host.head"):
        assert any(k.startswith(f"network.{part}") for k in moved), part
    assert any("running_mean" in k and k.startswith("teacher") for k in moved)


def test_detail_has_the_labels_and_weights_of_its_window(network: Any) -> None:
    """A window of pixels without a label or weight adds nothing."""
    method: Any = make(("hrda", ()), network)
    batch = make_batch()
    prediction = method.network(batch.source.image)
    detail, shape = prediction.detail, batch.source.label.shape
    label, weight = torch.zeros(shape, dtype=torch.long), torch.ones(shape)
    detail.of(weight)[:] = 0
    fused = F.cross_entropy(prediction.logits, label, reduction="none")
    expected = 0.9 * (fused * weight).mean()
    torch.testing.assert_close(method.student_loss(prediction, label, weight), expected)
    detail.of(label)[:] = IGNORE
    torch.testing.assert_close(method.student_loss(prediction, label), expected)


def test_without_loss_on_detail_all_weight_is_on_both(network: Any) -> None:
    method: Any = make(("hrda", ("method.lambda_detail=0",)), network)
    batch = make_batch()
    prediction = method.network(batch.source.image)
    label = torch.zeros_like(batch.source.label)
    expected = F.cross_entropy(prediction.logits, label)
    torch.testing.assert_close(method.student_loss(prediction, label), expected)


def test_a_step_costs_what_it_must(network: Any) -> None:
    """The student at two resolutions of two images, its teacher at two, its guide at one."""
    method: Any = make(("hrda", ()), network)
    passes: list[str] = []
    nets = {"s": method.network, "t": method.teacher.network, "g": method.guide.network}
    for name, net in nets.items():
        net.host.late.register_forward_hook(lambda *_, name=name: passes.append(name))
    list(method.losses(make_batch()))
    assert "".join(passes) == "ssgttss"


def test_a_network_of_one_resolution_is_refused(network: Any) -> None:
    with pytest.raises(ConfigError, match=r"two resolutions; choose .*hrda_small, or method=daf"):
        build(method_config("hrda"), network=network)
