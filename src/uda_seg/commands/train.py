"""Train a method on a source and a target, score it, and keep the scores."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from uda_seg.config import build
from uda_seg.data.datasets.bad_images import BadImages
from uda_seg.data.feeding.data_module import Pair
from uda_seg.data.feeding.worker_room import WorkerError, worker_words
from uda_seg.errors import ConfigError
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import customary
from uda_seg.methods.base import Method
from uda_seg.report.table import print_run
from uda_seg.runs import run_folder
from uda_seg.runs.checkpoint import CheckpointFiles
from uda_seg.runs.continuation import continuation, say_why_anew
from uda_seg.runs.identity import device_count
from uda_seg.runs.initial import check_initial, start
from uda_seg.training import loggers
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.devices import check_devices
from uda_seg.training.finite import FiniteLosses
from uda_seg.training.known_warnings import silence_known_warnings
from uda_seg.training.optimization import polynomial
from uda_seg.training.panels import Panels
from uda_seg.training.progress import ProgressLine
from uda_seg.training.scoreboard import Scoreboard
from uda_seg.training.stop import Stop, stop_request

log = logging.getLogger(__name__)


def refuse(config: dict[str, Any], folder: Path | None) -> None:
    """Before anything is built or written: what a run starts from, and the devices it wants.

    Raises:
        UserError: something is not there, or does not fit.
    """
    check_devices(config["trainer"])
    if continuation(config, folder) is None:
        check_initial(config)


def run(config: DictConfig, folder: Path) -> float | None:
    """Returns the last mIoU in percent, which a search maximises."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    check_devices(plain["trainer"])
    stored = continuation(run_folder.plain(config), folder)
    if stored is None and config.resume == "auto":
        say_why_anew(plain, folder)
    silence_known_warnings()
    settings = config.trainer
    set_up_torch(settings.threads)
    torch.manual_seed(config.seed)
    pair = make_pair(plain, folder)
    if stored is not None and "pretrained" in plain["backbone"]:
        built = plain | {"backbone": plain["backbone"] | {"pretrained": "none"}}
    else:
        built = plain
    method = make_method(built, len(pair.space))
    started_from = config.initial if stored else start(method.network, plain, pair.space.classes)
    module = make_adaptation(plain, method, list(pair.space.classes), pair.pictures.others)
    if stored is not None:
        stored.check_weights(module)
        stored.say()
    run_folder.open_run(config, folder, None if stored is None else stored.step)
    scoreboard = Scoreboard(folder, facts(plain, module, started_from))
    every = settings.checkpoint_every, settings.validate_every
    checkpoints = Checkpoints(folder, *every, scoreboard)
    request = stop_request()
    stop = Stop(request, checkpoints, folder)
    trainer = make_trainer(plain, folder, scoreboard, checkpoints, stop)
    try:
        resume = None if stored is None else stored.path
        with request:
            trainer.fit(module, datamodule=pair, ckpt_path=resume, weights_only=True)
            miou = finish(trainer, module, pair, scoreboard, checkpoints, folder)
    except BaseException as error:
        loggers.finish(trainer.loggers, failed=True)
        if isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker"):
            raise WorkerError(worker_words(str(error), folder)) from error
        raise
    loggers.finish(trainer.loggers)
    return miou


def set_up_torch(threads: int | None) -> None:
    """Threads of the CPU, if a number is given; and no memory is filled before it is used."""
    if threads:
        torch.set_num_threads(threads)
    # With deterministic algorithms torch writes NaN into every new tensor, so that reading what
    # nobody wrote shows: a seventh of a step's time on a CPU. FiniteLosses looks at the results.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def make_pair(config: dict[str, Any], folder: Path) -> Pair:
    method_class: type[Method] = get_class(config["method"]["_target_"])
    needs = method_class.needed(config["method"])
    return Pair(
        config["source"],
        config["target"],
        method_class.supervised_by,
        method_class.reads_target,
        needs,
        config["label_space"],
        config["trainer"]["batch_size"],
        config["trainer"]["workers"],
        config["seed"],
        BadImages(config["on_bad_image"] == "skip", folder),
        config["cache"],
        config["cache_root"],
        build(config["superpixels"]) if "target.superpixels" in needs else None,
    )


def make_method(config: dict[str, Any], classes: int) -> Method:
    return build(config["method"], network=build(config["backbone"], classes=classes))


