"""CBST and CRST: thresholds, labels and losses are the papers'; rounds train as published."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, make_batch
from test_adaptsegnet import TOTAL, train
from test_all_methods import make, method_config

from uda_seg.batch import IGNORE, Batch, Target, TargetPass
from uda_seg.components.confidences import Confidences
from uda_seg.methods.cbst import balanced_labels, smooth_labels
from uda_seg.networks.modes import evaluating

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the network that labels
]

K = torch.tensor([0.9, 0.5, 0.8])


def pixels(*each: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, N)."""
    return torch.tensor(each).T[None, :, None]


@pytest.mark.parametrize(
    ("portion", "wanted"), [(0.2, 0.97), (0.25, 0.97), (0.3, 0.95), (0.5, 0.80), (0.05, 1.0)]
)
def test_thresholds_by_portion(portion: float, wanted: float) -> None:
    confidences = Confidences(2, torch.device("cpu"))
    ten = torch.tensor([0.99, 0.97, 0.95, 0.90, 0.80, 0.70, 0.60, 0.52, 0.51, 0.505])
    confidences.add(torch.stack([ten, 1 - ten])[None, :, None])
    places = (confidences.counts.double() * portion).floor().long()
    found = confidences.largest(places)
    torch.testing.assert_close(found, torch.tensor([wanted, 1.0]), rtol=0, atol=1e-5)


def test_every_fourth_pixel_of_a_class_counts() -> None:
    confidences = Confidences(2, torch.device("cpu"), every=4)
    sure = torch.tensor([[0.6, 0.7, 0.2, 0.8, 0.9], [0.55, 0.1, 0.65, 0.75, 0.3]])
    confidences.add(torch.stack([sure, 1 - sure])[None])
    assert confidences.counts.tolist() == [2, 1]  # 0.6 and 0.55; 1 - 0.2
    found = confidences.largest(torch.tensor([2, 1]))
    torch.testing.assert_close(found, torch.tensor([0.55, 0.8]), rtol=0, atol=1e-5)


def test_balanced_labels() -> None:
    found = balanced_labels(
        pixels((0.6, 0.3, 0.1), (0.85, 0.1, 0.05), (0.3, 0.2, 0.5), (0.05, 0.55, 0.4)), K
    )
    assert found.flatten().tolist() == [IGNORE, IGNORE, IGNORE, 1]


def test_smooth_labels() -> None:
    given = pixels((0.05, 0.55, 0.4), (0.6, 0.3, 0.1), (0.4, 0.35, 0.25))
    found = smooth_labels(given, K, 0.25)[0, :, 0].T
    wanted = torch.tensor([[0.000006, 0.959053, 0.040940], [0.0] * 3, [0.0] * 3])
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-6)
    shares = smooth_labels(given, K * 0.01, 0.25)[0, :, 0].T  # so that all are kept
    others = torch.tensor([[0.603378, 0.395876, 0.000746], [0.135173, 0.831788, 0.033039]])
    torch.testing.assert_close(shares[1:], others, rtol=0, atol=2e-6)


def test_the_regulariser_of_a_pixel(network: Any) -> None:
    method: Any = make(("crst", ("method.mirror=false", "method.scale=1")), network)
    logits = torch.tensor([2.0, 1.0, 0.0]).view(1, 3, 1, 1)
    label = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    losses = method.taught(logits, label)
    assert float(losses["pseudo_label"]) == pytest.approx(0.407606, abs=1e-6)
    assert float(losses["kld"]) == pytest.approx(1.407606, abs=1e-6)
    total = losses["pseudo_label"] + 0.01 * losses["kld"]
    assert float(total) == pytest.approx(0.421682, abs=1e-6)


def chances(net: Any, image: torch.Tensor) -> torch.Tensor:
    """At 3/4, with the mirror image, by a copy in evaluation mode."""
    found = 0
    with torch.no_grad():
        for mirrored in (False, True):
            seen = F.interpolate(image, scale_factor=0.75, mode="bilinear")
            small = net.head(net(seen.flip(3) if mirrored else seen).features)
            large = F.interpolate(small, image.shape[-2:], mode="bilinear").softmax(1)
            found = found + (large.flip(3) if mirrored else large) / 2
    return found


