"""`-m` and `sweep=`: what is run, what is run again, what is said at the end."""

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from experiments.quick_training import KEY, a_sweep, a_training, jobs, sweeps  # noqa: F401 (fixtures)

from uda_seg.cli.command_line import check
from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError

READY = sorted(path.stem for path in (conf_folder() / "sweep").glob("*.yaml"))


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", READY)
def test_ready_sweeps_compose_and_sweep_something(name: str) -> None:
    pytest.importorskip("optuna")
    checked = check("train", [f"sweep={name}", "target.val_split=tune"], multirun=True)
    assert checked.swept
    if name.endswith("search") or name.endswith("without_labels"):
        assert checked.config.hydra.runtime.choices["hydra/sweeper"] == "optuna"


@pytest.mark.slow
def test_a_ready_sweep_needs_no_m_and_the_command_line_wins(sweep, training, capsys) -> None:
    assert sweep("sweep=lambda_adv") == 0
    assert training.values == [0.0005, 0.001, 0.002, 0.004]
    training.begun.clear()
    assert sweep("sweep=lambda_adv", f"{KEY}=0.1", "seed=0,1") == 0
    assert [begun[:2] for begun in training.begun] == [(0.1, 0), (0.1, 1)]
    assert "0.1" in capsys.readouterr().out


def test_what_a_sweep_sweeps_is_checked_like_what_is_given(sweep, training, capsys) -> None:
    assert sweep("sweep=lambda_adv", "method=source_only") == 2
    error = capsys.readouterr().err
    assert f"{KEY}: unknown key" in error
    assert "Traceback" not in error
    assert sweep("sweep=lambda_adf") == 2
    assert "did you mean lambda_adv" in capsys.readouterr().err
    assert sweep("sweep=lambda_adv,seeds") == 2
    assert "one sweep at a time" in capsys.readouterr().err
    assert not training.begun


def test_a_table_a_csv_and_a_curve_are_left_at_the_end(sweep, capsys) -> None:
    assert sweep("sweep=lambda_adv", f"{KEY}=0.0005,0.002", "seed=0,1") == 0
    (folder,) = sweeps()
    said = capsys.readouterr().out
    assert "0, 1" in said
    assert "±" in said
    assert "Target labels" not in said  # a grid chooses nothing
    found = rows(folder)
    assert len(found) == 4
    assert {row[KEY] for row in found} == {"0.0005", "0.002"}
    assert {row["seed"] for row in found} == {"0", "1"}
    assert all(float(row["miou"]) > 10 for row in found)
    picture = (folder / "sweep.svg").read_text()
    ElementTree.fromstring(picture)
    assert picture.count("<polygon") == 1  # the band over seeds
    for words in ("AdaptSegNet, features", "recalled", "Course slides", "chose nothing"):
        assert words in picture
    assert "var(" not in picture


@pytest.mark.slow
def test_methods_that_another_is_built_on_are_swept_by_name(sweep, training, capsys) -> None:
    words = ["method=mic", "method@method.base=adaptseg,road", "-m"]
    assert sweep(*words) == 0
    (folder,) = sweeps()
    assert [row["method@method.base"] for row in rows(folder)] == ["adaptseg", "road"]
    assert "MIC" not in capsys.readouterr().err
    training.begun.clear()
    assert sweep(*words, "resume=auto") == 0
    assert not training.begun, "both were finished before"
    assert sweeps() == [folder]
    assert sweep("method=mic", "method@method.base=adaptseg,pit", "-m", "resume=auto") == 0
    assert len(training.begun) == 1, "one more of the same sweep"
    assert sweeps() == [folder]


