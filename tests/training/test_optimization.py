"""Players step as one; an encoder is updated as often as AdaptSegNet's authors list its weights."""

import warnings
from collections import Counter
from copy import deepcopy
from typing import Any

import pytest
import torch
from conftest import compose
from torch import Tensor, nn

from uda_seg.config import build
from uda_seg.networks.backbones import ResNetEncoder
from uda_seg.training.optimization import JointOptimizer, make_optimizer, polynomial
from uda_seg.training.setup import facts, make_adaptation, make_method

TIMES = [1, 3, 4, 2]
STEPS, BREAK = 6, 3


def weights() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(5, 3, dtype=torch.float64)) for _ in TIMES]


def gradients(step: int, of: list[nn.Parameter], gaps: bool = True) -> None:
    """A weight without a gradient in some steps is left out in them."""
    generator = torch.Generator().manual_seed(step)
    for number, parameter in enumerate(of):
        value = torch.randn(5, 3, generator=generator, dtype=torch.float64)
        parameter.grad = None if gaps and (step, number) in ((0, 3), (4, 1)) else value


def with_duplicates(kind: Any, parameters: list[nn.Parameter], **settings: Any) -> Any:
    """What the authors' code hands to torch."""
    listed = [p for p, times in zip(parameters, TIMES, strict=True) for _ in range(times)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "optimizer contains a parameter group with duplicate")
        return kind([{"params": listed}], foreach=False, **settings)


@pytest.mark.parametrize("implementation", [{"foreach": False}, {"foreach": True}, {"fused": True}])
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 5e-4}),
        (torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True}),
        (torch.optim.SGD, {"momentum": 0.9, "dampening": 0.5, "maximize": True}),
        (torch.optim.SGD, {"weight_decay": 0.1}),
        (torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
        (torch.optim.AdamW, {"betas": (0.9, 0.99)}),
    ],
)
def test_repeated_updates_equal_duplicates_in_torch(
    kind: Any, settings: dict[str, Any], implementation: dict[str, bool]
) -> None:
    """Through a falling rate, and a checkpoint in the middle."""
    ours, theirs = weights(), weights()
    gaps = "fused" not in implementation  # torch's fused SGD wants all momentum to begin at once
    repeated = dict(zip(ours, TIMES, strict=True))

    def joint() -> JointOptimizer:
        return JointOptimizer(
            {"network": kind([*ours], lr=0.1, **settings, **implementation)}, repeated
        )

    optimizer, reference = joint(), with_duplicates(kind, theirs, lr=0.1, **settings)
    for step in range(STEPS):
        if step == BREAK:
            state = deepcopy(optimizer.state_dict())
            optimizer = joint()
            optimizer.load_state_dict(state)
        for one, parameters in ((optimizer, ours), (reference, theirs)):
            gradients(step, parameters, gaps)
            one.param_groups[0]["lr"] = 0.1 * (1 - step / 10)
            one.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)
    assert [group["params"] for group in optimizer.param_groups] == [ours]
    once = weights()
    plain = kind(once, lr=0.1, **settings)
    for step in range(STEPS):
        gradients(step, once, gaps)
        plain.step()
    assert [torch.equal(a, b) for a, b in zip(ours, once, strict=True)][1:] == [False] * 3


def published_list(encoder: nn.Module) -> list[Tensor]:
    """AdaptSegNet's generator: of the stem and each layer, the weights of every module inside."""
    listed = []
    for name in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
        for module in encoder.get_submodule(name).modules():
            listed += [weight for weight in module.parameters() if weight.requires_grad]
    return listed


def test_a_resnets_weights_are_listed_as_the_authors_list_them() -> None:
    encoder = ResNetEncoder("test_resnet", output_stride=8, stride_on="conv2", ceil_mode=True)
    listed = Counter(map(id, published_list(encoder.body)))
    assert {id(w): times for w, times in encoder.times_listed().items()} == listed
    assert set(listed.values()) == {1, 2, 3, 4}


def test_resnet_101_has_99_three_times_and_4_four_times() -> None:
    with torch.device("meta"):
        encoder = ResNetEncoder("resnet101", output_stride=8, stride_on="conv1", ceil_mode=True)
    times = encoder.times_listed().items()
    assert Counter(n for w, n in times if w.dim() == 4) == {1: 1, 3: 99, 4: 4}


