"""MinEnt and AdvEnt train exactly as the published algorithms; information maps are the paper's."""

from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import make_batch
from test_adaptsegnet import STEPS, TOTAL, train
from test_all_methods import make, method_config

from uda_seg.batch import IGNORE, Batch
from uda_seg.components.entropy import information
from uda_seg.methods.source_only import AdaptiveBatchNorm

pytestmark = pytest.mark.filterwarnings("ignore:You defined a `validation_step`")

STRONG = {"minent": ("method.lambda_ent=0.5", "method.lambda_ent_auxiliary=0.1"),
          "advent": ("method.lambda_adv=0.01", "method.lambda_adv_auxiliary=0.002")}  # fmt: skip


def pixels(*each: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, N)."""
    return torch.tensor(each).T[None, :, None]


@pytest.mark.parametrize(
    ("probabilities", "maps", "total"),
    [
        ((0.7, 0.2, 0.1), (0.227262, 0.292995, 0.209590), 0.729847),
        ((0.5, 0.5, 0.0), (0.315465, 0.315465, 0.0), 0.630930),
        ((1 / 3, 1 / 3, 1 / 3), (1 / 3, 1 / 3, 1 / 3), 1.0),
        ((0.98, 0.01, 0.01), (0.018022, 0.041918, 0.041918), 0.101858),
        ((1.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0),
    ],
)
def test_information_of_a_pixel(probabilities: Any, maps: Any, total: float) -> None:
    found = information(pixels(probabilities))[0, :, 0, 0]
    torch.testing.assert_close(found, torch.tensor(maps), rtol=0, atol=1e-6)
    assert float(found.sum()) == pytest.approx(total, abs=2e-6)


def test_the_entropy_of_an_image_is_its_pixels_mean(network: Any) -> None:
    method: Any = make(("minent", ()), network)

    class Said:
        logits = pixels((0.7, 0.2, 0.1), (0.5, 0.5, 0.0)).log()

    assert float(method.maps(Said(), "main").mean()) == pytest.approx(0.680388, abs=1e-6)


def test_a_sure_pixel_has_a_finite_gradient() -> None:
    logits = torch.tensor([200.0, 0.0, 0.0]).view(1, 3, 1, 1).requires_grad_()
    information(logits.softmax(1)).sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def map_of(logits: torch.Tensor) -> torch.Tensor:
    chances = F.softmax(logits, 1)
    return -torch.mul(chances, torch.log2(chances + 1e-30)) / torch.log2(torch.tensor(4.0))


def published(network: Any, discriminators: list[Any], batches: list[Batch]) -> None:
    """methods_modern 2: AdvEnt with two discriminators, MinEnt with none."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    judges = [torch.optim.Adam(d.parameters(), lr=1e-3, betas=(0.9, 0.99)) for d in discriminators]
    binary = F.binary_cross_entropy_with_logits
    for step, batch in enumerate(batches):
        for one, rate in ((optimizer, 0.02), *((judge, 1e-3) for judge in judges)):
            one.zero_grad()
            one.param_groups[0]["lr"] = rate * (1 - step / TOTAL) ** 0.9
        for discriminator in discriminators:
            discriminator.requires_grad_(False)
        source = network(batch.source.image)
        levels = (source.logits, source.auxiliary_logits)
        main, auxiliary = (
            F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE) for logits in levels
        )
        (main + 0.1 * auxiliary).backward()
        real = [map_of(logits.detach()) for logits in levels]
        target = network(batch.target.image)
        fake = [map_of(logits) for logits in (target.logits, target.auxiliary_logits)]
        if not discriminators:
            count, _, height, width = fake[0].shape
            first, second = (maps.sum() / (count * height * width) for maps in fake)
            (0.5 * first + 0.1 * second).backward()
        else:
            scores = [d(maps) for d, maps in zip(discriminators, fake, strict=True)]
            first, second = (binary(one, torch.zeros_like(one)) for one in scores)
            (0.01 * first + 0.002 * second).backward()
        for place, discriminator in enumerate(discriminators):
            discriminator.requires_grad_(True)
            for maps, answer in ((real[place], 0.0), (fake[place].detach(), 1.0)):
                score = discriminator(maps)
                (binary(score, torch.full_like(score, answer)) / 2).backward()
        for one in (optimizer, *judges):
            one.step()


@pytest.mark.parametrize("name", ["minent", "advent"])
def test_same_weights_as_the_published_algorithm(network: Any, name: str) -> None:
    method: Any = make((name, STRONG[name]), network)
    reference, start = deepcopy(method), deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    discriminators = [one.discriminator for one in getattr(reference, "adversaries", {}).values()]
    published(reference.network, discriminators, deepcopy(batches))
    train(method, batches)
    for key, ours in method.state_dict().items():
        torch.testing.assert_close(ours, reference.state_dict()[key], rtol=1e-5, atol=1e-7, msg=key)
    for key, parameter in method.named_parameters():
        assert not torch.equal(parameter, start[key]), f"{key} has not moved"


def test_without_its_weight_minent_is_the_control(network: Any) -> None:
    method: Any = make(
        ("minent", ("method.lambda_ent=0", "method.lambda_ent_auxiliary=0")), network
    )
    control = AdaptiveBatchNorm(
        deepcopy(network), {"segmentation": 1.0, "segmentation_auxiliary": 0.1}
    )
    batches = [make_batch(seed=step) for step in range(3)]
    train(method, deepcopy(batches))
    train(control, batches)
    for key, ours in method.network.state_dict().items():
        torch.testing.assert_close(ours, control.network.state_dict()[key], msg=key)


def test_published_constants() -> None:
    assert method_config("minent")["weights"] == {
        "segmentation": 1.0, "segmentation_auxiliary": 0.1,
        "entropy_main": 0.001, "entropy_auxiliary": 0.0002,
    }  # fmt: skip
    advent = method_config("advent")
    assert advent["weights"]["adversarial_main"] == 0.001
    assert advent["weights"]["adversarial_auxiliary"] == 0.0002
    assert advent["optimizers"]["discriminator"]["lr"] == 1e-4
