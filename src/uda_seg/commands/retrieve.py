"""Look images of one domain up in the other: does a network find the same kind of street?"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from uda_seg.commands.evaluate import choose_device, load
from uda_seg.data.datasets.few_samples import spread
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.feeding.evaluation_set import EvaluationSet
from uda_seg.errors import ConfigError
from uda_seg.retrieval import tables as report
from uda_seg.retrieval.answers import Direction, answer, rows
from uda_seg.retrieval.neighbors import draw, neighbours
from uda_seg.retrieval.page import write_page
from uda_seg.retrieval.side import Side, counted, describe_all
from uda_seg.runs import files, run_folder
from uda_seg.runs.checkpoint_config import check_checkpoints, config_of, evaluation_config

log = logging.getLogger(__name__)


@dataclass
class Trained:
    """A checkpoint that takes part."""

    path: Path
    run: dict[str, Any]
    network: nn.Module
    classes: list[str]
    step: int


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is written: a checkpoint that is none."""
    check_checkpoints(config)


def run(config: DictConfig, folder: Path) -> float | None:
    complete = evaluation_config(config, sides=("source", "target"))
    plain: Any = OmegaConf.to_container(complete, resolve=True)
    check_settings(plain)
    trained = open_all(plain)
    run_folder.open_run(complete, folder)
    sides = {domain: open_side(domain, plain, trained) for domain in ("source", "target")}
    common = counted(sides)
    say_what_counts(sides, common, plain["k"])
    networks = {label: one.network for label, one in trained.items()}
    vectors, layouts = {}, {}
    for domain, side in sides.items():
        vectors[domain], layouts[domain] = describe_all(
            side, networks, common, plain["batch_size"], plain["workers"]
        )
    directions = answer(vectors, layouts, plain["k"], plain["relevant"])
    result = facts(plain, trained, sides, common, directions)
    files.write_json(folder / "retrieval.json", result)
    files.write_text(folder / "retrieval.csv", report.table_of(result["rows"]))
    found = neighbours(directions, sides, max(plain["k"]))
    files.write_text(folder / "neighbours.csv", report.table_of(found))
    drawn = draw(directions, sides, networks, plain["strips"], plain["shown"], folder / "strips")
    write_page(folder / "index.html", result, drawn)
    report.print_result(result)
    log.info("tables, strips and page: %s", folder / "index.html")
    return None


def check_settings(config: Mapping[str, Any]) -> None:
    if not 0 < config["relevant"] < 1:
        raise ConfigError(
            f"relevant={config['relevant']}: must be between 0 and 1, a share of the gallery"
        )
    if not config["k"]:
        raise ConfigError("k=[]: give at least one number of neighbours, k=[1,5,10]")


def open_all(config: Mapping[str, Any]) -> dict[str, Trained]:
    """Those to compare with, then the checkpoint itself, each by its method's name.

    Raises:
        ConfigError: one is not there, or knows other classes.
    """
    given = config["compare"] or []
    earlier = [
        run_folder.checkpoint_at(str(path), "compare")
        for path in (given if isinstance(given, list) else [given])
    ]
    device = choose_device(config["device"])
    found: list[Trained] = []
    for path in (*earlier, Path(config["checkpoint"])):
        trained_run = config_of(path)
        network, classes, step = load(path, trained_run)
        found.append(Trained(path, trained_run, network.to(device), classes, step))
    for one in found:
        if one.classes != found[-1].classes:
            raise ConfigError(
                f"compare={one.path}: was trained on other classes ({', '.join(one.classes)}) than "
                f"the checkpoint ({', '.join(found[-1].classes)}); such numbers do not compare"
            )
    return dict(zip(labels_of(found), found, strict=True))


def labels_of(found: Sequence[Trained]) -> list[str]:
    """Names of the methods; with the end of the path where that is not enough."""
    names = [str(one.run["method"]["name"]) for one in found]
    if len(set(names)) == len(names):
        return names
    folders = [run_folder.folder_of(one.path) for one in found]
    names = [
        f"{name} ({folder.parent.name}/{folder.name})"
        for name, folder in zip(names, folders, strict=True)
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{number}: {one.path}" for number, one in enumerate(found, 1)]


def open_side(domain: str, config: Mapping[str, Any], trained: Mapping[str, Trained]) -> Side:
    classes = tuple(next(iter(trained.values())).classes)
    node = config[domain]
    split = config[f"{domain}_split"] or node["val_split"]
    scored = EvaluationSet(open_scored(node, split), node.get("size"), LabelSpace(classes))
    indices = spread(len(scored), config["limit"] or len(scored))
    if len(indices) < 2:
        raise ConfigError(
            f"{domain}={node['name']}: its split {split} has one image; two are needed"
        )
    return Side(domain, node["name"], split, scored, indices, classes)


def say_what_counts(sides: Mapping[str, Side], common: Sequence[int], ks: Sequence[int]) -> None:
    """
    Raises:
        ConfigError: both have labels, but of different things.
    """
    smallest = min(len(side.indices) for side in sides.values())
    if max(ks) > smallest:
        log.warning("k=%s: a side has only %d images, all of which then count", ks, smallest)
    bare = [f"{side.domain}={side.name}" for side in sides.values() if not side.labels]
    if bare:
        log.warning("%s: no labels, so nothing tells what is relevant", ", ".join(bare))
        return
    classes = sides["source"].classes
    if not common:
        raise ConfigError(
            f"source={sides['source'].name} and target={sides['target'].name}: no class of the "
            f"network's ({', '.join(classes)}) is labelled in both"
        )
    missing = [name for place, name in enumerate(classes) if place not in common]
    if missing:
        log.warning("%s: not labelled on both sides, left out of layouts", ", ".join(missing))


def facts(
    config: Mapping[str, Any],
    trained: Mapping[str, Trained],
    sides: Mapping[str, Side],
    common: Sequence[int],
    directions: Sequence[Direction],
) -> dict[str, Any]:
    """What retrieval.json holds, and all that reports read."""
    classes = sides["source"].classes
    return {
        "schema": report.SCHEMA,
        **{
            domain: {
                "name": side.name,
                "split": side.split,
                "images": len(side.indices),
                "of": len(side.pictures),
                "labels": side.labels,
            }
            for domain, side in sides.items()
        },
        "classes": list(classes),
        "counted": [classes[place] for place in common],
        "k": config["k"],
        "relevant": config["relevant"],
        "judged": directions[0].layouts is not None,
        "runs": [
            {
                "label": label,
                "method": one.run["method"]["name"],
                "seed": one.run["seed"],
                "steps": one.step,
                "backbone": one.run["backbone"]["name"],
                "checkpoint": str(one.path),
                "config_hash": run_folder.config_hash(one.run),
            }
            for label, one in trained.items()
        ],
        "rows": list(rows(directions)),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    }
