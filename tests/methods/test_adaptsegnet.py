"""AdaptSegNet trains exactly as the published algorithm, and its levels see what they should."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_all_methods import ROWS, make, method_config

from uda_seg.batch import IGNORE, Batch
from uda_seg.evaluation.inference import Inference
from uda_seg.methods.source_only import AdaptiveBatchNorm
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.optimization import polynomial

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # frozen batch norm
]

STEPS, TOTAL = 5, 8
WEIGHTS = {"segmentation": 1.0, "segmentation_auxiliary": 0.1, "adversarial_main": 0.01,
           "adversarial_auxiliary": 0.002, "discriminator_main": 1.0,
           "discriminator_auxiliary": 1.0}  # fmt: skip


def sgd() -> Any:
    return partial(torch.optim.SGD, lr=0.02, momentum=0.9, weight_decay=5e-4)


def adam() -> Any:
    return partial(torch.optim.Adam, lr=1e-3, betas=(0.9, 0.99))


def published(network: Any, discriminators: list[Any], batches: list[Batch], gan: str) -> None:
    """methods.md 1.2: multi-level, in the published order, with its requires_grad switching.

    SGD for the network and one Adam for each discriminator, all on the polynomial schedule.
    """
    rates = (0.02, 1e-3, 1e-3)
    optimizers = [
        torch.optim.SGD(network.parameters(), lr=rates[0], momentum=0.9, weight_decay=5e-4),
        *(torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.9, 0.99)) for d in discriminators),
    ]

    def domain_loss(scores: torch.Tensor, answer: float) -> torch.Tensor:
        wanted = torch.full_like(scores, answer)
        loss = F.mse_loss if gan == "ls" else F.binary_cross_entropy_with_logits
        return loss(scores, wanted)

    for step, batch in enumerate(batches):
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = rate * (1 - step / TOTAL) ** 0.9
        for discriminator in discriminators:
            discriminator.requires_grad_(False)
        source = network(batch.source.image)
        main, auxiliary = (
            F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE)
            for logits in (source.logits, source.auxiliary_logits)
        )
        (main + 0.1 * auxiliary).backward()
        target = network(batch.target.image)
        fooled = [
            domain_loss(discriminator(logits.softmax(1)), 0.0)
            for discriminator, logits in zip(
                discriminators, (target.logits, target.auxiliary_logits), strict=True
            )
        ]
        (0.01 * fooled[0] + 0.002 * fooled[1]).backward()
        for discriminator in discriminators:
            discriminator.requires_grad_(True)
        for prediction, answer in ((source, 0.0), (target, 1.0)):
            levels = (prediction.logits, prediction.auxiliary_logits)
            for discriminator, logits in zip(discriminators, levels, strict=True):
                (domain_loss(discriminator(logits.detach().softmax(1)), answer) / 2).backward()
        for optimizer in optimizers:
            optimizer.step()


def train(method: Any, batches: list[Batch], **changes: Any) -> None:
    """Our loop, by Lightning, on given batches."""
    from lightning import Trainer

    judge = changes.pop("judge", adam())
    factories = {p: sgd() if p == "network" else judge for p in method.players()}
    settings = {"seed": 0, "accumulate": 1, "clip_norm": None, "steps": 10} | changes
    schedule = partial(polynomial, total=TOTAL, power=0.9, warm_up=0)
    module = Adaptation(method, factories, schedule, list("abcd"), whole(), **settings)
    trainer = Trainer(
        max_steps=len(batches), max_epochs=-1, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=None)
    trainer.fit(module, loader)
    assert trainer.global_step == len(batches)


def whole() -> Inference:
    return Inference(mode="whole", window=None, stride=None, flip=False)


@pytest.mark.parametrize("gan", ["vanilla", "ls"])
def test_same_parameters_as_the_published_algorithm(network: Any, gan: str) -> None:
    method = make(("adaptseg", (f"method.gan={gan}",)), network)
    method.weights = WEIGHTS
    reference = deepcopy(method)
    start = deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    discriminators = [reference.adversaries[level].discriminator for level in ("main", "auxiliary")]
    published(reference.network, discriminators, deepcopy(batches), gan)
    train(method, batches)
    for name, ours in method.state_dict().items():
        torch.testing.assert_close(
            ours, reference.state_dict()[name], rtol=1e-5, atol=1e-7, msg=name
        )
    for name, parameter in method.named_parameters():
        assert not torch.equal(parameter, start[name]), f"{name} has not moved"


def test_with_its_weights_at_zero_it_is_the_control(network: Any) -> None:
    method = make(("adaptseg", ()), network)
    method.weights = {k: v * (not k.startswith("adversarial")) for k, v in WEIGHTS.items()}
    weights = {"segmentation": 1.0, "segmentation_auxiliary": 0.1}
    control = AdaptiveBatchNorm(deepcopy(network), weights)
    batches = [make_batch(seed=step) for step in range(STEPS)]
    train(method, deepcopy(batches))
    train(control, batches)
    for name, ours in method.network.state_dict().items():
        torch.testing.assert_close(ours, control.network.state_dict()[name], msg=name)


@pytest.mark.parametrize("name", ["adaptseg", "adaptseg_single", "adaptseg_feature"])
def test_fooling_leaves_the_discriminator_alone_and_judging_the_network(
    network: Any, name: str
) -> None:
    method = make((name, ()), network)
    _, fooling, judging = method.losses(make_batch())
    sum(fooling.values()).backward(retain_graph=True)
    assert all(p.grad is None for p in method.adversaries.parameters())
    assert any(p.grad is not None for p in network.parameters())
    network.zero_grad()
    sum(judging.values()).backward()
    assert all(p.grad is None for p in network.parameters())
    assert all(p.grad is not None for p in method.adversaries.parameters())


def test_accumulated_pieces_are_one_batch(network: Any) -> None:
    network.eval()
    one, two = (make(("adaptseg", ()), deepcopy(network)) for _ in range(2))
    for method in (one, two):  # batch statistics would differ between halves, so they are frozen
        method.network.set_batch_norm("frozen")
    batches = [make_batch(size=4, seed=step) for step in range(2)]
    for batch in batches:
        batch.source.label.clamp_(max=3)
    # Adam would blow rounding up where a gradient is next to nothing.
    train(one, deepcopy(batches), judge=sgd())
    train(two, batches, accumulate=2, judge=sgd())
    for name, ours in one.state_dict().items():
        torch.testing.assert_close(ours, two.state_dict()[name], rtol=1e-4, atol=1e-6, msg=name)


def test_published_constants() -> None:
    multi = method_config("adaptseg")
    assert {k: v for k, v in multi["weights"].items() if v is not None} == {
        "segmentation": 1.0,
        "segmentation_auxiliary": 0.1,
        "adversarial_main": 0.001,
        "adversarial_auxiliary": 0.0002,
        "discriminator_main": 1.0,
        "discriminator_auxiliary": 1.0,
    }
    least_squares = method_config("adaptseg", ROWS["adaptseg"]["least squares"])
    assert least_squares["gan"] == "ls"
    assert least_squares["weights"]["adversarial_main"] == 0.01
    assert least_squares["weights"]["adversarial_auxiliary"] == 0.002


@pytest.mark.parametrize(
    ("name", "level"), [("adaptseg_single", "main"), ("adaptseg_feature", "feature")]
)
def test_the_other_levels_have_one_discriminator_each(network: Any, name: str, level: str) -> None:
    method = make((name, ("method.lambda_adv=0.004",)), network)
    assert list(method.adversaries) == [level]
    assert method.weights == {
        "segmentation": 1.0, f"adversarial_{level}": 0.004, f"discriminator_{level}": 1.0,
    }  # fmt: skip
