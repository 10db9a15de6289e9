"""Predict pictures or videos with a checkpoint: masks, overlays, entropy, before and after."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeRemainingColumn,
)

from uda_seg.commands.evaluate import choose_device, load
from uda_seg.config import build
from uda_seg.config import plain as without_checks
from uda_seg.errors import CheckError, ConfigError, DataError
from uda_seg.images import pictures
from uda_seg.prediction.inputs import Input, find
from uda_seg.prediction.look import COMPARISON, Look, id_table, legend_of
from uda_seg.prediction.movie import Clip, check_codec
from uda_seg.prediction.predictor import Predictor
from uda_seg.prediction.store import OutputError, Store, check_folder, writing
from uda_seg.prediction.work import Work
from uda_seg.runs import run_folder
from uda_seg.runs.bars import Bars
from uda_seg.runs.checkpoint_config import config_of

log = logging.getLogger(__name__)

MUST_MATCH = "precision inference ids opacity legend every codec quality".split()
"""Keys that all predictions in a folder share, beside the checkpoints and the sizes they see."""
LEGEND_WIDTH = 640
"""Pixels of legend.png."""


@dataclass
class Trained:
    """A checkpoint that was asked for."""

    path: Path
    run: dict[str, Any]
    predictor: Predictor
    step: int

    @property
    def caption(self) -> str:
        return f"{self.run['run_name']}, step {self.step}"

    def facts(self) -> dict[str, Any]:
        with open(self.path, "rb") as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
        return {"path": str(self.path.resolve()), "sha256": digest.hexdigest()}


def run(config: DictConfig, folder: Path) -> float | None:
    """
    Raises:
        CheckError: some inputs cannot be read; all others are predicted.
    """
    plain: Any = OmegaConf.to_container(config, resolve=True)
    output = Path(plain["output"]).expanduser()
    kinds = [*plain["write"], *([COMPARISON] if plain["compare"] else [])]
    check_folder(output)
    items = find(plain["input"], output)
    check_settings(plain, kinds, items)
    keys = [key for key in ("checkpoint", "compare") if plain[key]]
    trained = [open_checkpoint(key, plain) for key in keys]
    look = look_of(plain, kinds, trained)
    store = open_store(output, plain, dict(zip(keys, trained, strict=True)))
    todo = store.plan(items, kinds)
    with writing(output):
        pictures.save(output / "legend.png", legend_of(look.classes[0], LEGEND_WIDTH))
    work = Work(
        [one.predictor for one in trained], look, store,
        plain["batch_size"], plain["workers"], plain["codec"], plain["quality"],
    )  # fmt: skip
    try:
        problems = do(work, todo, plain["every"]) if todo else []
    except torch.OutOfMemoryError as error:
        raise ConfigError(
            "the device's memory does not suffice; take batch_size=1, precision=bf16-mixed, a "
            "smaller size=, or windows: inference.mode=slide inference.window=[512,512] "
            "inference.stride=[384,384]"
        ) from error
    if len(todo) < len(items):
        log.info("%d inputs were predicted before", len(items) - len(todo))
    log.info("pictures, videos and prediction.json: %s", output)
    tell(problems, len(items))
    return None


def check_settings(config: Mapping[str, Any], kinds: Sequence[str], items: list[Input]) -> None:
    """What can be known before a network is built."""
    if not kinds:
        raise ConfigError(
            "write=[]: nothing would be written; choose overlay, colour, ids, entropy"
        )
    if config["opacity"] > 1:
        raise ConfigError(f"opacity={config['opacity']}: must be 0 to 1")
    if any(item.is_video for item in items) and set(kinds) != {"ids"}:
        check_codec(config["codec"])


def open_checkpoint(key: str, config: Mapping[str, Any]) -> Trained:
    path = run_folder.checkpoint_at(config[key], key)
    run = config_of(path)
    network, classes, step = load(path, run)
    size = size_seen(config["size"], run["target"].get("size"))
    device = choose_device(gpu_here() if config["device"] == "gpu" else config["device"])
    inference = build(config["inference"])
    predictor = Predictor(network.to(device), classes, inference, size, config["precision"])
    return Trained(path, run, predictor, step)


def size_seen(wanted: Any, of_target: list[int] | None) -> list[int] | None:
    """None is a picture's own size.

    Raises:
        ConfigError: it is no size.
    """
    if wanted is None:
        return of_target
    if wanted == "own":
        return None
    pair = isinstance(wanted, list) and len(wanted) == 2
    if pair and all(type(side) is int and side >= 1 for side in wanted):
        return wanted
    raise ConfigError(f"size={wanted}: must be height, width, like [512,1024], or own")


def gpu_here() -> str:
    return "mps" if torch.mps.is_available() and not torch.cuda.is_available() else "cuda"


def look_of(config: Mapping[str, Any], kinds: Sequence[str], trained: Sequence[Trained]) -> Look:
    classes = [one.predictor.classes for one in trained]
    words = ("after: ", "before: ") if len(trained) > 1 else ("",)
    return Look(
        kinds=kinds,
        classes=classes,
        captions=[word + one.caption for word, one in zip(words, trained, strict=True)],
        id_table=id_table(classes[0], config["ids"]),
        opacity=config["opacity"],
        legend=config["legend"],
    )


def open_store(output: Path, config: Mapping[str, Any], trained: Mapping[str, Trained]) -> Store:
    """The folder, with what made its files in prediction.json."""
    same: dict[str, Any] = {"checkpoint": None, "compare": None}
    same |= {key: one.facts() for key, one in trained.items()}
    same |= {f"size of {key}": one.predictor.size for key, one in trained.items()}
    same |= {key: without_checks(config[key]) for key in MUST_MATCH}
    table = id_table(trained["checkpoint"].predictor.classes, config["ids"])
    also = {
        "runs": {key: one.caption for key, one in trained.items()},
        "classes": [
            {"id": int(table[place]), "name": name, "colour": pictures.colour_of(name)}
            for place, name in enumerate(trained["checkpoint"].predictor.classes)
        ],
        **run_folder.environment(),
    }
    return Store(output, same, also, config["overwrite"])


def do(work: Work, items: Sequence[Input], every: int) -> list[DataError]:
    """Predicts all, with a bar; returns what is wrong with those that cannot be read.

    Args:
        work: how.
        items: pictures first, then videos one by one.
        every: of videos, each n-th frame.
    """
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
    )  # fmt: skip
    stills = [item for item in items if not item.is_video]
    videos = [item for item in items if item.is_video]
    problems: list[DataError] = []
    start, frames = time.monotonic(), 0
    with Bars(*columns, console=Console(stderr=True)) as bars:

        def begin(title: str, total: int) -> Any:
            task, began = bars.add_task(title, total=total, rate=""), time.monotonic()

            def told(count: int) -> None:
                nonlocal frames
                frames += count
                rate = (bars.tasks[task].completed + count) / (time.monotonic() - began)
                bars.update(task, advance=count, rate=f"{rate:.1f} images/s")

            return told

        if stills:
            problems += work.pictures(stills, begin("pictures", len(stills)))
            frames -= len(problems)
        for item in videos:
            try:
                clip = Clip(item.path, every)
                work.video(item, clip, begin(item.path.name, len(clip)))
            except OutputError:
                raise
            except DataError as error:
                problems.append(error)
    seconds, good = time.monotonic() - start, len(items) - len(problems)
    log.info(
        "%d of %d inputs predicted, %d images in %.1f s: %.1f images a second",
        good, len(items), frames, seconds, frames / seconds,
    )  # fmt: skip
    return problems


def tell(problems: Sequence[DataError], count: int) -> None:
    """
    Raises:
        CheckError: some inputs cannot be read.
    """
    if problems and count == 1:
        raise problems[0]
    for problem in problems:
        log.error("%s", problem)
    if problems:
        raise CheckError(
            f"{len(problems)} of {count} inputs cannot be read, listed above; all others are "
            "predicted. Mend or remove them, and call this again"
        )
