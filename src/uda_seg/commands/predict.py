"""Predict pictures or videos with a checkpoint: masks, overlays, entropy, before and after."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from uda_seg.config import build, plain
from uda_seg.errors import ConfigError
from uda_seg.images import pictures
from uda_seg.prediction.inputs import Input, find
from uda_seg.prediction.look import COMPARISON, Look, id_table, legend_of
from uda_seg.prediction.movie import check_codec
from uda_seg.prediction.predictor import Predictor, predictor_of
from uda_seg.prediction.store import Store, alone, check_folder, writing
from uda_seg.prediction.together import open_together
from uda_seg.prediction.work import Work, raise_problems
from uda_seg.runs import run_folder
from uda_seg.runs.trained import Trained, inference_of, open_trained

log = logging.getLogger(__name__)

MUST_MATCH = "precision inference ids opacity legend every codec quality".split()
"""Keys that all predictions in a folder share, beside the checkpoints and the sizes they see."""
LEGEND_WIDTH = 640
"""Pixels of legend.png."""


def run(config: dict[str, Any], folder: Path) -> None:
    """
    Raises:
        CheckError: some inputs cannot be read; all others are predicted.
    """
    output = Path(config["output"]).expanduser()
    kinds = [*config["write"], *([COMPARISON] if config["compare"] else [])]
    check_folder(output)
    inputs = find(config["input"], output)
    check_settings(config, kinds, inputs)
    trained = {"checkpoint": open_together(config)}
    if config["compare"]:
        trained["compare"] = open_trained(config["compare"], "compare", config["device"])
    predictors = {
        key: predictor_of(
            one, build(inference_of(one.run, config["inference"])), config["size"],
            config["precision"],
        )
        for key, one in trained.items()
    }  # fmt: skip
    look = look_of(config, kinds, list(trained.values()))
    try:
        with alone(output):
            store = open_store(output, config, trained, predictors)
            todo = store.plan(inputs, kinds)
            with writing(output):
                pictures.save(output / "legend.png", legend_of(look.classes[0], LEGEND_WIDTH))
            work = Work(
                list(predictors.values()), look, store,
                config["batch_size"] or predictors["checkpoint"].usual_batch,
                config["workers"], config["codec"], config["quality"],
            )  # fmt: skip
            problems = work.predict(todo, config["every"]) if todo else []
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device's memory does not suffice; take batch_size=1, precision=bf16-mixed, a "
            "smaller size=, or windows: inference.mode=slide inference.window=[512,512] "
            "inference.stride=[384,384]"
        ) from error
    if len(todo) < len(inputs):
        log.info("%d inputs were predicted before", len(inputs) - len(todo))
    log.info("pictures, videos and prediction.json: %s", output)
    raise_problems(problems, len(inputs))


def check_settings(config: Mapping[str, Any], kinds: Sequence[str], inputs: list[Input]) -> None:
    """What can be known before a network is built."""
    if not kinds:
        raise ConfigError("write=[]: nothing would be written; choose overlay, color, ids, entropy")
    if config["opacity"] > 1:
        raise ConfigError(f"opacity={config['opacity']}: must be 0 to 1")
    if any(one.is_video for one in inputs) and set(kinds) != {"ids"}:
        check_codec(config["codec"])


def look_of(config: Mapping[str, Any], kinds: Sequence[str], trained: Sequence[Trained]) -> Look:
    words = ("after: ", "before: ") if len(trained) > 1 else ("",)
    return Look(
        kinds=kinds,
        classes=[one.classes for one in trained],
        captions=[word + one.caption for word, one in zip(words, trained, strict=True)],
        id_table=id_table(trained[0].classes, config["ids"]),
        opacity=config["opacity"],
        legend=config["legend"],
    )


def open_store(
    output: Path,
    config: Mapping[str, Any],
    trained: Mapping[str, Trained],
    predictors: Mapping[str, Predictor],
) -> Store:
    """The folder, with what made its files in prediction.json."""
    same: dict[str, Any] = {"checkpoint": None, "compare": None}
    same |= {key: one.identity() for key, one in trained.items()}
    same |= {f"size of {key}": one.size for key, one in predictors.items()}
    keys = [*MUST_MATCH, *(("mean_of", "shares") if config["also"] else ())]
    same |= {key: plain(config[key]) for key in keys}
    classes = trained["checkpoint"].classes
    table = id_table(classes, config["ids"])
    also = {
        "runs": {key: one.caption for key, one in trained.items()},
        "classes": [
            {"id": int(table[place]), "name": name, "color": pictures.color_of(name)}
            for place, name in enumerate(classes)
        ],
        **run_folder.environment(),
    }
    return Store(output, same, also, config["overwrite"])
