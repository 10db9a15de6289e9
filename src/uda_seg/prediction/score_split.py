"""Score a network on all images of a split, draw some of them, and keep its predictions."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from uda_seg.config import build
from uda_seg.data.checking.first_look import first_look
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.datasets.labels import LabelMapper, LabelSpace, other_classes
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.opening import open_scored
from uda_seg.data.feeding.data_module import evaluation_loader
from uda_seg.data.feeding.evaluation_set import Evaluation, EvaluationSet, within
from uda_seg.errors import ConfigError
from uda_seg.evaluation.boundary import BoundaryIoU
from uda_seg.evaluation.calibration import CalibrationError
from uda_seg.evaluation.confusion import ConfusionMatrix
from uda_seg.evaluation.enlarged import Enlarged
from uda_seg.evaluation.inference import Inference
from uda_seg.evaluation.selection import InformationMaximisation, SoftNeighbourhoodDensity
from uda_seg.evaluation.submission import Submission
from uda_seg.images import pictures
from uda_seg.runs.bars import track

log = logging.getLogger(__name__)


class Scored:
    """What is counted while images are scored.

    Args:
        classes: how many the network knows.
        others: how many more the labels have.
        wanted: `boundary_iou` and `calibration` say whether these are counted, which takes longer.
    """

    def __init__(self, classes: int, others: int, wanted: Mapping[str, Any], device: Any) -> None:
        self.confusion = ConfusionMatrix(classes, others).to(device)
        self.label_free = InformationMaximisation(classes).to(device)
        self.density = SoftNeighbourhoodDensity().to(device)
        self.boundary = BoundaryIoU(classes) if wanted.get("boundary_iou") else None
        self.calibration = CalibrationError() if wanted.get("calibration") else None

    def update(
        self, prediction: Tensor, logits: Tensor | Enlarged, label: Tensor, inference: Inference
    ) -> None:
        """Of one image: (1, h, w), (1, C, H, W) and (1, h, w)."""
        self.confusion.update(prediction, label)
        self.label_free.update(logits)
        self.density.update(logits)
        if self.boundary is not None:
            self.boundary.update(prediction[0].cpu().numpy(), label[0].cpu().numpy())
        if self.calibration is not None:
            self.calibration.update(inference.resized(logits, label.shape[1:]), label)

    def selection(self, step: int, classes: Sequence[str]) -> dict[str, Any]:
        """An entry of `selections` in `scores.json`."""
        found: dict[str, Any] = {
            "step": step,
            "confusion": self.confusion.counts().tolist(),
            "other_confusion": self.confusion.other_counts().tolist(),
            "information_maximisation": float(self.label_free.compute()),
            "mean_normalised_entropy": float(self.label_free.mean_normalised_entropy()),
            "soft_neighbourhood_density": float(self.density.compute()),
        }
        if self.boundary is not None:
            found["boundary_miou"] = self.boundary.miou()
            found["boundary_iou"] = dict(zip(classes, self.boundary.iou().tolist(), strict=True))
        if self.calibration is not None:
            found["calibration_error"] = 100 * self.calibration.compute()
        return found


def score(
    network: nn.Module,
    classes: list[str],
    split: str,
    config: Mapping[str, Any],
    folder: Path,
    saved: Submission | None = None,
) -> tuple[Scored, dict[str, Scored]]:
    """Predicts every image of the split once, draws some of them, and saves all if asked to.

    Returns:
        What is counted over all images; and over those of each dataset, by name, of several.
    """
    target, space = config["target"], LabelSpace(tuple(classes))
    dataset = open_scored(target, split)
    others = other_classes(space, dataset)
    scored = EvaluationSet(dataset, target.get("size"), space, others)
    first_look(
        dataset, scored.fields, LabelMapper(space, dataset), BadImages(False, None), "target"
    )
    for remark in dataset.remarks():
        log.warning("target: %s", remark)
    loader = evaluation_loader(scored, config["batch_size"], config["workers"])
    inference: Inference = build(config["inference"])
    device = next(network.parameters()).device

    def nothing() -> Scored:
        return Scored(len(classes), len(others), config, device)

    merged = dataset if isinstance(dataset, MergedDataset) else None
    whole, parts = nothing(), {name: nothing() for name in (merged.datasets if merged else ())}
    count = len(scored)
    panels = min(config["panels"], count)
    drawn = [i * count // panels for i in range(panels)]
    index = 0
    batch: Evaluation
    for batch in track(loader, "scoring", len(loader)):
        image = batch.image.to(device).float() / 255
        answers = inference.each(network, image)
        for logits, label, picture in zip(answers, batch.label, batch.image, strict=True):
            prediction = inference.predict(logits, label.shape)
            for found in [whole, parts[merged.place(index)[0]]] if merged else [whole]:
                found.update(prediction, logits, label[None].to(device), inference)
            if saved is not None:
                saved.add(index, prediction[0].cpu().numpy())
            if index in drawn:
                draw(folder, drawn.index(index), picture, label, prediction[0].cpu(), classes)
            index += 1
    return whole, parts


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
        ("label", pictures.color(within(label.numpy(), len(classes)), classes)),
        ("prediction", pictures.color(prediction.numpy().astype(np.uint8), classes)),
    ):
        path = folder / "pictures" / f"{number:03}_{kind}.png"
        pictures.save(path, pictures.resize(picture, height, width))


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
