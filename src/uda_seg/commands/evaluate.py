"""Score a checkpoint on a target's labels: table, `scores.json` and pictures in a folder."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uda_seg.data.datasets.labels import LabelSpace, other_classes
from uda_seg.data.datasets.opening import open_scored
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import customary
from uda_seg.prediction.score_split import Scored, say_what_is_missing, score, submission
from uda_seg.prediction.together import open_together
from uda_seg.report.writers import print_run
from uda_seg.runs import run_folder
from uda_seg.runs.trained import Trained, check_checkpoints, evaluation_config

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is written: a checkpoint that is none."""
    check_checkpoints(config)


def run(config: dict[str, Any], folder: Path) -> float | None:
    """Returns the mIoU in percent."""
    complete = evaluation_config(config)
    run_folder.open_run(complete, folder)
    trained = open_together(complete)
    split = complete["split"] or complete["target"]["val_split"]
    say_what_is_missing(complete["target"], split, trained.classes)
    saved = submission(complete, split, trained.classes, folder)
    whole, parts = score(trained.network, trained.classes, split, complete, folder, saved)
    dataset = open_scored(complete["target"], split)
    others = list(other_classes(LabelSpace(tuple(trained.classes)), dataset))
    result = written(complete, trained, split, others, whole, folder)
    members = [
        written(alone(complete, name), trained, split, others, part, folder / name)
        for name, part in parts.items()
    ]
    if whole.confusion.counts().sum():
        print_run(result, beside=members)
    log.info("scores and pictures: %s", folder)
    if saved is not None:
        log.info("predictions: %s", saved.finish(complete["zip_predictions"]))
    return float(next(iter(result["selections"].values()))["miou"])


def alone(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The config with one of its several targets."""
    return {**config, "target": config["target"]["datasets"][name]}


def written(
    config: Mapping[str, Any],
    trained: Trained,
    split: str,
    others: list[str],
    found: Scored,
    folder: Path,
) -> dict[str, Any]:
    """`scores.json` in the folder, read back."""
    selection = scores.selection_of(trained.path)
    scores.save(
        folder / "scores.json",
        {
            **facts(config, trained, split),
            **together(config, trained),
            "other_classes": others,
            "selections": {selection: found.selection(trained.step, trained.classes)},
            "device": str(next(trained.network.parameters()).device),
        },
    )
    return scores.load(folder / "scores.json")


def together(config: Mapping[str, Any], trained: Trained) -> dict[str, Any]:
    """What `scores.json` says of several checkpoints."""
    if not trained.others:
        return {}
    paths = [str(one.path) for one in trained.others]
    return {"also": paths, "mean_of": config["mean_of"], "shares": config["shares"]}


def facts(config: Mapping[str, Any], trained: Trained, split: str) -> dict[str, Any]:
    """What `scores.json` says beside the scores: the run's own words, and what scored it."""
    run = trained.run
    return {
        "schema": scores.SCHEMA,
        "run_name": run["run_name"],
        "method": scores.method_facts(run["method"]),
        "source": run["source"]["name"],
        "target": config["target"]["name"],
        "trained_target": run["target"]["name"],
        "split": split,
        "backbone": run["backbone"]["name"],
        "seed": run["seed"],
        "steps": trained.step,
        "batch_norm": trained.network.batch_norm,
        "classes": trained.classes,
        "protocols": customary(config["target"]),
        "inference": config["inference"],
        "history": [],
        "finished": True,
        "config_hash": run_folder.config_hash(run),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    }
