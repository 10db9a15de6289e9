"""Searches with Optuna; its storage is a file in the sweep's folder, so a search can go on."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from .patience import FaultTolerantLauncher


class OptunaSweeper(Sweeper):
    """
    Args:
        params: key to what is searched; what the command line gives wins.
        n_trials: of the whole search, those of earlier starts among them.
        n_jobs: trials proposed, and handed to the launcher, at a time.
        sampler: of `uda_seg.experiments.search.SAMPLERS`.
        seed: of the sampler.
        objective: of `uda_seg.experiments.sweep_folder.OBJECTIVES`; the job returns it.
        study_name: in the storage.
        storage: an URL of Optuna's; None: study.db in the sweep's folder.
        published: published tables whose curves are drawn beside the search's trials.
    """

    def __init__(
        self,
        params: dict[str, str] | None,
        n_trials: int,
        n_jobs: int,
        sampler: str,
        seed: int,
        objective: str,
        study_name: str,
        storage: str | None,
        published: str | list[str] | None,
    ) -> None:
        self.params = dict(params or {})
        self.n_trials, self.n_jobs = n_trials, n_jobs
        self.sampler, self.seed, self.objective = sampler, seed, objective
        self.study_name, self.storage = study_name, storage
        self.published = published

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.config, self.hydra_context = config, hydra_context
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.launcher = FaultTolerantLauncher(launcher, str(config.hydra.sweep.dir))

    def sweep(self, arguments: list[str]) -> Any:
        from uda_seg.experiments.search import Search, space

        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        lines = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        parsed = {one.get_key_element(): one for one in parser.parse_overrides(lines)}
        searched, fixed = space(list(parsed.values()))
        storage = self.storage or f"sqlite:///{folder.absolute() / 'study.db'}"
        search = Search(self.study_name, storage, self.sampler, self.seed, searched)

        def run(jobs: Sequence[Sequence[str]], first: int) -> list[Any]:
            wanted = [[*job, *fixed] for job in jobs]
            returned = self.launcher.launch(wanted, initial_job_idx=first)
            return [one.return_value for one in returned]

        with closing(search):
            search.run(run, self.n_trials, self.n_jobs)
