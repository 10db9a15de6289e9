"""Every method keeps the promises of the seam. Methods are found by their YAML files."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CLASSES, compose, make_batch, make_network

from uda_seg.batch import IGNORE
from uda_seg.cli import help_text
from uda_seg.config import build, conf_folder, optimizers_of, shipped
from uda_seg.errors import ConfigError
from uda_seg.methods.base import Method
from uda_seg.networks.modes import as_in_training

FILES = sorted(Path(conf_folder(), "method").glob("*.yaml"))
NAMES = [path.stem for path in FILES]
TINY = ("source=camvid", "target=camvid")
ROWS = {path.stem: help_text.variants_of(path) for path in FILES}
"""By file: the rows of its paper, and what they set."""
BASES = [
    name
    for name in NAMES
    if not shipped("method", name).get("_alone_")
    and name not in ("mic", "mrm")
    and not name.endswith("_tuned")
]
"""What MIC is put on; those with other numbers alone are left out."""
VARIANTS = [
    *((name, ()) for name in NAMES),
    *((name, overrides) for name, rows in ROWS.items() for overrides in rows.values()),
    *(("mic", (f"method@method.base={name}",)) for name in BASES),
]
IDS = [
    *NAMES,
    *(f"{name}-{row}" for name, rows in ROWS.items() for row in rows),
    *(f"mic on {name}" for name in BASES),
]


@pytest.fixture
def network() -> torch.nn.Module:
    """With a depth head, which some methods ask for."""
    return make_network(depth_head=True)


@functools.cache
def config_of(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    kinds = [kind for kind in ("hrda", "vfm") if any(kind in word for word in (name, *overrides))]
    backbone = f"{kinds[0]}_tiny" if kinds else "tiny"
    others = [word for word in overrides if not word.startswith("backbone=")]
    return compose("train", [f"method={name}", f"backbone={backbone}", *TINY, *others])


def method_config(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    return narrow(config_of(name, overrides)["method"])


def narrow(node: Any) -> Any:
    """The same with networks of a few channels and one block; confident means what it can mean of
    an untrained network.
    """
    if isinstance(node, dict):
        few = {"width": 8, "blocks": 1, "threshold": 0.3}
        return {key: min(v, few[key]) if key in few else narrow(v) for key, v in node.items()}
    return node


def make(variant: tuple[str, tuple[str, ...]], network: torch.nn.Module) -> Method:
    """With another network in place of the given one, where it needs that."""
    torch.manual_seed(1)
    if (backbone := config_of(*variant)["backbone"])["name"] != "tiny":
        names = network.class_names
        network = build(backbone, classes=len(names))
        network.class_names = names
    return build(method_config(*variant), network=network)


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_every_player_learns_and_nothing_else(variant: Any, network: Any) -> None:
    method = make(variant, network)
    batch = make_batch()
    for losses in method.losses(batch):
        objective = sum(losses.values())
        if objective.requires_grad:  # RPT's regularisers wait for a round
            objective.backward()
    players = {id(p): n for n, m in method.players().items() for p in m.parameters()}
    for player, module in method.players().items():
        learns = [p.grad is not None and bool(p.grad.any()) for p in module.parameters()]
        assert any(learns), f"{player} gets no gradient"
    for name, parameter in method.named_parameters():
        assert id(parameter) in players or parameter.grad is None, f"{name} plays for nobody"


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_every_loss_has_a_weight_and_every_weight_a_loss(variant: Any, network: Any) -> None:
    method = make(variant, network)
    names = [name for losses in method.losses(make_batch()) for name in losses]
    assert sorted(names) == sorted(method.weights)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_every_player_has_an_optimizer(variant: Any, network: Any) -> None:
    players = set(make(variant, network).players())
    assert players <= {"network", *optimizers_of(method_config(*variant))}


@pytest.mark.parametrize("target", {method_config(name)["_target_"] for name in NAMES})
def test_every_optimizer_has_a_player_in_some_file(target: str, network: Any) -> None:
    names = [name for name in NAMES if method_config(name)["_target_"] == target]
    offered = {player for name in names for player in optimizers_of(method_config(name))}
    assert offered <= {p for name in names for p in make((name, ()), network).players()}


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_losses_are_finite_and_the_same_again(variant: Any, network: Any) -> None:
    method = make(variant, network)

    def values() -> list[float]:
        torch.manual_seed(2)  # as every step is seeded
        return [
            float(loss.detach()) for part in method.losses(make_batch()) for loss in part.values()
        ]

    first = values()
    assert all(torch.tensor(first).isfinite())
    assert first == values()


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_pictures_are_maps_and_images_between_zero_and_one(variant: Any, network: Any) -> None:
    method, batch = make(variant, network).eval(), make_batch()
    players = method.players()
    maps, made = method.pictures(batch.target), method.source_pictures(batch.source)
    if "discriminator" in players or "output_discriminator" in players:
        assert maps, "where a discriminator looks is worth a look"
    assert {picture.shape[:2] for picture in maps.values()} <= {(2, 1)}
    assert bool(made) == ("translator" in players)
    assert all(picture.shape == batch.source.image.shape for picture in made.values())
    for name, picture in {**maps, **made}.items():
        assert 0 <= float(picture.min()) <= float(picture.max()) <= 1, name


@pytest.mark.parametrize("name", NAMES)
def test_pseudo_labels_are_classes_and_leave_nothing_behind(name: str, network: Any) -> None:
    """What `trainer.pseudo_labels` looks at, which must not change the run."""
    method, batch = make((name, ()), network), make_batch()
    before = {k: v.clone() for k, v in method.state_dict().items() if isinstance(v, torch.Tensor)}
    with as_in_training(method):
        pseudo = method.pseudo_label(batch.target)
    assert all(torch.equal(value, method.state_dict()[key]) for key, value in before.items())
    if pseudo is None:
        return
    assert pseudo.label.shape == pseudo.weight.shape == batch.source.label.shape
    assert set(pseudo.label.unique().tolist()) <= {*range(CLASSES), IGNORE}
    assert 0 <= float(pseudo.weight.min()) <= float(pseudo.weight.max()) <= 1
    assert pseudo.confident is None or pseudo.confident.dtype == torch.bool


@pytest.mark.parametrize("name", NAMES)
def test_only_the_oracle_is_supervised_by_the_target(name: str, network: Any) -> None:
    method = make((name, ()), network)
    assert method.supervised_by == ("target" if name == "target_only" else "source")


@pytest.mark.parametrize("name", NAMES)
def test_a_method_reads_target_images_or_says_that_it_does_not(name: str, network: Any) -> None:
    method, batch = make((name, ()), network), make_batch()
    assert method.reads_target == (name not in ("source_only", "target_only"))
    with_images = [loss for losses in method.losses(batch) for loss in losses.values()]
    batch.target.image = batch.target.image[..., :0, :0]
    if method.reads_target:
        with pytest.raises((RuntimeError, ValueError, ConfigError)):
            list(method.losses(batch))
    else:
        without = [loss for losses in method.losses(batch) for loss in losses.values()]
        assert without == with_images


def test_networks_have_the_classes_asked_for(network: Any) -> None:
    assert network(make_batch().source.image).logits.shape[1] == network.classes == CLASSES
