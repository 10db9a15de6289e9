"""Which checkpoints of a run count, and the scores that outlive it.

Three selections stand side by side and are never mixed up: `last`; `oracle_best`, which looks at
target labels and is therefore marked as an oracle's choice; and `label_free`, the checkpoint with
the most information in its predictions on target images.
"""

import math
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from uda_seg.evaluation import confusion as scores_of
from uda_seg.evaluation import scores

CRITERION = "information_maximisation"


class Scoreboard(Callback):
    """Keeps the history of validations and writes `scores.json` after each.

    Args:
        folder: of the run.
        facts: what stands in `scores.json` about the run: method, source, target, seed, ….
    """

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.path, self.facts = Path(folder) / "scores.json", facts
        self.selections: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, Any]] = []
        self.seconds, self.started, self.first_step = 0.0, math.nan, 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "selections": self.selections,
            "history": self.history,
            "seconds": self.seconds + self._since_start(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.selections = state_dict["selections"]
        self.history = state_dict["history"]
        self.seconds = state_dict["seconds"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.first_step = time.monotonic(), trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        pl_module.confusion.reset()
        pl_module.label_free.reset()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        matrix = pl_module.confusion.compute().cpu().numpy()
        criterion = float(pl_module.label_free.compute())
        entropy = float(pl_module.label_free.mean_normalised_entropy())
        miou = float(scores_of.miou(matrix))
        pl_module.log("target/miou", miou, sync_dist=True)
        pl_module.log(f"target/{CRITERION}", criterion, sync_dist=True)
        pl_module.log("target/entropy", entropy, sync_dist=True)
        if self.history and self.history[-1]["step"] == trainer.global_step:
            return
        entry = {"step": trainer.global_step, "confusion": matrix.tolist(), CRITERION: criterion}
        losses = {name: float(loss) for name, loss in pl_module.last_losses.items()}
        scored = {"miou": miou, CRITERION: criterion, "entropy": entropy, "loss": losses}
        self.history.append({"step": trainer.global_step, **scored})
        best = self.history[:-1]
        self.selections["last"] = entry
        if not math.isnan(miou) and all(miou > other["miou"] for other in best):
            self.selections["oracle_best"] = entry
        if all(criterion > other[CRITERION] for other in best):
            self.selections["label_free"] = entry | {"criterion": CRITERION}
        self.write(trainer, finished=False)

    def write(self, trainer: Trainer, finished: bool) -> None:
        if not trainer.is_global_zero or not self.selections:
            return
        here, steps = self._since_start(), trainer.global_step - self.first_step
        images = 2 * self.facts["batch_size"] * trainer.world_size * steps
        scores.save(
            self.path,
            {
                "schema": 1,
                **self.facts,
                "steps": trainer.global_step,
                "selections": self.selections,
                "history": self.history,
                "training_seconds": round(self.seconds + here, 1),
                "images_per_second": round(images / here, 2) if here else None,
                "device": device_of(trainer),
                "finished": finished,
            },
        )

    def _since_start(self) -> float:
        return 0.0 if math.isnan(self.started) else time.monotonic() - self.started


def device_of(trainer: Trainer) -> str:
    """What a run computes on, in words: `cpu`, or `2 x NVIDIA H200`."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return name if trainer.world_size == 1 else f"{trainer.world_size} x {name}"


def checkpoints(folder: Path, every: int, scored: bool) -> list[ModelCheckpoint]:
    """The checkpoints of a run: last, label_free and, where the target has labels, oracle_best."""
    where = Path(folder) / "checkpoints"

    def best(name: str, monitor: str) -> ModelCheckpoint:
        return ModelCheckpoint(
            where,
            filename=name,
            monitor=monitor,
            mode="max",
            save_top_k=1,
            enable_version_counter=False,
            save_on_train_epoch_end=False,
        )

    last = ModelCheckpoint(
        where,
        filename="last",
        every_n_train_steps=every,
        save_top_k=1,
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    chosen = [last, best("label_free", f"target/{CRITERION}")]
    return [*chosen, best("oracle_best", "target/miou")] if scored else chosen


def load_network(path: Path) -> dict[str, torch.Tensor]:
    """The state of the segmentation network in a checkpoint."""
    state = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    prefix = "method.network."
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
