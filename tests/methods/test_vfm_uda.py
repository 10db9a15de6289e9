"""VFM-UDA trains exactly as the published algorithm, teacher and buffers included."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, make_batch, make_network
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import config_of, make
from test_dacs import choose, close, move, sgd

from uda_seg.batch import IGNORE, Batch
from uda_seg.config import build
from uda_seg.errors import ConfigError
from uda_seg.training.optimization import seed_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),
]
WORDS = ("method.threshold=0.3", *(f"method.margins.{side}=0" for side in ("left", "right")))


@pytest.fixture
def network() -> Any:
    """With a mask token as if trained."""
    torch.manual_seed(0)
    found: Any = build(config_of("vfm_uda")["backbone"], classes=CLASSES)
    found.class_names = make_network(depth_head=False).class_names
    found.head_factor = 1.0
    torch.nn.init.normal_(found.encoder.mask_token)
    return found


def per_pixel(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")


def with_hidden_patches(network: Any, image: torch.Tensor, share: float) -> torch.Tensor:
    """methods_modern 9.2, nos. 1 to 4, part by part."""
    body, size = network.encoder.body, image.shape[-2:]
    image = (image - network.mean) / network.std
    enlarged = [int(side * 1.1) // 14 * 14 for side in size]
    image = F.interpolate(image, enlarged, mode="bilinear", align_corners=False)
    tokens = body.patch_embed(image)
    rows, columns = tokens.shape[1:3]
    hidden = torch.rand(len(image), rows * columns).view(-1, rows, columns, 1) < share
    assert hidden.any()
    assert not hidden.all()
    tokens = tokens * ~hidden + network.encoder.mask_token * hidden
    tokens = body.norm(body.blocks(body.norm_pre(body._pos_embed(tokens))))
    maps = tokens[:, 1:].transpose(1, 2).reshape(len(image), -1, rows, columns)
    return F.interpolate(network.head(maps), size, mode="bilinear", align_corners=False)


def published(network: Any, batches: list[Batch], method: Any) -> Any:
    """The steps of methods_modern 1.2 with what 9.1 changes."""
    teacher, optimizer = deepcopy(network), sgd(network)
    weak, strong = method.weak_augmentation, method.augmentation
    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        source, target = batch.source, batch.target
        seen, weakly = weak(source.image), weak(target.image)
        loss = per_pixel(network(seen).logits, source.label).mean()
        with torch.no_grad():
            mirrored = teacher(target.image.flip(3)).logits.softmax(1).flip(3)
            confidence, label = ((teacher(target.image).logits.softmax(1) + mirrored) / 2).max(1)
        share = int((confidence >= 0.3).sum()) / confidence.numel()
        assert 0 < share < 1, "a test of nothing"
        weight = torch.full_like(confidence, share)
        height = weight.shape[1]
        places = (torch.arange(height) + 0.5) / height
        weight[:, (places <= 0.03) | (places >= 0.75)] = 0
        mask = choose(source.label, of_batch=True)
        image = mask[:, None] * source.image + ~mask[:, None] * weakly
        logits = network(strong(image)).logits
        errors = per_pixel(logits, mask * source.label + ~mask * label)
        loss = loss + (errors * (mask + ~mask * weight)).mean()
        logits = with_hidden_patches(network, strong(weakly), 0.7)
        loss = loss + (per_pixel(logits, label) * weight).mean()
        loss.backward()
        optimizer.step()
        move(teacher, network, step + 1, 0.999)
    return teacher


def test_same_weights_and_buffers_as_the_published_algorithm(network: Any) -> None:
    method = build(config_of("vfm_uda", WORDS)["method"], network=network)
    reference, start = deepcopy(network), deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published(reference, deepcopy(batches), method)
    train(method, batches)
    for ours, theirs in ((method.network, reference), (method.teacher.network, teacher)):
        close(ours, theirs)
    moved = {k for k, v in method.state_dict().items() if not torch.equal(v, start[k])}
    assert {k.partition(".")[0] for k in moved} == {"network", "teacher"}
    assert "network.encoder.mask_token" in moved


def test_a_step_costs_three_passes_of_the_student_and_one_of_the_teacher(network: Any) -> None:
    method = build(config_of("vfm_uda")["method"], network=network)
    passes: list[str] = []
    for name, net in (("student", method.network), ("teacher", method.teacher.network)):
        net.register_forward_hook(lambda *_, name=name: passes.append(name))
    list(method.losses(make_batch()))
    assert sorted(passes) == ["student"] * 3 + ["teacher"]


def test_a_network_without_patches_is_refused_unless_none_are_hidden() -> None:
    other = make_network(depth_head=False)
    with pytest.raises(ConfigError, match=r"lambda_hidden.*choose backbone=vfm_dinov2_base"):
        build(config_of("vfm_uda")["method"], network=other)
    plain: Any = build(
        config_of("vfm_uda", ("method.lambda_hidden=null",))["method"], network=other
    )
    names = [name for losses in plain.losses(make_batch()) for name in losses]
    assert names == ["segmentation", "mixed"]


def test_mic_hides_blocks_on_top_of_it(network: Any) -> None:
    words = ("method@method.base=vfm_uda", "method.base.lambda_hidden=null")
    method: Any = make(("mic", words), network)
    names = [name for losses in method.losses(make_batch()) for name in losses]
    assert names == ["segmentation", "mixed", "masked"]
