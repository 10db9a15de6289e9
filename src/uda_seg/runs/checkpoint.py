"""Checkpoints on disk: `last.ckpt` and the selections, each whole or not there."""

import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from uda_seg.runs import files


class CheckpointFiles(TorchCheckpointIO):
    """Lightning's own writes below TMPDIR and then copies, over the only sound file, in the open
    (pytorch-lightning issue 21253): a kill in the copy leaves nothing to resume from.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """
        Raises:
            WriteError: the disk is full or read-only; a file that was there is as it was.
        """
        with files.replacing(Path(path), durable=True) as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:  # torch's writer hides what the system said
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from error
                raise


def copy(checkpoint: Path, path: Path) -> None:
    """The same file under another name, as whole: in a fraction of the time of saving again.

    Raises:
        WriteError: the disk is full or read-only; a file that was there is as it was.
    """
    with open(checkpoint, "rb") as saved, files.replacing(path, durable=True) as file:
        shutil.copyfileobj(saved, file, 2**22)


def step_of(checkpoint: Path) -> int | None:
    """The step a checkpoint was made at; None where there is none, or none that can be read."""
    try:
        stored = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return int(stored["global_step"])
    except Exception:  # torch.load raises whatever the bytes lead it to
        return None
