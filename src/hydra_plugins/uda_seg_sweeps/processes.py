"""Every job a process of its own."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf, open_dict

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
        from uda_seg.runs import run_folder
        from uda_seg.runs.identity import device_count

        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs, devices = [], 1
        for number, overrides in enumerate(job_overrides):
            config = self._config(overrides, initial_job_idx + number)
            jobs.append(self._command(overrides, config))
            asked = config.trainer.devices if "trainer" in config else 1
            devices = max(devices, device_count(asked))
        waiting = [job for job in jobs if not run_folder.finished(job.folder)]
        sweep_processes.run(waiting, sweep_processes.slots(self.at_once, self.gpus, devices))
        objective = str(self.config.hydra.sweeper.get("objective", "miou"))
        return [returned(sweep_folder.outcome(job.folder, objective)) for job in jobs]

    def _config(self, overrides: Sequence[str], number: int) -> Any:
        """As Hydra composes it for a job."""
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = str(number)
            config.hydra.job.num = number
        return config

    def _command(self, overrides: Sequence[str], config: Any) -> Any:
        from uda_seg.experiments import sweep_folder, sweep_processes

        HydraConfig.instance().set_config(config)
        own = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)).absolute()
        task = config.copy()
        with open_dict(task):
            task.pop("hydra")
        OmegaConf.resolve(task)
        where = (sweep_folder.earlier(own, task) if "resume" in task else None) or own
        program = [sys.executable, "-m", "uda_seg", *self.verb.split("_")]
        sources = config.hydra.runtime.config_sources
        mine = [str(Path(s.path).absolute()) for s in sources if s.provider == "command-line"]
        options = [word for path in mine for word in ("--config-dir", path)]
        lines = [*overrides, *self.config.hydra.overrides.hydra]
        words = sweep_processes.job_command(program, options, lines, where)
        return sweep_processes.Command(where, words, " ".join(filter_overrides(list(overrides))))
