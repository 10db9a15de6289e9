"""A SLURM job that is about to run out of time saves its run and comes back."""

import logging
import signal
import subprocess
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, Trainer

from uda_seg import cluster
from uda_seg.errors import UserError

log = logging.getLogger(__name__)

SIGNAL = getattr(signal, "SIGUSR1", None)  # what sbatch --signal=SIGUSR1@120 sends; not on Windows
EVERY = 5
"""Steps between two moments in which several processes ask each other; a few seconds at most."""


class RequeuedError(UserError):
    """The run is not done: SLURM is to start the same command again."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


class Requeue(Callback):
    """Outside of a SLURM job, nothing.

    Lightning's own handler saves in the middle of whatever a step is doing, each process in its
    own; here the step is finished first, all processes stop at the same one, and the run goes on
    from checkpoints/last.ckpt as from any stop, bit for bit. Lightning keeps out where a handler is
    there already.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.checkpoint = Path(folder) / "checkpoints" / "last.ckpt"
        self.told = False
        self.before: Any = None

    def setup(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if stage == "fit" and cluster.job() is not None and SIGNAL is not None:
            self.before = signal.signal(SIGNAL, self._note)

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        if self.before is not None and SIGNAL is not None:
            signal.signal(SIGNAL, self.before)
            self.before = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.told = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """
        Raises:
            RequeuedError: the run was saved and the job put back into the queue.
        """
        if self.before is None or not self._all_told(trainer):
            return
        trainer.save_checkpoint(self.checkpoint)
        step = trainer.global_step
        words = f"SLURM job {cluster.to_requeue()} runs out of time: saved at step {step}"
        asked = requeue() if trainer.is_global_zero else True
        raise RequeuedError(
            f"{words}, and put back into the queue"
            if asked
            else f"{words}; it could not be put back into the queue, submit the same command again "
            "with resume=auto"
        )

    def _all_told(self, trainer: Trainer) -> bool:
        """The same answer in every process, whichever of them the signal reached."""
        if trainer.world_size == 1:
            return self.told
        if trainer.global_step % EVERY:
            return False
        return trainer.strategy.reduce_boolean_decision(self.told, all=False)


def requeue() -> bool:
    """Asks SLURM to start the job again; whether it agreed."""
    command = ["scontrol", "requeue", cluster.to_requeue()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s", " ".join(command), error)
        return False
    if done.returncode:
        log.warning("%s: %s", " ".join(command), done.stderr.strip())
    return done.returncode == 0
