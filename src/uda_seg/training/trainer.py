"""Lightning's trainer for a run, and what is done when its last step is through."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.strategies import Strategy

from uda_seg.config import build
from uda_seg.data.feeding.data_module import DomainDataModule
from uda_seg.errors import ConfigError
from uda_seg.evaluation import scores
from uda_seg.report.writers import print_run
from uda_seg.runs.checkpoint import CheckpointFiles
from uda_seg.runs.identity import device_count
from uda_seg.training.adaptation import Adaptation
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.fast import set_tf32
from uda_seg.training.finite import FiniteLosses
from uda_seg.training.gradients import AveragingOnce
from uda_seg.training.panels import Panels
from uda_seg.training.progress import ProgressLine
from uda_seg.training.pseudo_label_accuracy import PseudoLabelAccuracy
from uda_seg.training.scoreboard import Scoreboard
from uda_seg.training.stop import Stop

log = logging.getLogger(__name__)


def set_up_torch(threads: int | None, tf32: str = "convolutions") -> None:
    """Threads of the CPU, if a number is given; and no memory is filled before it is used."""
    set_tf32(tf32)
    if threads:
        torch.set_num_threads(threads)
    # With deterministic algorithms torch writes NaN into every new tensor, so that reading what
    # nobody wrote shows: a seventh of a step's time on a CPU. FiniteLosses looks at the results.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _strategy(settings: Mapping[str, Any]) -> str | Strategy:
    """How Lightning spreads a run; its own "auto" takes plain DDP for several processes, which
    refuses a method, since no loss of a step touches all players.
    """
    several = device_count(settings["devices"]) * settings["num_nodes"] > 1
    chosen = str(settings["strategy"])
    return AveragingOnce() if chosen == "auto" and several else chosen


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
    piece = settings["batch_size"] // settings["accumulate"]
    callbacks = [
        scoreboard,
        PseudoLabelAccuracy(folder, settings["pseudo_labels"], piece),
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
    pair: DomainDataModule,
    scoreboard: Scoreboard,
    checkpoints: Checkpoints,
    folder: Path,
) -> float | None:
    """Scores and saves the last step, whatever the intervals were."""
    if not scoreboard.history or scoreboard.history[-1]["step"] != trainer.global_step:
        trainer.validate(module, datamodule=pair, verbose=False, weights_only=True)
    checkpoints.finish(trainer)
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
