"""DAFormer trains exactly as the published algorithm; where its feature distance counts."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import make
from test_dacs import THRESHOLD, close, mix, move, sgd

from uda_seg.batch import IGNORE, Batch
from uda_seg.errors import ConfigError
from uda_seg.methods.daformer import cell_labels
from uda_seg.training.optimization import seed_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the teacher, but for batch norm
]


def test_a_cell_is_of_the_class_that_fills_three_quarters_of_it() -> None:
    """12 of 16 pixels are .75; 10, 3 and 3 of void are not."""
    label = torch.zeros(1, 4, 8, dtype=torch.long)
    label[0, :3, :4] = 1
    label[0, :, 4:] = 2
    label[0, 0, 4:7], label[0, 1, 4:7] = 0, IGNORE
    cells, void = cell_labels(label, 3, (1, 2), 0.75)
    assert cells[0, 0, 0] == 1
    assert void.tolist() == [[[False, True]]]
    everywhere = torch.full_like(label, IGNORE)
    assert bool(cell_labels(everywhere, 3, (1, 2), 0.75)[1].all())


def distance(
    features: torch.Tensor, guide: torch.Tensor, label: torch.Tensor, stride: int = 4
) -> torch.Tensor:
    """methods_modern 6: classes 1 (car) and 3 (person) are things."""
    one_hot = F.one_hot(torch.where(label == IGNORE, 4, label), 5).permute(0, 3, 1, 2).float()
    shares, winner = F.avg_pool2d(one_hot, stride).max(1)
    things = ((winner == 1) | (winner == 3)) & (shares >= 0.75)
    assert bool(things.any())
    return (features - guide).norm(dim=1)[things].mean()


def published(network: Any, guide: Any, batches: list[Batch], augment: Any) -> Any:
    teacher, optimizer = deepcopy(network).train(), sgd(network)
    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        if step:
            move(teacher, network, step, 0.999)
        source = network(batch.source.image)
        label = batch.source.label
        errors = F.cross_entropy(source.logits, label, ignore_index=IGNORE, reduction="none")
        errors.mean().backward(retain_graph=True)
        with torch.no_grad():
            near = guide(batch.source.image).features
        (0.005 * distance(source.features, near, label)).backward()
        image, label, weight = mix(teacher, batch, augment, of_batch=True)
        height = weight.shape[1]
        pasted = weight == 1
        rows = (torch.arange(height) + 0.5) / height
        trusted = (rows > 15 / 512) & (rows < 1 - 120 / 512)
        weight = torch.where(pasted, weight, weight * trusted[:, None])
        logits = network(image).logits
        errors = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")
        (errors * weight).mean().backward()
        optimizer.step()
    move(teacher, network, len(batches), 0.999)
    return teacher


def test_same_weights_and_buffers_as_the_published_algorithm(network: Any) -> None:
    method: Any = make(("daformer", (THRESHOLD,)), network)
    with torch.no_grad():  # a run that starts elsewhere is still guided by ImageNet's weights
        for weight in network.parameters():
            weight += 0.02 * torch.randn_like(weight)
    reference, guide = deepcopy(network), deepcopy(method.guide.network).eval()
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published(reference, guide, deepcopy(batches), method.augmentation)
    train(method, batches)
    for ours, theirs in (
        (method.network, reference),
        (method.teacher.network, teacher),
        (method.guide.network, guide),
    ):
        close(ours, theirs)


def test_no_thing_in_the_batch_adds_nothing(network: Any) -> None:
    method: Any = make(("daformer", ()), network)
    batch = make_batch()
    batch.source.label[:] = 0  # road
    losses = next(iter(method.losses(batch)))
    assert float(losses["feature_distance"].detach()) == 0
    sum(losses.values()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


def test_things_that_the_experiment_does_not_have(network: Any) -> None:
    network.class_names = ["road", "sky", "building", "wall"]
    with pytest.raises(ConfigError, match=r"method\.things: none .* \(road, sky, building, wall\)"):
        make(("daformer", ()), network)
    assert make(("daformer", ("method.lambda_feature_distance=null",)), network).guide is None