def least(net: Any, images: list[torch.Tensor], portion: float) -> list[float]:
    sure: list[list[float]] = [[] for _ in range(CLASSES)]
    for image in images:
        for one in chances(net, image):
            confidence, label = one.max(0)
            for number in range(CLASSES):
                sure[number] += confidence[label == number].tolist()[::4]
    ordered = [sorted(values, reverse=True) for values in sure]
    places = [int(len(values) * portion) for values in sure]
    return [v[n - 1] if n else 1.0 for v, n in zip(ordered, places, strict=True)]


def published(net: Any, batches: list[Batch], looked: list[Any], kind: str) -> list[list[float]]:
    """methods_modern 4, two rounds of three steps; hard labels, MRKLD or LRENT."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    found, teacher = [], net
    for step, batch in enumerate(batches):
        if step % 3 == 0:
            teacher = deepcopy(net).eval()
            found.append(least(teacher, looked, 0.2 if step == 0 else 0.25))
        k = torch.tensor(found[-1])
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        logits = net(batch.source.image).logits
        loss = 0.2 * F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE)
        log_p = net(batch.target.image).logits.log_softmax(1).movedim(1, 3).flatten(0, 2)
        given = chances(teacher, batch.target.image).movedim(1, 3).flatten(0, 2)
        if kind == "soft":
            y = (given / k) ** 4
            y = y / y.sum(1, keepdim=True)
            left = -(y * given.log()).sum(1) + 0.25 * (y * y.log()).sum(1)
            keep = left < -(y * k.log()).sum(1)
            taught = -(y * log_p).sum(1)
        else:
            score, label = (given / k).max(1)
            keep = score >= 1
            taught = -log_p.gather(1, label[:, None])[:, 0]
        assert 0 < int(keep.sum()) < len(keep), "a test of nothing"
        loss = loss + 0.8 * taught[keep].sum() / keep.sum()
        if kind == "kld":
            loss = loss + 0.3 * -log_p[keep].mean(1).sum() / keep.sum()
        loss.backward()
        optimizer.step()
    return found


WORDS = {"cbst": ("cbst", ()), "kld": ("crst", ("method.lambda_kld=0.3",)),
         "soft": ("crst", ("method.lambda_kld=null", "method.labels=soft"))}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_same_weights_as_the_published_algorithm(network: Any, kind: str) -> None:
    name, words = WORDS[kind]
    method: Any = make((name, (*words, "method.scale=0.75", "method.rounds=2")), network)
    batches = [make_batch(seed=step) for step in range(6)]
    # Rounds look at bytes.
    looked = [(255 * batch.target.image).round().byte() for batch in batches]
    images = [image.float() / 255 for image in looked]
    reference = deepcopy(network)
    wanted = published(reference, deepcopy(batches), images, kind)
    rounds: list[torch.Tensor] = []
    method.rounds, steps = 0, [0]  # begun by hand, since `train` has no data module

    def begin(number: int) -> None:
        method.round = number
        with evaluating(method):
            whole = [Target(image) for image in looked]
            method.start_round(TargetPass(whole, len(whole), torch.device("cpu")))
        rounds.append(method.thresholds.clone())
        method.thresholds.copy_(torch.tensor(wanted[number - 1]))  # without rounding

    def stepped() -> None:
        steps[0] += 1
        if steps[0] == 3:
            begin(2)

    method.after_step = stepped
    begin(1)
    train(method, batches)
    torch.testing.assert_close(torch.stack(rounds), torch.tensor(wanted), rtol=0, atol=1e-5)
    for key, value in reference.state_dict().items():
        ours = method.network.state_dict()[key]
        torch.testing.assert_close(ours, value, rtol=1e-5, atol=1e-7, msg=key)


def test_published_constants() -> None:
    cbst, crst = method_config("cbst"), method_config("crst")
    assert (cbst["rounds"], cbst["portion"], cbst["portion_step"]) == (3, 0.2, 0.05)
    assert (cbst["largest_portion"], cbst["scale"], cbst["mirror"]) == (0.5, 0.9, True)
    assert cbst["weights"]["kld"] is None
    assert crst["weights"]["kld"] == 0.008  # 0.01 of the target's 0.8
