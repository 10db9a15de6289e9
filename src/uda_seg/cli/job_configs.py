"""The configs of jobs, checked as `train` checks them before any of them begins."""

from collections.abc import Sequence
from typing import Any

from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.experiments.rows import Job


def configs(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """The config of every row's runs, checked as `train` checks it; none of a row that trains
    nothing.

    Raises:
        ConfigError: the mistakes of the first row that has any.
    """
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if job.row in found or job.verb != "train":
            continue
        # A network that is trained only later is not there yet.
        given = [override for override in job.overrides if not override.startswith("initial=")]
        try:
            found[job.row] = check("train", given, own_folder=job.own_folder).plain[0]
        except ConfigError as error:
            raise ConfigError(f"row {job.row}: {error}") from error
    return found
