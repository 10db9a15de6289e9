"""The configs of jobs, checked as `train` checks them before any of them begins."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from uda_seg.cli.checked_config import without_hydra
from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.experiments.rows import Job


def configs(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """The config of every row's runs, checked as `train` checks it.

    Raises:
        ConfigError: the mistakes of the first row that has any.
    """
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if job.row in found:
            continue
        # A network that is trained only later is not there yet.
        given = [override for override in job.overrides if not override.startswith("initial=")]
        try:
            with _another_hydra():
                checked = check("train", given, own_folder=job.own_folder)
        except ConfigError as error:
            raise ConfigError(f"row {job.row}: {error}") from error
        plain: Any = OmegaConf.to_container(without_hydra(checked.config), resolve=True)
        found[job.row] = plain
    return found


@contextmanager
def _another_hydra() -> Iterator[None]:
    """Hydra composes for one command at a time, and this is asked from within one."""
    ours = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = ours
