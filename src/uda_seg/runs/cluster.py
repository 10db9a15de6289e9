"""What SLURM or torchrun tell a process by its environment, and what follows from it."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uda_seg.runs import identity

INTERACTIVE = ("bash", "interactive")
"""Names of SLURM jobs in which a person types commands: Lightning does not take them for SLURM's
either (lightning/fabric/plugins/environments/slurm.py)."""


def torchrun() -> str | None:
    """The name that torchrun gave to its processes, the ranks of this run; None without it."""
    return os.environ.get("TORCHELASTIC_RUN_ID")


def job() -> str | None:
    """The number of the SLURM job whose tasks are the ranks of this run; None outside of one, and
    below torchrun, which Lightning believes first.
    """
    asked = "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in INTERACTIVE
    return os.environ.get("SLURM_JOB_ID") if asked and torchrun() is None else None


def rank() -> int:
    """This process's place among those of the run, as far as whoever started it says."""
    if torchrun() is not None:
        return int(os.environ.get("RANK", 0))
    if job() is not None:
        return int(os.environ.get("SLURM_PROCID", 0))
    return int(os.environ.get("LOCAL_RANK", 0))


def to_requeue() -> str:
    """The job as `scontrol requeue` wants it: of an array only the one task."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else str(job())


def folder(beside: Path, config: Mapping[str, Any]) -> Path:
    """The same for all tasks of a job, and again when the job is put back into the queue; the same
    for all processes of torchrun.

    Args:
        beside: a run folder; this one gets another name.
        config: resolved; a job may run several experiments, each has its folder.
    """
    text = json.dumps(identity.experiment(config), sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    name = f"slurm_{job()}" if job() is not None else f"torchrun_{torchrun()}"
    return beside.with_name(f"{name}_{digest}")


def complaint(devices: int, nodes: int) -> str | None:
    """What is wrong with a run's devices in a SLURM job or below torchrun; None: all is well."""
    if torchrun() is not None and devices * nodes != repeated():
        return (
            f"trainer.devices={devices}: torchrun started {repeated()} processes, but "
            f"trainer.devices times trainer.num_nodes={nodes} is {devices * nodes}; they are to be "
            "equal (trainer=ddp trainer.devices=PROCESSES_PER_NODE trainer.num_nodes=NODES), or "
            "leave torchrun out, and the run starts its processes itself"
        )
    tasks = int(os.environ.get("SLURM_NTASKS", 1))
    if job() is None or devices * nodes == tasks:
        return None
    return (
        f"trainer.devices={devices}: SLURM gave {tasks} tasks, but trainer.devices times "
        f"trainer.num_nodes={nodes} is {devices * nodes}; start one task a device "
        "(trainer=slurm, sbatch --nodes=N --ntasks-per-node=DEVICES, then srun python -m uda_seg …)"
        ", or name the SLURM job interactive, and the run starts its processes itself"
    )


def repeated() -> int:
    """How many processes repeat this very command line: tasks of srun, or of torchrun."""
    if torchrun() is not None:
        return int(os.environ.get("WORLD_SIZE", 1))
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) if job() is not None else 1
