"""A SLURM job that is about to run out of time comes back."""

import logging
import subprocess

from uda_seg.errors import UserError
from uda_seg.runs import cluster

log = logging.getLogger(__name__)


class RequeuedError(UserError):
    """The run is not done: SLURM is to start the same command again."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again


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
