"""Train a method on a source and a target, score it, and keep the scores."""

import logging
from pathlib import Path
from typing import Any

import torch

from uda_seg.config import plain
from uda_seg.data.feeding.worker_room import WorkerError, worker_words
from uda_seg.evaluation.scores import part_of_split
from uda_seg.networks.ensemble import Ensemble
from uda_seg.runs import run_folder
from uda_seg.runs.continuation import continuation, say_why_anew
from uda_seg.runs.initial import check_initial, check_labellers, start, start_labellers
from uda_seg.training import loggers
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.devices import check_devices
from uda_seg.training.known_warnings import silence_known_warnings
from uda_seg.training.memory_presets import how_it_fits, settings_that_fit
from uda_seg.training.scoreboard import Scoreboard
from uda_seg.training.setup import (
    facts,
    make_adaptation,
    make_data_module,
    make_method,
    warn_of_random_guide,
)
from uda_seg.training.stop import Stop, stop_request
from uda_seg.training.trainer import finish, make_trainer, set_up_torch

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is built or written: what a run starts from, and the devices it wants.

    Raises:
        UserError: something is not there, or does not fit.
    """
    if not config.get("dry_run"):  # which needs no device
        check_devices(config["trainer"])
    if continuation(config, folder) is None:
        check_initial(config)
        check_labellers(config)


def run(config: dict[str, Any], folder: Path) -> float | None:
    """Returns the last mIoU in percent, which a search maximises."""
    settings = config["trainer"]
    if not config.get("dry_run"):
        check_devices(settings)
    stored = continuation(plain(config), folder)
    if stored is None and config["resume"] == "auto":
        say_why_anew(config, folder)
    silence_known_warnings()
    set_up_torch(settings["threads"], settings["tf32"])
    torch.manual_seed(config["seed"])
    data = make_data_module(config, folder)
    built = config
    unread = stored is not None or config.get("dry_run")  # all weights are in the checkpoint
    if unread and "pretrained" in config["backbone"]:
        built = config | {"backbone": config["backbone"] | {"pretrained": "none"}}
    classes = list(data.space.classes)
    method = make_method(built, classes)
    started_from = config["initial"] if stored else start(method.network, config, classes)
    settings = settings_that_fit(method, config)
    if config.get("dry_run"):
        return None
    module = make_adaptation(config, method, classes, data.pictures.others, settings)
    if stored is None and isinstance(labellers := getattr(method, "labellers", None), Ensemble):
        start_labellers(labellers.networks, config, classes)
    if stored is None:
        warn_of_random_guide(method)
    else:
        stored.check_weights(module)
        stored.say()
    run_folder.open_run(config, folder, None if stored is None else stored.step)
    described = facts(config, module, started_from) | data.pictures.part()
    described |= how_it_fits(config, settings)
    if part := part_of_split(described):
        limit = settings["limit_val_images"]
        log.warning("trainer.limit_val_images=%d: scored on %s, not on the split", limit, part)
    log.info("first weights: %s", described["first_weights"])
    scoreboard = Scoreboard(folder, described)
    every = settings["checkpoint_every"], settings["validate_every"]
    checkpoints = Checkpoints(folder, *every, scoreboard)
    request = stop_request()
    stop = Stop(request, checkpoints, folder)
    run_as = config | {"trainer": settings}
    trainer = make_trainer(run_as, folder, scoreboard, checkpoints, stop)
    try:
        resume = None if stored is None else stored.path
        with request:
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True)
            miou = finish(trainer, module, data, scoreboard, checkpoints, folder)
    except BaseException as error:
        loggers.finish(trainer.loggers, failed=True)
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            raise WorkerError(worker_words(str(error), folder)) from error
        raise
    loggers.finish(trainer.loggers)
    return miou