def test_two_numbers_give_two_figures_and_names_give_none(sweep) -> None:
    assert sweep("-m", f"{KEY}=0.1,0.2", "backbone.optimizer.lr=0.1,0.2") == 0
    (folder,) = sweeps()
    picture = (folder / "sweep.svg").read_text()
    assert f"mIoU against {KEY}" in picture
    assert "mIoU against backbone.optimizer.lr" in picture
    assert sweep("-m", "method=source_only,adaptive_bn", "hydra.sweep.dir=outputs/names") == 0
    assert not Path("outputs/names/sweep.svg").exists()


def test_a_failing_job_is_named_at_the_end_and_the_rest_is_done(sweep, training, capsys) -> None:
    training.failing = {0.2}
    assert sweep("-m", f"{KEY}=0.1,0.2,0.4") == 2
    assert training.values == [0.1, 0.2, 0.4]
    error = capsys.readouterr().err
    assert "1 of 3 jobs are not done" in error
    assert "1_method.lambda_adv=0.2: no luck with 0.2\n" in error
    assert f"-m {KEY}=0.1,0.2,0.4 resume=auto" in error
    (folder,) = sweeps()
    assert [row["finished"] for row in rows(folder)] == ["true", "false", "true"]


def test_a_resumed_sweep_does_what_is_missing_and_nothing_else(sweep, training, capsys) -> None:
    words = ["-m", f"{KEY}=0.1,0.2,0.4"]
    training.killed = {0.2}
    assert sweep(*words) == 130
    assert f"{KEY}=0.1,0.2,0.4 resume=auto" in capsys.readouterr().err
    training.killed, training.failing = set(), {0.4}
    assert sweep(*words, "resume=auto") == 2
    (folder,) = sweeps()
    assert training.begun[2:] == [(0.2, 0, "auto"), (0.4, 0, None)]
    training.failing = set()
    training.begun.clear()
    assert sweep(*words, f"resume={folder}") == 0
    assert training.begun == [(0.4, 0, None)]
    training.begun.clear()
    assert sweep(*words, "resume=auto", "trainer.workers=1") == 0
    assert not training.begun
    assert len(jobs(folder)) == 3


@pytest.mark.slow
def test_a_resumed_sweep_may_have_more_values(sweep, training) -> None:
    assert sweep("-m", f"{KEY}=0.1,0.4") == 0
    training.begun.clear()
    assert sweep("-m", f"{KEY}=0.05,0.1,0.2,0.4", "resume=auto") == 0
    assert training.values == [0.05, 0.2]
    (folder,) = sweeps()
    assert len(rows(folder)) == 4
    assert len(jobs(folder)) == 4  # no empty ones for those that were there


@pytest.mark.slow
def test_another_sweep_is_not_taken_for_this_one(sweep, training) -> None:
    assert sweep("-m", f"{KEY}=0.1,0.4") == 0
    for words in ([f"{KEY}=0.1,0.4", "seed=0,1"], [f"{KEY}=0.1,0.4", "trainer.steps=7"]):
        training.begun.clear()
        assert sweep("-m", *words, "resume=auto") == 0
        assert 0.1 in training.values
    assert len(sweeps()) == 3
    assert sweep("-m", "seed=0,1", "resume=nowhere") == 2
    assert sweep("-m", f"{KEY}=0.1,0.4", "trainer.steps=8", f"resume={sweeps()[0]}") == 2


def test_a_launcher_that_gives_up_is_reported(sweep, training, capsys, monkeypatch) -> None:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a worker was killed")

    monkeypatch.setattr(BasicLauncher, "launch", broken)
    assert sweep("-m", f"{KEY}=0.1,0.2") == 1
    error = capsys.readouterr().err
    assert "the launcher: RuntimeError: a worker was killed" in error
    assert "Traceback" not in error


def test_intervals_and_stray_resumes_are_refused() -> None:
    with pytest.raises(ConfigError, match="only a search takes an interval"):
        check("train", [f"{KEY}=interval(0.1,1)"], multirun=True)
    with pytest.raises(ConfigError, match="auto or the folder of a sweep"):
        check("train", [f"{KEY}=0.1,1", "resume=/nowhere"], multirun=True)
