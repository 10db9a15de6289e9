"""FDA's swap, entropy and thresholds are the paper's; it trains exactly as the published loops."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, make_batch, make_network
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import make, method_config

from uda_seg.batch import IGNORE, Batch, Target, TargetPass
from uda_seg.components.confidences import Confidences
from uda_seg.components.entropy import robust_entropy
from uda_seg.components.fourier import with_style
from uda_seg.config import build
from uda_seg.methods.fda import thresholds

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the labellers
]

RAMP = torch.arange(16.0).view(1, 1, 4, 4)
BRIGHT = torch.full((1, 1, 4, 4), 10.0)
BRIGHT[..., 1:3, 1:3] = 20
SWAPPED = [[10.0, 6, 5, 11], [9, 10, 14, 15], [5, 11, 20, 16], [14, 15, 19, 20]]
CORNERS = [[6.25, 6, 7.25, 9.5], [9, 8.75, 12.5, 14.75], [10.25, 12.5, 16.25, 16],
           [15.5, 17.75, 19, 18.75]]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "square", "wanted"),
    [
        (0.1, "symmetric", (RAMP + 5)[0, 0]),  # the means alone
        (0.25, "symmetric", torch.tensor(SWAPPED)),
        (0.25, "corners", torch.tensor(CORNERS)),
        (0.1, "corners", RAMP[0, 0]),
    ],
)
def test_the_style_of_another_image(share: float, square: str, wanted: torch.Tensor) -> None:
    found = with_style(RAMP, BRIGHT, share, square)[0, 0]
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("share", "side"), [(0.01, 11), (0.05, 51), (0.09, 93)])
def test_the_size_of_the_square(share: float, side: int) -> None:
    """Of 512 x 1024, seen by how many frequencies of an even spectrum change."""
    point = torch.zeros(1, 1, 512, 1024)
    point[..., 0, 0] = 1
    changed = torch.fft.fft2(with_style(point, 3 * point, share, "symmetric")).abs() > 2
    assert int(changed.sum()) == side**2


def test_a_style_of_another_size_is_resized() -> None:
    big = F.interpolate(BRIGHT, (8, 8), mode="nearest")
    mean = with_style(RAMP, big, 0.0, "symmetric").mean()
    torch.testing.assert_close(mean, BRIGHT.mean(), rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("probabilities", "penalty"),
    [((0.7, 0.2, 0.1), 0.283744), ((0.5, 0.5, 0.0), 0.158462), ((1 / 3,) * 3, 1.00000002),
     ((0.98, 0.01, 0.01), 1.07640e-4)],
)  # fmt: skip
def test_the_penalty_of_entropy(probabilities: Any, penalty: float) -> None:
    logits = torch.tensor(probabilities).clamp(min=1e-30).log().view(1, 3, 1, 1)
    assert float(robust_entropy(logits, 2.0)) == pytest.approx(penalty, rel=1e-5)


def sureness(*of_class: list[float]) -> Confidences:
    """As many classes as lists; the rest of a pixel's probability is another class's."""
    found = Confidences(len(of_class), torch.device("cpu"))
    for number, values in enumerate(of_class):
        for value in values:
            pixel = torch.full((1, len(of_class), 1, 1), (1 - value) / 100)
            pixel[0, number] = value
            found.add(pixel)
    return found


def test_thresholds_of_the_classes() -> None:
    ten = [0.3, 0.5, 0.55, 0.6, 0.7, 0.8, 0.85, 0.92, 0.95, 0.99]
    low = [0.5 * value for value in ten]
    found = thresholds(sureness(ten, low, [], [0.4]), 0.66, 0.9)
    torch.testing.assert_close(found, torch.tensor([0.9, 0.46, 0.0, 0.4]), rtol=0, atol=1e-5)


def swap(image: torch.Tensor, style: torch.Tensor) -> torch.Tensor:
    """By shifted spectra, as the paper writes it: beta 0.05 of 64 rows is a b of 3."""
    own = torch.fft.fftshift(torch.fft.fft2(image), dim=(-2, -1))
    other = torch.fft.fftshift(torch.fft.fft2(style), dim=(-2, -1))
    amplitude, phase = own.abs(), own.angle()
    amplitude[..., 29:36, 61:68] = other.abs()[..., 29:36, 61:68]
    mixed = torch.complex(amplitude * phase.cos(), amplitude * phase.sin())
    return torch.fft.ifft2(torch.fft.ifftshift(mixed, dim=(-2, -1))).real


def published(network: Any, batches: list[Batch], labels: list[torch.Tensor] | None) -> None:
    """methods_modern 3, one backward pass of the sum; entropy from the third step on."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        style = batch.target.image if labels is None else batch.target.image[[1, 0]]
        logits = network(swap(batch.source.image, style)).logits
        loss = F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE)
        prediction = network(batch.target.image)
        small = network.head(prediction.features)
        chances = small.softmax(1)
        entropy = -(chances * small.log_softmax(1)).sum(1) / torch.log(torch.tensor(4.0))
        if step > 1:
            loss = loss + 0.5 * ((entropy**2 + 1e-8) ** 2).mean()
        if labels is not None:
            loss = loss + F.cross_entropy(prediction.logits, labels[step], ignore_index=IGNORE)
        loss.backward()
        optimizer.step()


