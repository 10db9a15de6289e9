"""When the checkpoints of a run are written: `last.ckpt`, and the selections of `scores.json`."""

import logging
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from uda_seg.runs.checkpoint import copy, step_of
from uda_seg.training.scoreboard import Scoreboard

log = logging.getLogger(__name__)


class Checkpoints(Callback):
    """Writes in such an order that a run killed at any moment ends as if it had not been.

    A better validation is written as `last.ckpt` first, which holds the scoreboard, then as the
    selection's own file, then in `scores.json`. So no selection is ever ahead of `last.ckpt`, and
    a run that goes on from there knows which files it still has to write.

    Args:
        folder: of the run.
        every: steps between two of `last.ckpt`.
        validate_every: steps between two validations.
        scoreboard: what was selected.
    """

    def __init__(
        self, folder: Path, every: int, validate_every: int, scoreboard: Scoreboard
    ) -> None:
        self.folder, self.scoreboard = Path(folder) / "checkpoints", scoreboard
        self.every, self.validate_every = every, validate_every
        self.held: tuple[int, int] | None = None
        """Steps and validations in `last.ckpt`, once this process wrote it."""

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.ckpt"

    def save(self, trainer: Trainer, *selections: str) -> None:
        """`last.ckpt`, then the files of selections; every process must call it."""
        trainer.save_checkpoint(self.path("last"), weights_only=False)
        self.held = trainer.global_step, len(self.scoreboard.history)
        for name in selections:
            if trainer.is_global_zero:
                copy(self.path("last"), self.path(name))
            trainer.strategy.barrier(name)

    def finish(self, trainer: Trainer) -> None:
        """Saves the last step with its validation, where that was not done as it was chosen."""
        if self.held != (trainer.global_step, len(self.scoreboard.history)):
            self.save(trainer)
        self.complete(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every == 0:
            self.save(trainer)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        chosen = self.scoreboard.selected_at(trainer.global_step)
        if chosen:
            self.save(trainer, *chosen)
        self.scoreboard.write(trainer, finished=False)

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        step = trainer.global_step
        if step == 0:
            return
        self.complete(trainer)
        if step % self.validate_every == 0 and step not in self.scoreboard.steps():
            _validate(trainer)

    def complete(self, trainer: Trainer) -> None:
        """Makes the selections' files those of the scoreboard, and `scores.json` with them.

        A file of another step, which only a run that goes on from an older checkpoint meets, is
        put aside.
        """
        step, missing = trainer.global_step, []
        for name in ("oracle_best", "label_free"):
            wanted, found = self.scoreboard.selections.get(name, {}).get("step"), None
            if trainer.is_global_zero:
                found = step_of(self.path(name))
            found = trainer.strategy.broadcast(found)
            if wanted == step and found != step:
                missing.append(name)
            elif wanted != found and trainer.is_global_zero:
                self._put_aside(name, wanted, found)
        if missing:
            self.save(trainer, *missing)
        self.scoreboard.write(trainer, finished=False)

    def _put_aside(self, name: str, wanted: int | None, found: int | None) -> None:
        path = self.path(name)
        if path.is_file():
            aside = path.with_name(f"{name}_step{'_unknown' if found is None else found}.ckpt")
            path.replace(aside)
            log.warning("%s: is not of step %s as selected; now called %s", path, wanted, aside)
        else:
            log.warning("%s: is not there; step %s was selected", path, wanted)


def _validate(trainer: Trainer) -> None:
    """Makes up for a validation during which the run was stopped.

    As Lightning validates after a step (2.6, `_TrainingEpochLoop.on_advance_end`); by itself, it
    would go on with the next step.
    """
    loop, connector = trainer.fit_loop.epoch_loop.val_loop, trainer._logger_connector
    first = connector._first_loop_iter
    trainer.validating, loop.restarting = True, False
    loop.run()
    trainer.training, connector._first_loop_iter = True, first
