"""Score a checkpoint on a target's labels: table, `scores.json` and pictures in a folder."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from uda_seg.config import build
from uda_seg.data.checking.first_look import first_look
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.labels import Encoder, LabelSpace, other_classes
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.feeding.data_module import evaluation_loader
from uda_seg.data.feeding.evaluation_set import Evaluation, EvaluationSet, within
from uda_seg.errors import ConfigError, WeightsError
from uda_seg.evaluation import scores
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.inference import Inference
from uda_seg.evaluation.measures import customary
from uda_seg.evaluation.selection import InformationMaximisation
from uda_seg.evaluation.submission import Submission
from uda_seg.images import pictures
from uda_seg.report.table import print_run
from uda_seg.runs import run_folder
from uda_seg.runs.bars import track
from uda_seg.runs.checkpoint_config import check_checkpoints, evaluation_config
from uda_seg.runs.weights import network_state, read_checkpoint

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is written: a checkpoint that is none."""
    check_checkpoints(config)


def run(config: DictConfig, folder: Path) -> float | None:
    """Returns the mIoU in percent."""
    complete = evaluation_config(config)
    run_folder.open_run(complete, folder)
    plain: Any = OmegaConf.to_container(complete, resolve=True)
    device = choose_device(plain["device"])
    network, classes, step = load(Path(plain["checkpoint"]), plain["run"])
    split = plain["split"] or plain["target"]["val_split"]
    say_what_is_missing(plain["target"], split, classes)
    saved = submission(plain, split, classes, folder)
    dataset = open_scored(plain["target"], split)
    other_names = list(other_classes(LabelSpace(tuple(classes)), dataset))
    confusion, label_free = score(network.to(device), classes, split, plain, folder, saved)
    scores.save(
        folder / "scores.json",
        {
            **facts(plain, network, classes, split, step),
            "other_classes": other_names,
            "selections": {
                selection_of(Path(plain["checkpoint"])): {
                    "step": step,
                    "confusion": confusion.counts().tolist(),
                    "other_confusion": confusion.other_counts().tolist(),
                    "information_maximisation": float(label_free.compute()),
                    "mean_normalised_entropy": float(label_free.mean_normalised_entropy()),
                }
            },
            "device": str(device),
        },
    )
    result = scores.load(folder / "scores.json")
    if confusion.counts().sum():
        print_run(result)
    log.info("scores and pictures: %s", folder)
    if saved is not None:
        log.info("predictions: %s", saved.finish(plain["zip_predictions"]))
    return float(next(iter(result["selections"].values()))["miou"])


def load(checkpoint: Path, run: Mapping[str, Any]) -> tuple[nn.Module, list[str], int]:
    """The network in evaluation mode, the names of its classes, and the step it was trained to.

    Raises:
        WeightsError: the file is no checkpoint of this package, or does not fit the run's config.
    """
    stored = read_checkpoint(checkpoint)
    classes, step = list(stored["hyper_parameters"]["classes"]), int(stored["global_step"])
    backbone = dict(run["backbone"])
    if "pretrained" in backbone:
        backbone["pretrained"] = "none"  # all weights come from the checkpoint
    try:
        network = build(backbone, classes=len(classes))
    except ConfigError as error:  # keys came or went since the run was made
        made = run_folder.folder_of(checkpoint) / "environment.json"
        raise WeightsError(
            f"{checkpoint}: its run's backbone is not this version's ({error}); train it again, or "
            f"take the version that made it: {made}"
        ) from error
    try:
        network.load_state_dict(network_state(stored))
    except RuntimeError as error:
        raise WeightsError(f"{checkpoint}: does not fit the run's backbone: {error}") from error
    return network.eval(), classes, step


