"""DACS trains exactly as the published algorithm: its authors', and DAFormer's version of it."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import make

from uda_seg.batch import IGNORE, Batch
from uda_seg.errors import ConfigError
from uda_seg.training.optimization import seed_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the teacher, but for batch norm
]

THRESHOLD = "method.threshold=0.3"  # an untrained network of four classes is not sure of anything
"""Set so that some pixels are sure and others are not."""


def sgd(network: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)


def move(teacher: Any, student: Any, t: int, rate: float) -> None:
    share = min(1 - 1 / (t + 1), rate)
    for own, other in zip(teacher.parameters(), student.parameters(), strict=True):
        own.data = share * own.data + (1 - share) * other.data


def close(ours: Any, theirs: Any) -> None:
    """Weights and buffers of two networks."""
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, rtol=1e-5, atol=1e-7, msg=key)


def choose(labels: torch.Tensor, of_batch: bool) -> torch.Tensor:
    """Half of the classes of each image, with the random numbers that ours uses."""
    numbers = torch.rand(len(labels), 256)
    masks = []
    for label, own in zip(labels, numbers, strict=True):
        there = (labels if of_batch else label).unique().tolist()
        there.sort(key=lambda c: float(own[c]))
        chosen = there[: (len(there) + len(there) % 2) // 2]
        masks.append(sum(label == c for c in chosen) > 0)
    return torch.stack(masks)


def mix(teacher: Any, batch: Batch, augment: Any, of_batch: bool) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        confidence, label = teacher(batch.target.image).logits.softmax(1).max(1)
    weight = int((confidence >= 0.3).sum()) / confidence.numel()
    assert 0 < weight < 1, "a test of nothing"
    mask = choose(batch.source.label, of_batch)
    image = mask[:, None] * batch.source.image + ~mask[:, None] * batch.target.image
    label = mask * batch.source.label + ~mask * label
    return augment(image), label, mask + ~mask * weight


def published(network: Any, batches: list[Batch], augment: Any, daformer: bool) -> Any:
    """methods_modern 1.2 and 5: one backward pass of the sum, the teacher moved after the step
    (DACS), or before the next one (DAFormer).
    """
    teacher, optimizer = deepcopy(network).train(), sgd(network)
    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        if daformer and step:
            move(teacher, network, step, 0.99)
        logits = network(batch.source.image).logits
        errors = F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE, reduction="none")
        counted = errors.numel() if daformer else int((batch.source.label != IGNORE).sum())
        loss = errors.sum() / counted
        image, label, weight = mix(teacher, batch, augment, of_batch=daformer)
        logits = network(image).logits
        errors = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
        (loss + (errors * weight).mean()).backward()
        optimizer.step()
        if not daformer:
            move(teacher, network, step, 0.99)
    if daformer:  # ours is ready for the next step
        move(teacher, network, len(batches), 0.99)
    return teacher


@pytest.mark.parametrize("name", ["dacs", "dacs_daformer"])
def test_same_weights_and_buffers_as_the_published_algorithm(network: Any, name: str) -> None:
    method: Any = make((name, (THRESHOLD,)), network)
    reference, start = deepcopy(network), deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published(reference, deepcopy(batches), method.augmentation, "daformer" in name)
    train(method, batches)
    for ours, theirs in ((method.network, reference), (method.teacher.network, teacher)):
        close(ours, theirs)
    moved = [k for k, v in method.state_dict().items() if not torch.equal(v, start[k])]
    assert {k.partition(".")[0] for k in moved} == {"network", "teacher"}
    assert any("running_mean" in k and k.startswith("teacher") for k in moved)
    assert int(method.teacher.moves) == STEPS


def test_a_step_costs_two_passes_of_the_student_and_one_of_the_teacher(network: Any) -> None:
    method: Any = make(("dacs", ()), network)
    passes: list[str] = []
    for name, net in (("student", method.network), ("teacher", method.teacher.network)):
        net.register_forward_hook(lambda *_, name=name: passes.append(name))
    list(method.losses(make_batch()))
    assert sorted(passes) == ["student", "student", "teacher"]


def test_void_that_is_pasted_loses_its_loss_and_margins_theirs(network: Any) -> None:
    words = ("method.class_share=1", "method.margins.bottom=0.25", THRESHOLD)
    method: Any = make(("dacs", words), network)
    batch = make_batch()
    method.teacher.begin(method.network)
    pseudo = method.pseudo_label(batch.target)
    rows = pseudo.label.shape[1] // 4
    assert bool((pseudo.weight[:, -rows:] == 0).all())
    assert bool((pseudo.weight[:, :-rows] > 0).all())
    image, label, weight = method.mixed(batch, pseudo)
    assert torch.equal(label, batch.source.label), "all classes are pasted, IGNORE too"
    assert bool((weight == 1).all())
    assert image.shape == batch.source.image.shape


def test_thresholds_by_class_replace_the_one_weight_and_are_kept(network: Any) -> None:
    words = ("method.sure_share=0.5", "method.margins.bottom=0.25")
    method: Any = make(("dacs", words), network)
    batch = make_batch()
    assert sum(k.endswith("counts") for k in method.state_dict()) == 1
    list(method.losses(batch))
    assert float(method.thresholds.counts.sum()) == method.pseudo.label.numel()
    weight, rows = method.pseudo.weight, method.pseudo.label.shape[1] // 4
    assert set(weight.unique().tolist()) == {0.0, 1.0}
    assert not weight[:, -rows:].any()
    for label in method.pseudo.label.unique():
        own = weight[:, :-rows][method.pseudo.label[:, :-rows] == label]
        assert bool(own.any()), "each class has labels that count"
    assert not any("counts" in k for k in make(("dacs", ()), network).state_dict())


@pytest.mark.parametrize(
    "variant",
    [("dacs", ()), ("mic", ("method@method.base=adaptseg", "method.masked_images=both"))],
)
def test_images_of_two_sizes_are_refused_with_the_keys_that_set_them(
    variant: Any, network: Any
) -> None:
    batch, other = make_batch(), make_batch()
    other.target.image = other.target.image[..., :48, :96]
    method: Any = make(variant, network)
    with pytest.raises(ConfigError, match=r"\[64, 128\].*\[48, 96\].*target.augment.crop"):
        list(method.losses(Batch(batch.source, other.target)))
