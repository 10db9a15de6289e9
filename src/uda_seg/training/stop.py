"""A run that is asked to stop ends its step, saves, and says how to go on."""

from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer

from uda_seg.runs import cluster
from uda_seg.runs.stopping import SIGUSR1, Stopped, StopRequest, command_to_go_on
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.requeue import RequeuedError, requeue

EVERY = 5
"""Steps between two moments in which several processes ask each other; a few seconds at most."""


class Stop(Callback):
    """Looks after every step whether a signal came.

    Lightning's own handlers save in the middle of whatever a step is doing, each process in its
    own; here the step is finished first, all processes stop at the same one, and the run goes on
    from checkpoints/last.ckpt as from any stop, bit for bit.

    Args:
        request: the signals that came.
        checkpoints: which save.
        folder: of the run.
    """

    def __init__(self, request: StopRequest, checkpoints: Checkpoints, folder: Path) -> None:
        self.request, self.checkpoints, self.folder = request, checkpoints, folder

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        self._watch()

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        self._watch()

    def _watch(self) -> None:
        self.request.listen()
        self.request.patient = True

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """
        Raises:
            Stopped: a signal came, and the run was saved.
            RequeuedError: it was SLURM's, and the job was put back into the queue.
        """
        number = self._agree(trainer)
        if number:
            self._end(trainer, number)

    def on_validation_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Validation may take minutes; a run that goes on begins it again. Several processes have
        no moment in common here: they stop at a step after it.

        Raises:
            Stopped, RequeuedError: as after a step.
        """
        if self.request.number is not None and trainer.world_size == 1:
            self._end(trainer, self.request.number)

    def _agree(self, trainer: Trainer) -> int:
        """The signal in every process, whichever of them it reached; 0 without one."""
        number = self.request.number or 0
        if trainer.world_size == 1:
            return number
        if trainer.global_step % EVERY:
            return 0
        told = torch.tensor(number, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(told, reduce_op="max"))

    def _end(self, trainer: Trainer, number: int) -> None:
        self.checkpoints.save(trainer)
        step = trainer.global_step
        if number != SIGUSR1:
            raise Stopped(
                number,
                f"stopped and saved at step {step}; go on with: {command_to_go_on(self.folder)}",
            )
        words = f"SLURM job {cluster.to_requeue()} runs out of time: saved at step {step}"
        asked = requeue() if trainer.is_global_zero else True
        raise RequeuedError(
            f"{words}, and put back into the queue"
            if asked
            else f"{words}; it could not be put back into the queue, submit the same command again "
            "with resume=auto"
        )


def stop_request() -> StopRequest:
    """For a run. SIGUSR1 is what `sbatch --signal=SIGUSR1@120` sends; outside of a SLURM job it is
    nothing to it.
    """
    also = (SIGUSR1,) if SIGUSR1 is not None and cluster.job() is not None else ()
    words = None if cluster.rank() else "ends the step and saves; once more stops at once"
    return StopRequest(also=also, words=words)
