"""Write a checkpoint's network as ONNX and torch.export files, checked, with a model card."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from uda_seg.config import locate
from uda_seg.errors import ConfigError
from uda_seg.evaluation import scores
from uda_seg.export import checked_files
from uda_seg.export.formats import make_formats
from uda_seg.export.model_card import Card
from uda_seg.networks.base import SegmentationNetwork
from uda_seg.networks.portable import portable
from uda_seg.runs import run_folder
from uda_seg.runs.files import check_empty, new_folder
from uda_seg.runs.trained import evaluation_config, open_trained

log = logging.getLogger(__name__)

CARD = "model_card.md"
PACKAGES = ("torch", "timm", "onnx", "onnxscript", "onnxruntime")


def run(config: dict[str, Any], folder: Path) -> None:
    """Everything goes into `output`, which appears when all is written and checked."""
    complete = evaluation_config(config)
    output = Path(complete["output"]).expanduser()
    check_empty(output, "output")
    check_sizes(complete["sizes"], SegmentationNetwork.smallest_side)
    formats = make_formats(complete["formats"], complete["opset"])
    trained = open_trained(complete["checkpoint"])
    network = cast(SegmentationNetwork, trained.network)
    check_sizes(complete["sizes"], network.smallest_side)
    run, classes, step, checkpoint = trained.run, trained.classes, trained.step, trained.path
    found, why = scores_of(complete["scores"], checkpoint, step)
    with new_folder(output, "output") as unfinished:
        made = checked_files.write(
            network,
            run["backbone"]["name"],
            unfinished,
            formats,
            complete["answer"],
            checked_files.facts(classes, run["run_name"], step),
            complete["sizes"],
            complete["tolerance"],
        )
        card = Card(
            run=run,
            classes=classes,
            checkpoint=checkpoint.name,
            step=step,
            parameters=sum(weight.numel() for weight in portable(network).parameters()),
            supervised_by=supervised_by(run["method"]),
            scores=found,
            selection=scores.selection_of(checkpoint) if found else None,
            why_unscored=why,
            answer=complete["answer"],
            files=made,
            tolerance=complete["tolerance"],
            versions=run_folder.versions(PACKAGES),
            smallest=network.smallest_side,
        )
        (unfinished / CARD).write_text(card.text(), encoding="utf-8")
    log.info("%s: %s", output, ", ".join([*(file.name for file in made), CARD]))


def check_sizes(sizes: Sequence[Any], least: int) -> None:
    """
    Raises:
        ConfigError: they are no heights and widths.
    """
    for size in sizes:
        pair = isinstance(size, Sequence) and len(size) == 2
        if not pair or not all(isinstance(side, int) and side >= least for side in size):
            raise ConfigError(
                f"sizes={list(sizes)}: each is [height, width], both at least {least}, such as "
                "sizes=[[128,256],[117,161]]"
            )
    if not sizes:
        raise ConfigError("sizes: is empty; the files could not be checked: sizes=[[128,256]]")


def scores_of(
    given: str | None, checkpoint: Path, step: int
) -> tuple[Mapping[str, Any] | None, str]:
    """The scores of a checkpoint, or None and why there are none.

    Raises:
        DataError: a file that was asked for holds none.
    """
    # The checkpoint's own folder, unless it was moved away from its run.
    parent = checkpoint.parent
    place = Path(given) if given else parent.parent if parent.name == "checkpoints" else parent
    if not given and not (place / "scores.json").is_file():
        return None, "no scores.json lies beside it; `evaluate` makes one, and `scores=` names it."
    found, name = scores.load(place), scores.selection_of(checkpoint)
    if name not in found["selections"]:
        return None, f"its scores.json has no selection `{name}`."
    scored = found["selections"][name]["step"]
    if scored != step:
        return None, f"its scores.json is of step {scored}, the checkpoint of step {step}."
    return found, ""


def supervised_by(method: Mapping[str, Any]) -> str:
    """Whose labels a run's method learned from."""
    return str(getattr(locate(method["_target_"]), "supervised_by", "source"))