RESNET = [
    "backbone=deeplab_resnet50", "method=source_only", "source=camvid", "target=camvid",
    "backbone.encoder.name=test_resnet",
    "backbone.encoder.stride_on=conv2", "backbone.pretrained=none", "backbone.frozen_stages=2",
]  # fmt: skip


@pytest.mark.parametrize("setting", ["1", "authors"])
def test_the_switch_repeats_the_encoder_and_not_the_heads(setting: str) -> None:
    switch = f"backbone.optimizer.encoder_updates={setting}"
    config: Any = compose("train", [*RESNET, switch])
    method = make_method(config, list("abcd"))
    module = make_adaptation(config, method, list("abcd"))
    joint = module.configure_optimizers()["optimizer"]
    network: Any = method.network.double()
    assert (
        facts(config, module, None)["encoder_updates"]
        == config["backbone"]["optimizer"]["encoder_updates"]
    )
    if setting == "1":
        assert joint.repeated == {}
        return
    assert joint.repeated.keys() <= set(network.encoder.parameters())
    assert joint.repeated[network.encoder.body.layer4[0].conv1.weight] == 3
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    joint.clip(1.0)  # once, whatever is repeated
    clipped = torch.stack([p.grad.norm() for p in network.parameters() if p.grad is not None])
    assert float(clipped.norm()) == pytest.approx(1.0, rel=1e-4)
    joint.step()
    moved = {n for n, p in network.named_parameters() if not torch.equal(p, before[n])}
    assert not [name for name in moved if ".layer1." in name]  # stem and layer 1 are frozen
    layer4, head = "encoder.body.layer4.0.conv1.weight", "head.branches.0.bias"
    after = dict(network.named_parameters())
    steps = [float((before[name] - after[name]).mean().detach()) for name in (layer4, head)]
    assert steps[0] / steps[1] == pytest.approx(3 / 10, rel=1e-2)  # heads learn ten times as fast


@pytest.mark.parametrize("backbone", ["deeplab_vgg16", "tiny"])
def test_elsewhere_authors_is_once(backbone: str) -> None:
    """Their VGG lists each weight once; nothing else is theirs."""
    overrides = [f"backbone={backbone}", "backbone.optimizer.encoder_updates=authors"]
    config: Any = compose("train", overrides)["backbone"]
    with torch.device("meta"):
        network = build(
            {**config, "pretrained": "none"} if "vgg" in backbone else config, classes=4
        )
    network.encoder_updates = "authors"
    assert network.repeated() == {}


def test_groups_keep_their_factor_and_the_rate_falls_to_nothing() -> None:
    class Player(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slow, self.fast = nn.Linear(1, 1), nn.Linear(1, 1)

        def parameter_groups(self) -> list[dict[str, Any]]:
            return [
                {"params": list(self.slow.parameters())},
                {"params": list(self.fast.parameters()), "factor": 10.0},
            ]

    joint = JointOptimizer({"a": make_optimizer(Player(), lambda g: torch.optim.SGD(g, lr=0.1))})
    schedule = polynomial(joint, total=4, power=1.0, warm_up=1)
    rates = []
    for _ in range(5):
        rates.append([round(group["lr"], 6) for group in joint.param_groups])
        joint.step()
        schedule.step()
    assert rates == [[0.05, 0.5], [0.075, 0.75], [0.05, 0.5], [0.025, 0.25], [0.0, 0.0]]


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_a_checkpoints_states_lie_as_the_weights_do(kind: Any) -> None:
    """Torch's fused kernels go by memory's order: momentum would meet other weights' gradients."""
    stepped = []
    for order in (torch.contiguous_format, torch.channels_last):
        weight = nn.Parameter(torch.linspace(-1, 1, 48).view(4, 3, 2, 2))
        settings = {"momentum": 0.9} if kind is torch.optim.SGD else {}
        joint = JointOptimizer({"network": kind([weight], lr=0.1, fused=True, **settings)})
        for step in range(2):
            if step:  # a checkpoint of rows goes on with weights that lie like this
                state = deepcopy(joint.state_dict())
                weight = nn.Parameter(weight.detach().contiguous(memory_format=order))
                joint = JointOptimizer({"network": kind([weight], lr=0.1, fused=True, **settings)})
                joint.load_state_dict(state)
            weight.grad = torch.full_like(weight, 0.5).copy_(weight.detach().sin() + step)
            joint.step()
        stepped.append(weight.detach().contiguous())
    torch.testing.assert_close(stepped[0], stepped[1], rtol=0, atol=1e-6)
