"""Every job a process of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict

from .patience import returned


class ProcessesLauncher(Launcher):
    """
    Args:
        at_once: jobs side by side, where `gpus` are not named.
        gpus: numbers of GPUs, shared out among jobs.
    """

    def __init__(self, at_once: int, gpus: list[int] | None) -> None:
        self.at_once, self.gpus = at_once, None if gpus is None else list(gpus)

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.config, self.hydra_context = config, hydra_context
        self.verb: str = task_function.verb

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        from uda_seg.experiments import sweep_folder, sweep_processes
        from uda_seg.experiments.job_progress import watch
        from uda_seg.experiments.runner import run_all, slots
        from uda_seg.runs.identity import device_count

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs, devices = [], 1
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            config = self._config(overrides, number)
            words = [*overrides, *self.config.hydra.overrides.hydra]
            jobs.append(sweep_processes.job_of(self.verb, words, config))
            asked = config.trainer.devices if "trainer" in config else 1
            devices = max(devices, device_count(asked))
        places = slots(self.at_once, self.gpus, devices)
        failed: dict[Path, str] = {}
        if len(places) > 1:
            watch(jobs, places, failed)
        else:
            for _ in run_all([job for job in jobs if not job.done], places, failed, shown=True):
                pass
        objective = str(self.config.hydra.sweeper.get("objective", "miou"))
        return [returned(sweep_folder.outcome(job.folder, objective)) for job in jobs]

    def _config(self, overrides: Sequence[str], number: int) -> Any:
        """As Hydra composes it for a job."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return config