def make_adaptation(
    config: dict[str, Any], method: Method, classes: list[str], others: Sequence[str] = ()
) -> Adaptation:
    backbone, settings = config["backbone"], config["trainer"]
    factories = {"network": build(backbone["optimizer"])}
    method.network.encoder_updates = backbone["optimizer"].get("encoder_updates", 1)
    factories |= {k: build(o) for k, o in config["method"]["optimizers"].items()}
    total = backbone["schedule"]["total"] or settings["steps"]
    if total < settings["steps"]:
        raise ConfigError(
            f"backbone.schedule.total: {total} ends before trainer.steps={settings['steps']}; "
            "make it null (as long as the run) or longer"
        )
    power, warm_up = backbone["schedule"]["power"], backbone["schedule"]["warm_up"]
    module = Adaptation(
        method,
        factories,
        lambda optimizer: polynomial(optimizer, total, power, warm_up),
        classes,
        build(config["inference"]),
        config["seed"],
        settings["accumulate"],
        settings["clip_norm"],
        settings["steps"],
        others,
    )
    module.save_hyperparameters({"config": config, "classes": classes}, logger=False)
    return module


def facts(config: dict[str, Any], module: Adaptation, started_from: str | None) -> dict[str, Any]:
    """What `scores.json` says about a run, apart from its scores."""
    settings, method = config["trainer"], config["method"]
    network = module.method.network
    return {
        "run_name": config["run_name"],
        "method": {k: method[k] for k in ("name", "levels", "gan", "lambda_adv") if k in method},
        "weights": module.method.weights,
        "parameters": {
            name: sum(parameter.numel() for parameter in player.parameters())
            for name, player in module.method.players().items()
        },
        "source": config["source"]["name"],
        "target": config["target"]["name"],
        "split": config["target"]["val_split"],
        "backbone": config["backbone"]["name"],
        "seed": config["seed"],
        "batch_norm": network.batch_norm,
        "encoder_updates": network.encoder_updates,
        "classes": module.classes,
        "other_classes": module.others,
        "protocols": customary(config["target"]),
        "batch_size": settings["batch_size"],
        "started_from": started_from,
        "config_hash": run_folder.config_hash(config),
        "git_commit": run_folder.git_commit(),
        "versions": run_folder.versions(),
    }


def _strategy(settings: Mapping[str, Any]) -> str:
    """How Lightning spreads a run; its own "auto" takes plain DDP for several processes, which
    refuses a method, since no loss of a step touches all players.
    """
    several = device_count(settings["devices"]) * settings["num_nodes"] > 1
    chosen = str(settings["strategy"])
    return "ddp_find_unused_parameters_true" if chosen == "auto" and several else chosen


def make_trainer(
    config: dict[str, Any],
    folder: Path,
    scoreboard: Scoreboard,
    checkpoints: Checkpoints,
    stop: Stop,
) -> Trainer:
    settings = config["trainer"]
    chosen = [
        build(node, folder=folder, run_name=config["run_name"], config=config)
        for node in (config["logger"] or {}).values()
    ]
    chosen = [logger for logger in chosen if logger is not None]
    callbacks = [
        scoreboard,
        FiniteLosses(settings["log_every"]),
        checkpoints,
        ProgressLine(folder, show=settings["progress"], every=settings["log_every"]),
        Panels(folder, settings["panels"]),
        stop,
    ]
    try:
        return Trainer(
            accelerator=settings["accelerator"],
            devices=settings["devices"],
            num_nodes=settings["num_nodes"],
            strategy=_strategy(settings),
            precision=settings["precision"],
            max_steps=settings["steps"],
            max_epochs=-1,
            val_check_interval=settings["validate_every"],
            check_val_every_n_epoch=None,
            log_every_n_steps=settings["log_every"],
            num_sanity_val_steps=0,
            deterministic="warn"
            if settings["deterministic"] == "warn"
            else settings["deterministic"],
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,  # Checkpoints writes them
            default_root_dir=folder,
            plugins=[CheckpointFiles()],
            logger=chosen or False,
            callbacks=callbacks,
        )
    except (RuntimeError, ValueError) as error:  # Lightning's words for a device that is not there
        raise ConfigError(
            f"trainer: {error}; choose trainer=cpu, or trainer.accelerator=/trainer.devices="
        ) from error


def finish(
    trainer: Trainer,
    module: Adaptation,
    pair: Pair,
    scoreboard: Scoreboard,
    checkpoints: Checkpoints,
    folder: Path,
) -> float | None:
    """Scores and saves the last step, whatever the intervals were."""
    if not scoreboard.history or scoreboard.history[-1]["step"] != trainer.global_step:
        trainer.validate(module, datamodule=pair, verbose=False, weights_only=True)
    checkpoints.save(trainer)
    checkpoints.complete(trainer)
    skipped = pair.bad_images.skipped()
    scoreboard.facts["skipped_samples"] = len(skipped)
    scoreboard.write(trainer, finished=True)
    if not trainer.is_global_zero:
        return None
    result = scores.load(folder / "scores.json")
    if pair.pictures.dataset.has_labels:
        print_run(result)
    if skipped:
        where = folder / "bad_images_*.txt"
        log.warning("%d samples could not be read and were skipped: %s", len(skipped), where)
    log.info("scores, checkpoints and log: %s", folder)
    return float(result["selections"]["last"]["miou"])