WORDS = ("method.band=0.05", "method.lambda_ent=0.5", "method.switch2entropy=1")


def same(ours: Any, theirs: Any) -> None:
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-5, atol=1e-7, msg=key)


def test_same_weights_as_the_published_algorithm(network: Any) -> None:
    method: Any = make(("fda", WORDS), network)
    reference = deepcopy(network)
    batches = [make_batch(seed=step) for step in range(STEPS)]
    published(reference, deepcopy(batches), None)
    train(method, batches)
    same(method.network, reference)
    assert int(method.steps) == STEPS


def labelled(three: list[Any], image: torch.Tensor, least: list[float]) -> torch.Tensor:
    """Mean of small probabilities, enlarged; void where it is not sure enough of its class."""
    with torch.no_grad():
        small = [net.eval().head(net(image).features).softmax(1) for net in three]
        mean = sum(F.interpolate(one / 3, image.shape[-2:], mode="bilinear") for one in small)
    confidence, label = mean.max(1)
    for number, threshold in enumerate(least):
        label[(label == number) & (confidence < threshold)] = IGNORE
    return label


def test_a_later_round_is_the_published_one_too(network: Any) -> None:
    three = [make_network(depth_head=False) for _ in range(3)]
    for number, one in enumerate(three):
        torch.manual_seed(number)
        one.head.reset_parameters()
    method: Any = build(method_config("fda", WORDS), network=network, labellers=deepcopy(three))
    batches = [make_batch(seed=step) for step in range(STEPS)]
    images = [batch.target.image for batch in batches]
    sure: list[list[float]] = [[] for _ in range(CLASSES)]
    for image in images:
        with torch.no_grad():
            small = [net.eval().head(net(image).features).softmax(1) for net in three]
            mean = sum(F.interpolate(one / 3, image.shape[-2:], mode="bilinear") for one in small)
        for value, label in zip(*(part.flatten().tolist() for part in mean.max(1)), strict=True):
            sure[label].append(value)
    for values in sure:
        values.sort()
    least = [min(0.9, v[round(0.66 * len(v))]) if v else 0.0 for v in sure]
    method.round = 1
    looked = [Target((255 * image).round().byte()) for image in images]
    method.start_round(TargetPass(looked, len(looked), torch.device("cpu")))
    torch.testing.assert_close(method.thresholds, torch.tensor(least), rtol=0, atol=2e-3)
    # Images were bytes above; and no pixel is to lie at a threshold, where rounding decides.
    least = [value - 1e-5 for value in least]
    method.thresholds.copy_(torch.tensor(least))
    labels = [labelled(three, image, least) for image in images]
    assert all(0 < int((one == IGNORE).sum()) < one.numel() for one in labels), "a test of nothing"
    reference, before = deepcopy(network), deepcopy(method.labellers.state_dict())
    published(reference, deepcopy(batches), labels)
    method.rounds = 0  # the round has begun
    train(method, batches)
    same(method.network, reference)
    assert all(torch.equal(v, before[k]) for k, v in method.labellers.state_dict().items())


def test_published_constants() -> None:
    method = method_config("fda")
    assert method["weights"] == {"segmentation": 1.0, "entropy": 0.005, "pseudo_label": 1.0}
    assert (method["exponent"], method["unlabelled_share"], method["certain"]) == (2.0, 0.66, 0.9)
