"""Every method trains in every precision that is offered; what 16 bits change about a step."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from conftest import compose, make_batch, make_network
from lightning import Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from test_all_methods import NAMES, make

from uda_seg.components import clusters
from uda_seg.components.pooling import RegionPooling
from uda_seg.errors import ConfigError
from uda_seg.evaluation.inference import Inference
from uda_seg.networks.prediction import Prediction
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.optimization import JointOptimizer, polynomial

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # a frozen teacher
]
RATE, TOTAL = 0.05, 10


def in_16_bits(scale: float) -> MixedPrecision:
    """What a GPU has for trainer.precision=16-mixed, with the CPU's scaler."""
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return MixedPrecision("16-mixed", "cpu", scaler=scaler)


def train(method: Any, steps: int, clip_norm: float | None, **given: Any) -> Adaptation:
    module = Adaptation(
        method,
        {player: partial(torch.optim.SGD, lr=RATE) for player in method.players()},
        partial(polynomial, total=TOTAL, power=1.0, warm_up=0),
        list("abcd"),
        Inference(mode="whole", window=None, stride=None, flip=False),
        seed=0,
        accumulate=1,
        clip_norm=clip_norm,
        steps=1000,
    )
    trainer = Trainer(
        max_steps=steps, max_epochs=-1, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, **given,
    )  # fmt: skip
    batches = [make_batch(seed=step, height=32, width=64) for step in range(steps)]
    trainer.fit(module, torch.utils.data.DataLoader(batches, batch_size=None))
    assert trainer.global_step == steps
    return module


@pytest.mark.parametrize("name", [name for name in NAMES if "tuned" not in name])
def test_every_player_of_every_method_moves(name: str) -> None:
    made = make((name, ()), make_network(depth_head=True))
    made.rounds = 0  # there is no training set to look over
    start = {key: parameter.clone() for key, parameter in made.named_parameters()}
    for precision in ({"precision": "bf16-mixed"}, {"plugins": [in_16_bits(2**10)]}):
        method = deepcopy(made)
        module = train(method, 1, clip_norm=1.0, **precision)
        assert all(loss.isfinite() for loss in module.last_losses.values())
        kinds = {name: loss.dtype for name, loss in module.last_losses.items()}
        assert set(kinds.values()) == {torch.float32}, kinds
        for player, network in method.players().items():
            moved = [not torch.equal(p, start[k]) for k, p in named(method, network)]
            assert any(moved), player
        assert all(p.dtype == torch.float32 and p.isfinite().all() for p in method.parameters())


def named(method: Any, player: torch.nn.Module) -> Any:
    own = {id(parameter) for parameter in player.parameters()}
    return ((k, p) for k, p in method.named_parameters() if id(p) in own)


def test_gradients_of_each_player_are_clipped_without_their_scale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Lightning's own order is unscale, clip, step (pytorch-lightning issue 18089)."""
    norms: list[dict[str, float]] = []
    step = JointOptimizer.step

    def spy(joint: JointOptimizer, closure: Any = None) -> None:
        if closure is not None:
            closure()
        norms.append(
            {
                player: float(torch.stack([g.norm() for g in gradients(one)]).norm())
                for player, one in joint.optimizers.items()
            }
        )
        step(joint)

    monkeypatch.setattr(JointOptimizer, "step", spy)
    method = make(("adaptseg", ()), make_network(depth_head=False))
    for given in ({}, {"plugins": [in_16_bits(2**10)]}):
        train(deepcopy(method), 1, 1e-3, **given)
    for player in ("network", "discriminator"):
        assert norms[0][player] == pytest.approx(1e-3, rel=1e-3)
        assert norms[1][player] == pytest.approx(1e-3, rel=1e-3)


def gradients(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    every = [p.grad for group in optimizer.param_groups for p in group["params"]]
    return [gradient for gradient in every if gradient is not None]


def test_a_step_that_overflows_is_left_out_whole(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As torch says: the schedule waits too; and nothing warns that it went first."""
    method = make(("adaptseg", ()), make_network(depth_head=False))
    start = {key: p.clone() for key, p in method.named_parameters()}
    caplog.set_level("INFO")
    calls: list[int] = []
    monkeypatch.setattr(method, "after_step", lambda: calls.append(1))
    module = train(method, 2, clip_norm=1.0, plugins=[in_16_bits(2.0**60)])
    assert module.overflows == 2
    assert "2 of 2 steps were left out" in caplog.text
    caplog.clear()
    assert calls == []
    assert all(torch.equal(p, start[key]) for key, p in method.named_parameters())
    assert {group["lr"] for group in module.optimizers().param_groups} == {RATE}
    assert module.trainer.precision_plugin.scaler.get_scale() == 2.0**58
    module = train(method, 2, clip_norm=1.0, plugins=[in_16_bits(2.0**10)])
    assert module.overflows == 0
    assert "left out" not in caplog.text
    assert calls == [1, 1]
    assert {group["lr"] for group in module.optimizers().param_groups} == {RATE * 0.8}


def test_weights_in_16_bits_are_not_offered() -> None:
    """bfloat16 has eight bits: an update of less than 1/512 of a weight leaves it as it was."""
    weight = torch.linspace(0.01, 0.1, 1000).bfloat16()
    assert torch.equal(weight - weight * 1e-3, weight)
    with pytest.raises(ConfigError, match="32-true, 16-mixed, bf16-mixed"):
        compose("train", ["trainer.precision=bf16-true"])


def test_what_is_counted_and_compared_is_so_in_32_bits() -> None:
    """Scores of regions and distances between features, which autocast would round to 8 bits."""
    torch.manual_seed(0)
    probabilities = torch.rand(2, 3, 8, 8)
    pooling = RegionPooling(stride=1, grids=[1, 2], fractions=[0.1, 0.5], form="top")
    features = torch.nn.functional.normalize(torch.randn(500, 16), dim=1)
    centres = features[:200] + 0.01 * torch.randn(200, 16)
    logits = torch.tensor([9.0, 0.0, 0.0]).view(1, 3, 1, 1)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = pooling.scores(probabilities), clusters.nearest(features, centres)
        prediction = Prediction(logits.bfloat16(), features, logits.half(), logits.double())
    assert torch.equal(rounded[1], clusters.nearest(features, centres))
    for ours, exact in zip(rounded[0], pooling.scores(probabilities), strict=True):
        assert torch.equal(ours.first, exact.first)
        assert torch.equal(ours.rest, exact.rest)
    assert 0 < float(1 - prediction.logits.softmax(1).max()) < 1e-3
    assert prediction.required("auxiliary_logits", "…").dtype == torch.float32
    assert prediction.required("depth", "…").dtype == torch.float64  # exact enough as it is
