"""Every method keeps the promises of the seam. Methods are found by their YAML files."""

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import CLASSES, compose, make_batch, make_network

from uda_seg.config import build, conf_folder
from uda_seg.errors import ConfigError
from uda_seg.methods.base import Method

NAMES = sorted(path.stem for path in Path(conf_folder(), "method").glob("*.yaml"))
TINY = ("backbone=tiny", "source=camvid", "target=camvid")
VARIANTS = [(name, ()) for name in NAMES] + [
    ("adaptseg", ("method.levels=feature",)),
    ("adaptseg", ("method.levels=single",)),
    ("adaptseg", ("method.gan=ls",)),
    ("source_only", ("method.levels=multi",)),
    *(
        ("gio_ada", (f"method.levels={levels}", f"method.geometry={geometry}"))
        for levels in ("none", "input", "output", "both")
        for geometry in ("true", "false")
    ),
    *(
        (name, tuple(f"method.lambda_{other}=null" for other in others))
        for name in ("rpt", "rpt_plain")
        for others in (("patch", "cluster"), ("cluster", "context"), ("patch", "context"))
    ),
    ("rpt", ("method.levels=multi",)),
    ("pit", ("method.pivot=none",)),
    ("pit", ("method.lambda_expand=null",)),
    ("pit", ("method.pooling.grids=[1]", "method.pooling.fractions=[0.002]")),
    ("pit", ("method.pooling.form=ranked", "method.adversary=none")),
    ("pit", ("method.adversary=none", "method.pivot=none", "method.lambda_expand=null")),
    ("road", ("method.lambda_spt=null",)),
    ("road", ("method.lambda_spt=null", "method.distil_on=source")),
    ("road", ("method.lambda_dist=null",)),
    ("road", ("method.lambda_dist=null", "method.grid=1")),
]
IDS = ["-".join([name, *(o.split("=")[1] for o in overrides)]) for name, overrides in VARIANTS]


@pytest.fixture
def network() -> torch.nn.Module:
    """With a depth head, which some methods ask for."""
    return make_network(depth_head=True)


@functools.cache
def method_config(name: str, overrides: tuple[str, ...] = ()) -> dict[str, Any]:
    narrow = []
    if name.startswith("adaptseg") or (name.startswith("rpt") and "plain" not in name):
        narrow = ["method.discriminator.width=8"]
    if name.startswith("pit"):
        narrow = ["method.discriminator.width=8", "method.presence.width=8"]
    if name.startswith("gio_ada"):
        narrow = [
            f"method.{part}.width=4" for part in ("image_discriminator", "output_discriminator")
        ]
        narrow += ["method.translator.width=4", "method.translator.blocks=1"]
    config = compose("train", [f"method={name}", *TINY, *narrow, *overrides])
    return config["method"]


def make(variant: tuple[str, tuple[str, ...]], network: torch.nn.Module) -> Method:
    torch.manual_seed(1)
    return build(method_config(*variant), network=network)


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_every_player_learns_and_nothing_else(variant: Any, network: Any) -> None:
    method = make(variant, network)
    batch = make_batch()
    for losses in method.losses(batch):
        sum(losses.values()).backward()
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
    config = method_config(*variant)
    players, offered = set(make(variant, network).players()), {"network", *config["optimizers"]}
    assert players <= offered
    if not variant[1]:
        assert players == offered, "an optimizer that no variant without overrides uses"


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
