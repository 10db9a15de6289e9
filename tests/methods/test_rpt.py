"""RPT's pseudo-labels and losses against loops, its rounds, and who learns from what."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from conftest import CLASSES, compose, make_batch, make_network
from torch import Tensor

from uda_seg.batch import IGNORE, NO_SUPERPIXEL, Target, TargetPass
from uda_seg.config import build
from uda_seg.losses import partial_cross_entropy, unlikelihood
from uda_seg.methods.rpt import RPT
from uda_seg.training.rounds import round_at

IMAGES, SEGMENTS = 3, 8


@pytest.fixture
def network() -> Any:
    """One that sees all classes in the images below."""
    made = make_network(depth_head=False).eval()
    with torch.no_grad():
        images = torch.cat([target.image for target in targets()]).float() / 255
        spread = made(images).logits
        head = made.heads()[0]
        head.bias -= spread.mean((0, 2, 3))
        for parameter in head.parameters():
            parameter /= spread.std()
    return made.train()


def rpt(network: Any, *overrides: str, name: str = "rpt_plain") -> RPT:
    narrow = ["method.discriminator.width=4"] if name == "rpt" else []
    words = [f"method={name}", "backbone=tiny", "source=camvid", "target=camvid", *narrow]
    words += ["method.cluster_count=4", "method.order.hidden=8", *overrides]
    config: Any = compose("train", words)
    torch.manual_seed(1)
    return build(config["method"], network=network)


def segments(seed: int) -> Tensor:
    """(1, 64, 128): blocks of 32x32, numbered in an order of the image's own."""
    order = torch.randperm(SEGMENTS, generator=torch.Generator().manual_seed(seed))
    return order.view(2, 4).repeat_interleave(32, 0).repeat_interleave(32, 1)[None]


def targets() -> list[Target]:
    images = make_batch(size=IMAGES, seed=3).target.image.roll((5, 9), (2, 3))
    return [
        Target((images[i : i + 1] * 255).byte(), None, segments(i), torch.tensor([i]))
        for i in range(IMAGES)
    ]


def begun(method: RPT) -> RPT:
    method.eval()
    with torch.no_grad():
        method.start_round(TargetPass(targets(), IMAGES, torch.device("cpu")))
    return method


def predictions(method: RPT) -> list[Tensor]:
    with torch.no_grad():
        return [
            method.network(t.image.float() / 255, "target").logits.argmax(1)[0] for t in targets()
        ]


def votes(prediction: Tensor, blocks: Tensor, number: int) -> list[int]:
    return Counter(prediction[blocks == number].tolist()).most_common()[0]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_superpixels_of_one_mind_are_pulled_to_their_class(network: Any, share: float) -> None:
    method = begun(rpt(network, f"method.patch_share={share}"))
    for image, prediction in enumerate(predictions(method)):
        for number in range(SEGMENTS):
            chosen, count = votes(prediction, segments(image)[0], number)
            expected = chosen if count >= share * 32 * 32 else IGNORE
            assert method.pseudo_labels["patch"][image, number] == expected
    if share == 0.6:
        assert len(set(method.pseudo_labels["patch"].flatten().tolist())) > 1


def test_clusters_of_one_mind_pull_all_their_superpixels(network: Any) -> None:
    method = begun(rpt(network, "method.cluster_share=0.6"))
    assert method.cluster_of is not None
    members, found = method.cluster_of, {}
    classes = {
        (image, number): votes(prediction, segments(image)[0], number)[0]
        for image, prediction in enumerate(predictions(method))
        for number in range(SEGMENTS)
    }
    for cluster in members.unique().tolist():
        inside = [classes[i, s] for i, s in classes if members[i, s] == cluster]
        chosen, count = Counter(inside).most_common()[0]
        found[cluster] = chosen if count >= 0.6 * len(inside) else IGNORE
    for image, number in classes:
        assert method.pseudo_labels["cluster"][image, number] == found[int(members[image, number])]


