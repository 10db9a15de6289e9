"""A search with Optuna that goes on where it was stopped, with the proposals it would have made.

`hydra-optuna-sweeper` is not used: its newest stable release (1.3.0) needs optuna<3, whose storage
does not work with today's SQLAlchemy, and it forgets trials that were under way when it was killed.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from hydra.core.override_parser.types import IntervalSweep, Override, Transformer
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState

from uda_seg.errors import ConfigError

log = logging.getLogger(__name__)

Run = Callable[[Sequence[Sequence[str]], int], Sequence[Any]]
"""Overrides of each job, and the number of the first, to what they returned."""


def sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """
    Raises:
        ConfigError: there is none of that name.
    """
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if name == "gp":
        return optuna.samplers.GPSampler(seed=seed)
    raise ConfigError(f"hydra.sweeper.sampler={name}: choose from tpe, random, gp")


def space(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], list[str]]:
    """What is searched, by key, and the overrides that all trials share."""
    searched: dict[str, BaseDistribution] = {}
    fixed = []
    for override in overrides:
        key = override.get_key_element()
        if override.is_sweep_override():
            searched[key] = distribution(override)
        else:
            fixed.append(f"{key}={override.get_value_element_as_str()}")
    return searched, fixed


def distribution(override: Override) -> BaseDistribution:
    """`interval(a, b)`, of whole numbers if both are, `tag(log, …)` of one; else the values."""
    value = override.value()
    if not isinstance(value, IntervalSweep):
        choices: list[Any] = list(override.sweep_iterator(Transformer.encode))
        return CategoricalDistribution(choices)
    low, high, logarithmic = value.start, value.end, "log" in value.tags
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=logarithmic)
    return FloatDistribution(float(low or 0), float(high or 0), log=logarithmic)


class Search:
    """A study in a storage.

    Each trial has a sampler of its own, seeded by its number: what is proposed follows from the
    seed and the trials before, whether the search was stopped in between or not.

    Args:
        name: of the study.
        storage: an URL of Optuna's.
        sampler: of `sampler`.
        seed: of it.
        searched: key to what its value may be.
    """

    def __init__(
        self,
        name: str,
        storage: str,
        sampler: str,
        seed: int,
        searched: dict[str, BaseDistribution],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.sampler, self.seed, self.searched = sampler, seed, searched
        self.database = optuna.storages.RDBStorage(storage)
        self.study = optuna.create_study(
            study_name=name, storage=self.database, direction="maximize", load_if_exists=True
        )

    def close(self) -> None:
        """Closes the connections to the storage, which Optuna itself leaves to the interpreter."""
        self.database.remove_session()
        self.database.engine.dispose()

    def run(self, run: Run, trials: int, at_once: int) -> None:
        """Proposes and runs until there are so many trials, those that failed among them."""
        left = self._under_way()
        while left:  # a launcher counts on from the first number
            first = left[0][0]
            batch = [one for place, one in enumerate(left[:at_once]) if one[0] == first + place]
            self._run(run, [number for number, _ in batch], [jobs for _, jobs in batch])
            left = left[len(batch) :]
        while (missing := trials - len(self.study.get_trials(deepcopy=False))) > 0:
            asked = [self._ask() for _ in range(min(at_once, missing))]
            self._run(run, [number for number, _ in asked], [jobs for _, jobs in asked])

    def _under_way(self) -> list[tuple[int, list[str]]]:
        """Trials that nobody has finished: an earlier start was stopped there."""
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            if trial.params.keys() != self.searched.keys():
                self.study.tell(
                    trial.number, None, TrialState.FAIL
                )  # stopped while it was proposed
        return [
            (trial.number, self._overrides(trial.params))
            for trial in left
            if trial.params.keys() == self.searched.keys()
        ]

    def _ask(self) -> tuple[int, list[str]]:
        number = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = sampler(self.sampler, self.seed + 1000003 * (number + 1))
        trial = self.study.ask(self.searched)
        return trial.number, self._overrides(trial.params)

    def _overrides(self, values: Mapping[str, Any]) -> list[str]:
        return [f"{key}={_written(values[key])}" for key in self.searched]

    def _run(self, run: Run, numbers: Sequence[int], jobs: Sequence[Sequence[str]]) -> None:
        for number, value in zip(numbers, run(jobs, numbers[0]), strict=True):
            good = isinstance(value, int | float) and math.isfinite(value)
            state = TrialState.COMPLETE if good else TrialState.FAIL
            self.study.tell(number, value if good else None, state)
            if not good:
                log.warning("trial %d failed; the search goes on", number)


def _written(value: Any) -> str:
    """Four digits (ours) of a number that was drawn: it stands in folders, tables and figures."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
