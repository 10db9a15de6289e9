"""Look images of one domain up in the other: does a network find the same kind of street?"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError
from uda_seg.evaluation.scores import method_label
from uda_seg.retrieval import tables as report
from uda_seg.retrieval.answers import answer, facts
from uda_seg.retrieval.neighbors import draw, neighbors
from uda_seg.retrieval.retrieval_page import write_page
from uda_seg.retrieval.side import common_classes, describe_all, open_side, say_what_counts
from uda_seg.runs import files, run_folder
from uda_seg.runs.trained import Trained, check_checkpoints, evaluation_config, open_trained

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is written: a checkpoint that is none."""
    check_checkpoints(config)


def run(config: dict[str, Any], folder: Path) -> None:
    complete = evaluation_config(config, sides=("source", "target"))
    check_settings(complete)
    trained = open_all(complete)
    run_folder.open_run(complete, folder)
    sides = {
        domain: open_side(domain, complete, next(iter(trained.values())).classes)
        for domain in ("source", "target")
    }
    common = common_classes(sides)
    say_what_counts(sides, common, complete["k"])
    networks = {label: one.network for label, one in trained.items()}
    vectors, layouts = {}, {}
    for domain, side in sides.items():
        vectors[domain], layouts[domain] = describe_all(
            side, networks, common, complete["batch_size"], complete["workers"]
        )
    directions = answer(vectors, layouts, complete["k"], complete["relevant"])
    result = facts(complete, trained, sides, common, directions)
    files.write_json(folder / "retrieval.json", result)
    files.write_text(folder / "retrieval.csv", report.table_of(result["rows"]))
    found = neighbors(directions, sides, max(complete["k"]))
    files.write_text(folder / "neighbors.csv", report.table_of(found))
    drawn = draw(
        directions, sides, networks, complete["strips"], complete["shown"], folder / "strips"
    )
    write_page(folder / "index.html", result, drawn)
    report.print_result(result)
    log.info("tables, strips and page: %s", folder / "index.html")


def check_settings(config: Mapping[str, Any]) -> None:
    if not 0 < config["relevant"] < 1:
        raise ConfigError(
            f"relevant={config['relevant']}: must be between 0 and 1, a share of the gallery"
        )
    if not config["k"]:
        raise ConfigError("k=[]: give at least one number of neighbors, k=[1,5,10]")


def open_all(config: Mapping[str, Any]) -> dict[str, Trained]:
    """Those to compare with, then the checkpoint itself, each by its method's name.

    Raises:
        ConfigError: one is not there, or knows other classes.
    """
    given = config["compare"] or []
    earlier = given if isinstance(given, list) else [given]
    trained = [open_trained(path, "compare", config["device"]) for path in earlier]
    trained.append(open_trained(config["checkpoint"], device=config["device"]))
    for one in trained:
        if one.classes != trained[-1].classes:
            raise ConfigError(
                f"compare={one.path}: was trained on other classes ({', '.join(one.classes)}) than "
                f"the checkpoint ({', '.join(trained[-1].classes)}); such numbers do not compare"
            )
    return dict(zip(labels_of(trained), trained, strict=True))


def labels_of(trained: Sequence[Trained]) -> list[str]:
    """Labels of the methods; with the end of the path where that is not enough."""
    names = [method_label(one.run["method"]) for one in trained]
    if len(set(names)) == len(names):
        return names
    folders = [run_folder.folder_of(one.path) for one in trained]
    names = [
        f"{name} ({folder.parent.name}/{folder.name})"
        for name, folder in zip(names, folders, strict=True)
    ]
    if len(set(names)) == len(names):
        return names
    return [f"{number}: {one.path}" for number, one in enumerate(trained, 1)]