def test_what_looks_alike_is_in_one_cluster(network: Any) -> None:
    """Blocks of one color have the same features in the middle, whatever the image."""
    method = rpt(network)
    plain = torch.zeros(1, 3, 64, 128, dtype=torch.uint8)
    plain[..., 64:] = 255
    images = [Target(plain, None, segments(i), torch.tensor([i])) for i in range(IMAGES)]
    method.eval()
    with torch.no_grad():
        method.start_round(TargetPass(images, IMAGES, torch.device("cpu")))
    assert method.cluster_of is not None
    corners = [
        {int(method.cluster_of[i, segments(i)[0, 16, x]]) for i in range(IMAGES)} for x in (16, 112)
    ]
    assert [len(c) for c in corners] == [1, 1]
    assert corners[0] != corners[1]


def test_illogical_superpixels_are_pushed_from_their_class(network: Any) -> None:
    method = rpt(network)
    assert method.order is not None
    given = torch.linspace(0, 1, SEGMENTS)[None]
    method.order.probabilities_of = lambda classes, blocks: given  # type: ignore[method-assign]
    begun(method)
    for image, prediction in enumerate(predictions(method)):
        for number in range(SEGMENTS):
            chosen = votes(prediction, segments(image)[0], number)[0]
            expected = chosen if given[0, number] < method.logic_threshold else IGNORE
            assert method.pseudo_labels["context"][image, number] == expected


def test_clusters_are_made_once_and_classes_every_round(network: Any) -> None:
    method = begun(rpt(network, "method.patch_share=0"))
    members, before = method.cluster_of, method.pseudo_labels["patch"].clone()
    with torch.no_grad():
        for parameter in network.heads()[0].parameters():
            parameter.neg_()
    begun(method)
    assert method.cluster_of is members
    assert not torch.equal(before, method.pseudo_labels["patch"])


def test_pseudo_labels_follow_crop_and_flip(network: Any) -> None:
    method = begun(rpt(network, "method.patch_share=0"))
    whole = segments(1)
    crop = whole[:, 10:40, 50:100].flip(2)
    crop[:, :, -5:] = NO_SUPERPIXEL
    index = torch.tensor([1])
    full = method.labels(Target(torch.zeros(0), None, whole, index))["patch"]
    part = method.labels(Target(torch.zeros(0), None, crop, index))["patch"]
    expected = full[:, 10:40, 50:100].flip(2).clone()
    expected[:, :, -5:] = IGNORE
    assert torch.equal(part, expected)
    assert full.unique().numel() > 1


def test_pseudo_labels_are_what_a_superpixel_is_pulled_to(network: Any) -> None:
    target = Target(torch.zeros(0), None, segments(1), torch.tensor([1]))
    assert rpt(network).pseudo_label(target) is None  # before the first round
    method = begun(rpt(network, "method.patch_share=0.9", "method.cluster_share=0"))
    pseudo, labels = method.pseudo_label(target), method.labels(target)
    assert pseudo is not None
    own = labels["patch"] != IGNORE
    assert torch.equal(pseudo.label[own], labels["patch"][own])
    assert torch.equal(pseudo.label[~own], labels["cluster"][~own])
    assert (~own & (pseudo.label != IGNORE)).any()
    assert torch.equal(pseudo.weight > 0, pseudo.label != IGNORE)


def by_hand(logits: Tensor, label: Tensor, push: bool) -> float:
    probabilities, total = logits.softmax(1), 0.0
    for b in range(label.shape[0]):
        for y in range(label.shape[1]):
            for x in range(label.shape[2]):
                if label[b, y, x] != IGNORE:
                    p = float(probabilities[b, label[b, y, x], y, x])
                    total -= math.log(1 - p if push else p)
    return total / label.numel()


@pytest.mark.parametrize("push", [False, True])
def test_losses_equal_a_loop_over_pixels(push: bool) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, CLASSES, 5, 7)
    label = torch.randint(CLASSES, (2, 5, 7))
    label[:, :2] = IGNORE
    ours = (unlikelihood if push else partial_cross_entropy)(logits, label)
    assert float(ours) == pytest.approx(by_hand(logits, label, push), rel=1e-5)


