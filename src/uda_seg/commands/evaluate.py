"""Score a checkpoint on a target's labels: table, `scores.json` and pictures in a folder."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uda_seg.data.datasets.labels import LabelSpace, other_classes
from uda_seg.data.datasets.opening import open_scored
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import customary
from uda_seg.prediction.score_split import say_what_is_missing, score, submission
from uda_seg.report.writers import print_run
from uda_seg.runs import run_folder
from uda_seg.runs.trained import Trained, check_checkpoints, evaluation_config, open_trained

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is written: a checkpoint that is none."""
    check_checkpoints(config)


def run(config: dict[str, Any], folder: Path) -> float | None:
    """Returns the mIoU in percent."""
    complete = evaluation_config(config)
    run_folder.open_run(complete, folder)
    trained = open_trained(complete["checkpoint"], device=complete["device"])
    split = complete["split"] or complete["target"]["val_split"]
    say_what_is_missing(complete["target"], split, trained.classes)
    saved = submission(complete, split, trained.classes, folder)
    confusion, label_free = score(trained.network, trained.classes, split, complete, folder, saved)
    dataset = open_scored(complete["target"], split)
    scores.save(
        folder / "scores.json",
        {
            **facts(complete, trained, split),
            "other_classes": list(other_classes(LabelSpace(tuple(trained.classes)), dataset)),
            "selections": {
                scores.selection_of(trained.path): {
                    "step": trained.step,
                    "confusion": confusion.counts().tolist(),
                    "other_confusion": confusion.other_counts().tolist(),
                    "information_maximisation": float(label_free.compute()),
                    "mean_normalised_entropy": float(label_free.mean_normalised_entropy()),
                }
            },
            "device": str(next(trained.network.parameters()).device),
        },
    )
    result = scores.load(folder / "scores.json")
    if confusion.counts().sum():
        print_run(result)
    log.info("scores and pictures: %s", folder)
    if saved is not None:
        log.info("predictions: %s", saved.finish(complete["zip_predictions"]))
    return float(next(iter(result["selections"].values()))["miou"])


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
