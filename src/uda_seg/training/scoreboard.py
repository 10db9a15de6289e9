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

from uda_seg.evaluation import confusion as scores_of
from uda_seg.evaluation import scores

CRITERION = "information_maximisation"


class Scoreboard(Callback):
    """Keeps the history of validations and the selections, and writes both to `scores.json`.

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
            "labels_opened": self.facts.get("labels_opened"),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.selections = state_dict["selections"]
        self.history = state_dict["history"]
        self.seconds = state_dict["seconds"]
        if opened := state_dict.get("labels_opened"):  # stays true if the rest opens none
            self.facts = {"labels_opened": opened} | self.facts

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.started, self.first_step = time.monotonic(), trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, module: Any) -> None:
        module.confusion.reset()
        module.label_free.reset()
        for criterion in more_criteria(module).values():
            criterion.reset()

    def on_validation_epoch_end(self, trainer: Trainer, module: Any) -> None:
        matrix, others = module.confusion.counts(), module.confusion.other_counts()
        criterion = float(module.label_free.compute())
        entropy = float(module.label_free.mean_normalised_entropy())
        miou = float(scores_of.miou(matrix))
        module.log("target/miou", miou, sync_dist=True)
        if "scored_images" in self.facts:  # these scores are of so many images alone
            module.log("target/scored_images", float(self.facts["scored_images"]), sync_dist=True)
        module.log(f"target/{CRITERION}", criterion, sync_dist=True)
        module.log("target/entropy", entropy, sync_dist=True)
        more = {name: float(metric.compute()) for name, metric in more_criteria(module).items()}
        for name, value in more.items():
            module.log(f"target/{name}", value, sync_dist=True)
        if self.history and self.history[-1]["step"] == trainer.global_step:
            return
        entry = {"step": trainer.global_step, "confusion": matrix.tolist(), CRITERION: criterion}
        entry["other_confusion"] = others.tolist()
        losses = {name: float(loss) for name, loss in module.last_losses.items()}
        scored = {"miou": miou, CRITERION: criterion, "entropy": entropy} | more | {"loss": losses}
        self.history.append({"step": trainer.global_step, **scored})
        self.selections["last"] = entry
        if self._best("miou"):
            self.selections["oracle_best"] = entry
        if self._best(CRITERION):
            self.selections["label_free"] = entry | {"criterion": CRITERION}

    def _best(self, score: str) -> bool:
        """Whether the latest validation is better than all before; the first of equals stays."""
        *before, latest = (other[score] for other in self.history)
        return not math.isnan(latest) and not any(other >= latest for other in before)

    def steps(self) -> list[int]:
        """Those that were validated."""
        return [entry["step"] for entry in self.history]

    def selected_at(self, step: int) -> list[str]:
        """The selections, other than the last step, that a step is."""
        names = [name for name, entry in self.selections.items() if entry["step"] == step]
        return [name for name in names if name != "last"]

    def on_save_checkpoint(self, trainer: Trainer, module: Any, checkpoint: Any) -> None:
        """The losses belong to a validation that may have to be made up for."""
        losses = {name: float(loss) for name, loss in module.last_losses.items()}
        checkpoint["last_losses"] = losses

    def on_load_checkpoint(self, trainer: Trainer, module: Any, checkpoint: Any) -> None:
        losses = checkpoint.get("last_losses", {})
        module.last_losses = {name: torch.tensor(loss) for name, loss in losses.items()}

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


def more_criteria(module: Any) -> dict[str, Any]:
    """What is told of every validation without labels, and chooses nothing."""
    found = {"soft_neighbourhood_density": module.density, "teacher_agreement": module.agreement}
    return {name: metric for name, metric in found.items() if metric is not None}


def device_of(trainer: Trainer) -> str:
    """What a run computes on, in words: `cpu`, or `2 x NVIDIA H200`."""
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return name if trainer.world_size == 1 else f"{trainer.world_size} x {name}"