def test_pushing_away_stays_finite_where_the_network_is_sure() -> None:
    logits = torch.tensor([60.0, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    loss = unlikelihood(logits, torch.zeros(1, 1, 1, dtype=torch.long))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(60 - math.log(2), rel=1e-4)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert unlikelihood(logits, torch.full((1, 1, 1), IGNORE)) == 0


@pytest.mark.parametrize("name", ["rpt", "rpt_plain"])
def test_regularisers_teach_the_network_alone(network: Any, name: str) -> None:
    method = begun(
        rpt(network, "method.patch_share=0.3", "method.logic_threshold=1", name=name)
    ).train()
    batch = make_batch(size=IMAGES, seed=3)
    batch.target.superpixels = torch.cat([segments(i) for i in range(IMAGES)])
    batch.target.index = torch.arange(IMAGES)
    losses = {k: v for part in method.losses(batch) for k, v in part.items()}
    for regulariser in ("patch", "context"):
        method.zero_grad()
        losses[regulariser].backward(retain_graph=True)
        assert any(bool(p.grad.any()) for p in network.parameters() if p.grad is not None)
        others = [p for n, p in method.named_parameters() if not n.startswith("network.")]
        assert not any(p.grad is not None and p.grad.any() for p in others)
    method.zero_grad()
    losses["order"].backward()
    assert not any(p.grad is not None and p.grad.any() for p in network.parameters())


def test_without_regularisers_it_is_its_base(network: Any) -> None:
    """rpt is AdaptSegNet then, and rpt_plain the control."""
    nothing = [f"method.lambda_{name}=null" for name in ("patch", "cluster", "context")]
    method = rpt(network, *nothing, name="rpt")
    words = ["method=adaptseg_single", "method.discriminator.width=4", "backbone=tiny"]
    config: Any = compose("train", words)
    torch.manual_seed(1)
    base = build(config["method"], network=network)
    ours, theirs = (
        {k: float(v.detach()) for part in m.losses(make_batch()) for k, v in part.items()}
        for m in (method, base)
    )
    assert ours == theirs
    assert set(method.players()) == {"network", "discriminator"}


def test_a_checkpoint_holds_the_round(network: Any) -> None:
    method = begun(rpt(network))
    method.round = 2
    other = rpt(network)
    other.load_state_dict(method.state_dict())
    assert other.round == 2
    assert torch.equal(other.pseudo_labels["patch"], method.pseudo_labels["patch"])
    assert method.cluster_of is not None
    assert other.cluster_of is not None
    assert torch.equal(other.cluster_of, method.cluster_of)


def test_pictures_show_superpixels_clusters_and_pseudo_labels(network: Any) -> None:
    method, first = begun(rpt(network)), targets()[0]
    first.image = first.image.float() / 255
    shown = method.color_pictures(first)
    assert list(shown) == [
        "superpixels", "clusters", "patch pseudo-label", "cluster pseudo-label",
        "context pseudo-label",
    ]  # fmt: skip
    for name in ("superpixels", "clusters"):
        assert shown[name].shape == (1, 3, 64, 128)
        assert 0 <= float(shown[name].min()) <= float(shown[name].max()) <= 1


def test_rounds_are_equally_long_and_begin_after_the_base() -> None:
    rounds = [round_at(step, 100, 3, 0.25) for step in range(100)]
    assert Counter(rounds) == {0: 25, 1: 25, 2: 25, 3: 25}
    assert rounds == sorted(rounds)
    assert [round_at(step, 10, 0, 0.5) for step in range(10)] == [0] * 10
    assert round_at(0, 10, 2, 0.0) == 1


def test_a_survey_puts_findings_of_all_sizes_into_one_table() -> None:
    target_images = TargetPass([], 4, torch.device("cpu"))
    table = target_images.table({2: torch.tensor([1, 2, 3]), 0: torch.tensor([4])}, empty=-1)
    assert table.tolist() == [[4, -1, -1], [-1, -1, -1], [1, 2, 3], [-1, -1, -1]]
