"""A launcher whose end is not the sweep's end."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

log = logging.getLogger(__name__)


class FaultTolerantLauncher(Launcher):
    """Stands in for a launcher that may raise, as joblib's and submitit's do when a job is killed.

    Args:
        launcher: any of Hydra's.
        folder: of the sweep.
    """

    def __init__(self, launcher: Launcher, folder: str) -> None:
        self.launcher, self.folder = launcher, Path(folder)

    def setup(self, **_: Any) -> None:
        """The launcher has been set up."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """What the jobs returned; NaN for all of them if the launcher itself gave up."""
        try:
            found = self.launcher.launch(job_overrides, initial_job_idx=initial_job_idx)
        except Exception as error:  # what a launcher raises is its own affair
            from uda_seg.experiments.sweep_folder import gave_up

            log.error("%s: %s", type(error).__name__, error)
            gave_up(self.folder, f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
            return [returned(float("nan")) for _ in job_overrides]
        return [one if _succeeded(one) else returned(float("nan")) for one in found]


def _succeeded(one: JobReturn) -> bool:
    return one.status == JobStatus.COMPLETED


def returned(value: Any) -> JobReturn:
    """Of a job that came to its end."""
    one = JobReturn()
    one.status = JobStatus.COMPLETED
    one.return_value = value
    return one
