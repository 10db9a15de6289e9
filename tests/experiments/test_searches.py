"""Searches with Optuna: failures, stops in the middle, what is maximised, what is refused."""

import importlib.util
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from experiments.quick_training import KEY, a_sweep, a_training, jobs, sweeps  # noqa: F401 (fixtures)

from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError

optuna = pytest.importorskip("optuna")

INTERVAL = f"{KEY}=tag(log, interval(0.0001, 0.1))"
SEARCH = ["-m", "hydra/sweeper=optuna", INTERVAL, "hydra.sweeper.sampler=random"]


def trials(folder: Path) -> list[Any]:
    """What a search left in its folder; a connection is closed as the search itself closes its."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")
    found = optuna.load_study(study_name="study", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    return found


def test_a_search_tries_values_of_the_interval_and_keeps_its_study(sweep, training, capsys) -> None:
    assert sweep("sweep=lambda_adv_search", "hydra.sweeper.n_trials=3") == 0
    assert len(set(training.values)) == 3
    assert all(0.0001 <= value <= 0.1 for value in training.values)
    (folder,) = sweeps()
    drawn = [trial.params[KEY] for trial in trials(folder)]
    assert training.values == pytest.approx(drawn, rel=1e-3)
    assert training.values[0] == float(f"{drawn[0]:.4g}")
    assert "an oracle's choice" in capsys.readouterr().out
    assert "searched by these very labels" in (folder / "sweep.svg").read_text()


@pytest.mark.slow
def test_a_failed_trial_ends_no_search(sweep, training, capsys) -> None:
    training.fails = lambda: len(training.begun) == 2
    assert sweep(*SEARCH, "hydra.sweeper.n_trials=3") == 2
    (folder,) = sweeps()
    states = [trial.state.name for trial in trials(folder)]
    assert states == ["COMPLETE", "FAIL", "COMPLETE"]
    assert "1 of 3 jobs are not done" in capsys.readouterr().err


@pytest.mark.parametrize("sampler", [pytest.param("tpe", marks=pytest.mark.slow), "random"])
def test_a_search_stopped_in_the_middle_proposes_what_it_would_have(
    sweep, training, sampler
) -> None:
    words = [*SEARCH, f"hydra.sweeper.sampler={sampler}", "hydra.sweeper.n_trials=3"]
    assert sweep(*words, "hydra.sweep.dir=outputs/straight") == 0
    straight = training.values
    training.begun.clear()
    training.killed = {straight[1]}
    assert sweep(*words) == 130
    training.killed = set()
    assert sweep(*words, "resume=auto") == 0
    assert training.values == [*straight[:2], *straight[1:]]
    folder = next(folder for folder in sweeps() if folder.name != "straight")
    assert training.begun[2][2] == "auto"
    assert [trial.state.name for trial in trials(folder)] == ["COMPLETE"] * 3
    training.begun.clear()
    assert sweep(*words, "hydra.sweeper.n_trials=4", "resume=auto") == 0
    assert len(training.values) == 1


def test_a_search_without_labels_maximises_what_needs_none(sweep, capsys) -> None:
    words = [*SEARCH, "hydra.sweeper.objective=information_maximisation"]
    assert sweep(*words, "hydra.sweeper.n_trials=3") == 0
    (folder,) = sweeps()
    # In this stand-in the worst by labels has the most information.
    values = {trial.params[KEY]: trial.value for trial in trials(folder)}
    assert all(0 < value < 1 for value in values.values())
    assert "without labels" in capsys.readouterr().out


@pytest.mark.slow
def test_trials_side_by_side_and_settings_beside_the_searched(sweep, training) -> None:
    words = [*SEARCH, "method.gan=ls,vanilla", "seed=3", "hydra.sweeper.n_jobs=2"]
    assert sweep(*words, "hydra.sweeper.n_trials=3") == 0
    (folder,) = sweeps()
    assert {trial.params["method.gan"] for trial in trials(folder)} <= {"ls", "vanilla"}
    assert {seed for _, seed, _ in training.begun} == {3}
    assert len(jobs(folder)) == 3
    assert "<polyline" in (folder / "sweep.svg").read_text()


def complaint(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check("train", ["hydra/sweeper=optuna", *words], multirun=True)
    return str(caught.value)


def test_mistakes_are_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing to search" in complaint()
    assert "the luckiest" in complaint(INTERVAL, "seed=0,1")
    text = complaint(INTERVAL, "hydra.sweeper.sampler=tpr", "hydra.sweeper.objective=iou")
    assert "did you mean tpe" in text
    assert "choose from miou, information_maximisation" in text
    assert "at least 1" in complaint(INTERVAL, "hydra.sweeper.n_trials=0")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else real(name, *a)
    )
    assert "pip install 'uda-seg[sweep]'" in complaint(INTERVAL)


def test_the_gaussian_process_proposes(tmp_path: Path) -> None:
    from optuna.distributions import FloatDistribution

    from uda_seg.experiments.search import Search

    storage = f"sqlite:///{tmp_path / 'study.db'}"
    searched = {KEY: FloatDistribution(1e-4, 1e-1, log=True)}
    search = Search("study", storage, "gp", 0, searched)
    seen: list[float] = []

    def run(jobs: Any, first: int) -> list[float]:
        (line,) = jobs[0]
        seen.append(float(line.partition("=")[2]))
        return [-abs(seen[-1] - 0.01)]

    with closing(search):
        search.run(run, 12, 1)
    assert len(set(seen)) == 12
    assert min(abs(value - 0.01) for value in seen) < 0.01


def test_trials_that_were_under_way_go_on_side_by_side(tmp_path: Path) -> None:
    from optuna.distributions import FloatDistribution
    from optuna.trial import TrialState

    from uda_seg.experiments.search import Search

    storage, begun = f"sqlite:///{tmp_path / 'study.db'}", []
    searched = {KEY: FloatDistribution(1e-4, 1e-1, log=True)}

    def run(jobs: Any, first: int) -> list[float]:
        begun.append([(first + place, line) for place, (line,) in enumerate(jobs)])
        return [1.0] * len(jobs)

    with closing(Search("study", storage, "random", 0, searched)) as stopped:
        asked = [stopped._ask() for _ in range(5)]
        stopped.study.tell(1, 0.5, TrialState.COMPLETE)
    with closing(Search("study", storage, "random", 0, searched)) as search:
        search.run(run, 6, 2)
    numbers = [[number for number, _ in batch] for batch in begun]
    assert numbers == [[0], [2, 3], [4], [5]]
    lines = [line for batch in begun[:3] for _, line in batch]
    assert lines == [asked[number][1][0] for number in (0, 2, 3, 4)]
