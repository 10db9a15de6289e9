"""A comparison's runs: which there are, what they wait for, what is run again."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import compose
from omegaconf import OmegaConf

from uda_seg.comparison import Job, jobs, run_all
from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError, UserError

COMPARISON = {
    "common": ["backbone=tiny"],
    "rows": {
        "start": {"label": "start", "steps": 2, "overrides": ["method=source_only"]},
        "next": {"label": "next", "steps": 3, "overrides": ["method=adaptseg"], "after": "start"},
        "other": {"label": "other", "steps": 3, "overrides": ["method=target_only"]},
    },
}
NAMES = sorted(path.stem for path in Path(conf_folder(), "comparison").glob("*.yaml"))


def test_every_row_runs_for_every_seed_and_says_what_it_starts_from(tmp_path: Path) -> None:
    wanted = jobs(COMPARISON, [0, 7], ["trainer=cpu"], tmp_path)
    assert [(job.row, job.seed) for job in wanted] == [
        (row, seed) for seed in (0, 7) for row in ("start", "next", "other")
    ]
    follower = wanted[4]
    assert follower.after == wanted[3].folder == tmp_path / "start" / "seed7"
    assert follower.overrides == (
        "backbone=tiny", "method=adaptseg", "trainer.steps=3", "trainer=cpu", "seed=7",
        f"initial='{tmp_path / 'start' / 'seed7'}'",
    )  # fmt: skip


def test_a_row_after_nothing_is_refused(tmp_path: Path) -> None:
    rows = {"rows": {"next": COMPARISON["rows"]["next"]}}
    with pytest.raises(ConfigError, match="no row 'start'; there are next"):
        jobs(COMPARISON | rows, [0], [], tmp_path)


def finish(job: Job) -> None:
    job.folder.mkdir(parents=True)
    (job.folder / "job.json").write_text(json.dumps({"overrides": list(job.overrides)}))
    (job.folder / "scores.json").write_text(json.dumps({"finished": True}))


def test_finished_runs_are_not_run_again_unless_their_command_changed(tmp_path: Path) -> None:
    job, changed = (jobs(COMPARISON, [0], extra, tmp_path)[0] for extra in ([], ["trainer=gpu"]))
    assert not job.done
    finish(job)
    assert job.done
    assert not changed.done


def test_an_interrupted_run_is_resumed_and_a_changed_one_begun_anew(tmp_path: Path) -> None:
    job, changed = (jobs(COMPARISON, [0], extra, tmp_path)[0] for extra in ([], ["trainer=gpu"]))
    finish(job)
    (job.folder / "checkpoints").mkdir()
    (job.folder / "checkpoints" / "last.ckpt").touch()
    assert f"resume='{job.folder}'" in job.command()
    assert not any(word.startswith("resume=") for word in changed.command())


def scripted(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Runs of Python code in which FOLDER is the run's folder, instead of trainings."""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-c", script.replace("FOLDER", repr(str(job.folder)))]

    monkeypatch.setattr(Job, "command", command)


def test_a_run_waits_for_the_one_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, "import time; time.sleep(0.5)")
    wanted = jobs(COMPARISON, [0], [], tmp_path)
    together = [{one.job.row for one in running} for running in run_all(wanted, 3, 1)]
    assert {"start", "other"} in together
    assert not [rows for rows in together if {"start", "next"} <= rows]
    assert any("next" in rows for rows in together)


def test_the_costliest_run_begins_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, "import time; time.sleep(0.4)")
    rows = {name: row | {"after": None} for name, row in COMPARISON["rows"].items()}
    rows["next"]["cost"] = 2.5
    wanted = jobs(COMPARISON | {"rows": rows}, [0], [], tmp_path)
    begun = [running[0].job.row for running in run_all(wanted, 1, 1) if running]
    assert list(dict.fromkeys(begun)) == ["next", "other", "start"]


def test_a_failing_run_ends_the_comparison_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, "import sys; print('no such luck'); sys.exit(2)")
    with pytest.raises(UserError, match=r"other, seed 0: ended with exit code 2.*\n.*no such luck"):
        list(run_all(jobs(COMPARISON, [0], [], tmp_path), 1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_comparison_is_made_of_right_commands(name: str, tmp_path: Path) -> None:
    config: Any = OmegaConf.to_container(compose("compare", [f"comparison={name}"]), resolve=True)
    comparison = config["comparison"]
    for role in ("baseline", "control", "oracle"):
        assert comparison["rows"][comparison[role]].get("shown", True)
    for job in jobs(comparison, [0], [], tmp_path):
        checked = compose("train", [o for o in job.overrides if not o.startswith("initial=")])
        assert checked.trainer.steps == job.steps