def score(
    network: nn.Module,
    classes: list[str],
    split: str,
    config: Mapping[str, Any],
    folder: Path,
    saved: Submission | None = None,
) -> tuple[ConfusionMatrix, InformationMaximisation]:
    """Predicts every image of the split once, draws some of them, and saves all if asked to."""
    target, space = config["target"], LabelSpace(tuple(classes))
    dataset = open_scored(target, split)
    others = other_classes(space, dataset)
    scored = EvaluationSet(dataset, target.get("size"), space, others)
    first_look(dataset, scored.fields, Encoder(space, dataset), BadImages(False, None), "target")
    for remark in dataset.remarks():
        log.warning("target: %s", remark)
    loader = evaluation_loader(scored, config["batch_size"], config["workers"])
    inference: Inference = build(config["inference"])
    device = next(network.parameters()).device
    confusion = ConfusionMatrix(len(classes), len(others)).to(device)
    label_free = InformationMaximisation(len(classes)).to(device)
    count = len(scored)
    panels = min(config["panels"], count)
    drawn = [i * count // panels for i in range(panels)]
    index = 0
    batch: Evaluation
    for batch in track(loader, "scoring", len(loader)):
        image = batch.image.to(device).float() / 255
        logits = inference(network, image)
        label_free.update(logits)
        for one, label, picture in zip(logits, batch.label, batch.image, strict=True):
            prediction = inference.predict(one[None], label.shape)[0]
            confusion.update(prediction[None], label[None].to(device))
            if saved is not None:
                saved.add(index, prediction.cpu().numpy())
            if index in drawn:
                draw(folder, drawn.index(index), picture, label, prediction.cpu(), classes)
            index += 1
    return confusion, label_free


def submission(
    config: Mapping[str, Any], split: str, classes: list[str], folder: Path
) -> Submission | None:
    """What writes the predictions; None when nobody asked for them."""
    kind = config["save_predictions"]
    if kind == "none":
        return None
    dataset = open_scored(config["target"], split)
    space = LabelSpace(tuple(classes))
    return Submission(folder, dataset, space, kind, config["prediction_ids"])


def draw(
    folder: Path, number: int, image: Tensor, label: Tensor, prediction: Tensor, classes: list[str]
) -> None:
    """pictures/NNN_{image,label,prediction}.png, all at the image's size.

    Args:
        folder: of the evaluation.
        number: NNN.
        image: (3, H, W) uint8.
        label: (h, w) classes.
        prediction: (h, w) classes.
        classes: their names.
    """
    height, width = image.shape[1:]
    for kind, picture in (
        ("image", image.permute(1, 2, 0).numpy()),
        ("label", pictures.colour(within(label.numpy(), len(classes)), classes)),
        ("prediction", pictures.colour(prediction.numpy().astype(np.uint8), classes)),
    ):
        path = folder / "pictures" / f"{number:03}_{kind}.png"
        pictures.save(path, pictures.resize(picture, height, width))


def facts(
    config: Mapping[str, Any], network: nn.Module, classes: list[str], split: str, step: int
) -> dict[str, Any]:
    """What `scores.json` says beside the scores: the run's own words, and what scored it."""
    trained, method = config["run"], config["run"]["method"]
    return {
        "schema": scores.SCHEMA,
        "run_name": trained["run_name"],
        "method": {k: method[k] for k in ("name", "levels", "gan", "lambda_adv") if k in method},
        "source": trained["source"]["name"],
        "target": config["target"]["name"],
        "trained_target": trained["target"]["name"],
        "split": split,
        "backbone": trained["backbone"]["name"],
        "seed": trained["seed"],
        "steps": step,
        "batch_norm": network.batch_norm,
        "classes": classes,
        "protocols": customary(config["target"]),
        "inference": config["inference"],
        "history": [],
        "finished": True,
        "config_hash": run_folder.config_hash(trained),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    }


def selection_of(checkpoint: Path) -> str:
    """By the file's name, so that an oracle's choice stays marked as one."""
    return checkpoint.stem if checkpoint.stem in scores.SELECTIONS else "last"


def say_what_is_missing(target: Mapping[str, Any], split: str, classes: list[str]) -> None:
    """Classes the network knows and the target does not label.

    Raises:
        ConfigError: the target labels none of them.
    """
    dataset = open_scored(target, split)
    table = LabelSpace(tuple(classes)).lookup(dataset.classes)
    missing = [name for place, name in enumerate(classes) if place not in table]
    if not dataset.has_labels:
        log.warning("%s has no labels at split %s: nothing is scored", target["name"], split)
    if len(missing) == len(classes):
        raise ConfigError(
            f"target={target['name']}: labels none of this network's classes ({', '.join(classes)})"
        )
    if missing:
        log.warning(
            "%s does not label %s: their IoU is 0, and in the mean, wherever they are predicted",
            target["name"],
            ", ".join(missing),
        )


def choose_device(name: str) -> torch.device:
    """`auto` is the best there is.

    Raises:
        ConfigError: the device is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if there[kind])
    if not there[name]:
        found = ", ".join(kind for kind, here in there.items() if here)
        raise ConfigError(f"device={name}: is not there; choose auto, or one of {found}")
    return torch.device(name)
