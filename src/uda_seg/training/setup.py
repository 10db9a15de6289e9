"""What a run is made of: data, method, loop, and what `scores.json` says about it."""

import copy
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from uda_seg.components.teacher import FrozenTeacher
from uda_seg.config import arguments_of, build, needed_by, optimizers_of
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.feeding.data_module import DomainDataModule
from uda_seg.errors import ConfigError
from uda_seg.evaluation.measures import customary
from uda_seg.evaluation.scores import method_facts
from uda_seg.export.terms import of_first_weights
from uda_seg.methods.base import Method
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.runs import run_folder
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.fast import compile_parts, fuse
from uda_seg.training.optimization import polynomial

log = logging.getLogger(__name__)


def make_data_module(config: dict[str, Any], folder: Path) -> DomainDataModule:
    method_class: type[Method] = get_class(config["method"]["_target_"])
    needs = needed_by(config["method"])
    return DomainDataModule(
        config["source"],
        config["target"],
        method_class.supervised_by,
        method_class.reads_target,
        needs,
        config["label_space"],
        config["trainer"]["batch_size"],
        config["trainer"]["workers"],
        config["seed"],
        BadImages(config["on_bad_image"] == "skip", folder),
        config["cache"],
        config["cache_root"],
        build(config["superpixels"]) if "target.superpixels" in needs else None,
        config["trainer"]["pseudo_labels"],
        config["rare_classes"],
        config["trainer"]["limit_val_images"],
    )


def make_method(config: dict[str, Any], classes: Sequence[str]) -> Method:
    network = build(config["backbone"], classes=len(classes))
    network.class_names = list(classes)
    paths = config["method"].get("labellers")
    others = {"labellers": [copy.deepcopy(network) for _ in paths]} if paths else {}
    return build(config["method"], network=network, **others)


def warn_of_random_guide(method: Method) -> None:
    """Says so where features are to stay near an ImageNet network's, and there is none."""
    guided = any(isinstance(part, FrozenTeacher) for part in method.modules())
    if guided and method.network.load_report.startswith(SegmentationNetwork.load_report):
        log.warning(
            "%s: features of a network with ImageNet's weights guide it, but this backbone has "
            "random ones; choose backbone.pretrained=hub, package or a file",
            type(method).__name__,
        )


def make_adaptation(
    config: dict[str, Any],
    method: Method,
    classes: list[str],
    others: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
) -> Adaptation:
    """`settings`: of `trainer`, where they are others than the config's."""
    backbone, settings = config["backbone"], settings or config["trainer"]
    factories = {"network": build(backbone["optimizer"])}
    _set_updates(method.network, backbone["optimizer"])
    factories |= {k: build(o) for k, o in optimizers_of(config["method"]).items()}
    if settings.get("fused"):
        factories = fuse(factories)
    compile_parts(method, settings.get("compile", []))
    total = backbone["schedule"]["total"] or settings["steps"]
    if total < settings["steps"]:
        raise ConfigError(
            f"backbone.schedule.total: {total} ends before trainer.steps={settings['steps']}; "
            "make it null (as long as the run) or longer"
        )
    if settings.get("checkpointing", False):  # configs that are older lack it
        from uda_seg.networks.checkpointing import checkpoint  # which imports timm, and that W&B

        checkpoint(method.network)
    schedule = arguments_of(backbone["schedule"]) | {"total": total}
    module = Adaptation(
        method,
        factories,
        partial(polynomial, **schedule),
        classes,
        build(config["inference"]),
        config["seed"],
        settings["accumulate"],
        settings["clip_norm"],
        settings["steps"],
        others,
        settings.get("teacher_agreement", False),
    )
    module.save_hyperparameters({"config": config, "classes": classes}, logger=False)
    return module


def _set_updates(network: SegmentationNetwork, optimizer: dict[str, Any]) -> None:
    """What a config says of an encoder's updates; older ones lack some of the keys.

    Raises:
        ConfigError: the encoder is not made for it.
    """
    network.encoder_updates = optimizer.get("encoder_updates", 1)
    network.norm_decay = optimizer.get("norm_decay", True)
    network.layer_decay = optimizer.get("layer_decay", 1.0)
    network.parameter_groups()


def facts(config: dict[str, Any], module: Adaptation, started_from: str | None) -> dict[str, Any]:
    """What `scores.json` says about a run, apart from its scores."""
    settings = config["trainer"]
    network, looked_at = module.method.network, settings["pseudo_labels"]
    opened = f"of {looked_at} target training images, to compare pseudo-labels with; not trained on"
    return {
        "run_name": config["run_name"],
        "method": method_facts(config["method"]),
        "weights": module.method.weights,
        "parameters": {
            name: sum(parameter.numel() for parameter in player.parameters())
            for name, player in module.method.players().items()
        },
        "source": config["source"]["name"],
        "target": config["target"]["name"],
        "split": config["target"]["val_split"],
        "backbone": config["backbone"]["name"],
        "seed": config["seed"],
        "batch_norm": network.batch_norm,
        "encoder_updates": network.encoder_updates,
        "first_weights": of_first_weights(config["backbone"]),
        "classes": module.classes,
        "other_classes": module.others,
        "protocols": customary(config["target"]),
        "batch_size": settings["batch_size"],
        "started_from": started_from,
        "config_hash": run_folder.config_hash(config),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    } | ({"labels_opened": opened} if looked_at else {})
