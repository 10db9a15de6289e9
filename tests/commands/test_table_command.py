"""The verb `table` as a whole, with runs that only pretend: failing, going on, what is written."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import without_hydra
from report.report_examples import CLASSES, save_run

from uda_seg.cli.command_line import check
from uda_seg.commands import table as command
from uda_seg.config import plain
from uda_seg.errors import ConfigError
from uda_seg.experiments.rows import Job
from uda_seg.experiments.runner import RunError

TABLE = """
name: mini
title: A mini table
text: Two rows and a quoted one.
paper: Nobody, never published
classes: [road, traffic light, car]
columns: [miou_three]
means: {miou_three: {label: mIoU 3, classes: [road, traffic light, car]}}
sources: {figure: a figure}
roles: {tiny: {baseline: source_only, control: null, oracle: null}}
steps: 2
cost: {seconds: 1.5, origin: measured, basis: here}
common: [backbone=tiny, trainer=cpu]
rows:
  source_only: {label: source only, backbone: tiny, overrides: [method=source_only]}
  adaptseg:
    label: AdaptSegNet
    backbone: tiny
    after: source_only
    overrides: [method=adaptseg]
    published: {origin: read, source: figure, miou_three: 42.35}
  theirs: {label: theirs, backbone: tiny}
"""
SCRIPT = """
import os, shutil, sys
from pathlib import Path
folder, prepared = map(Path, sys.argv[1:])
if not prepared.exists():
    print("no such luck")
    sys.exit(3)
shutil.copytree(prepared, folder, dirs_exist_ok=True)
with open(folder / "begun.txt", "a") as file:
    file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "none") + "\\n")
"""


@pytest.fixture
def mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the table; a run copies what lies in `prepared`, or fails without it."""
    (tmp_path / "mine" / "table").mkdir(parents=True)
    (tmp_path / "mine" / "table" / "mini.yaml").write_text(TABLE)
    for row, share in (("source_only", 0.3), ("adaptseg", 0.5)):
        for seed in (0, 1):
            prepared = tmp_path / "prepared" / row / f"seed{seed}"
            save_run(prepared, row, seed, share + seed / 100, classes=CLASSES)

    def line(job: Job) -> list[str]:
        prepared = tmp_path / "prepared" / job.row / f"seed{job.seed}"
        return [sys.executable, "-c", SCRIPT, str(job.folder), str(prepared)]

    monkeypatch.setattr(Job, "command", line)
    return tmp_path / "table_mini"


def run(folder: Path, *overrides: str) -> None:
    given = ["table=mini", "seeds=[0,1]", "jobs=2", *overrides]
    config = check("table", given, own_folder=folder.parent / "mine").config
    command.run(plain(without_hydra(config)), folder)


def begun(folder: Path) -> dict[str, int]:
    files = sorted(folder.glob("*/*/begun.txt"))
    return {f"{f.parent.parent.name} {f.parent.name}": len(f.read_text().split()) for f in files}


def test_a_failing_run_is_reported_and_tried_again(
    mini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden = mini.parent / "prepared" / "source_only" / "seed1"
    shutil.move(hidden, mini.parent / "hidden")
    with pytest.raises(RunError, match="2 of 4 runs are missing") as error:
        run(mini)
    assert error.value.exit_code == 1
    assert "source_only, seed 1: ended with exit code 3" in str(error.value)
    assert "no such luck" in str(error.value)
    assert "adaptseg, seed 1: not started: it needs" in str(error.value)
    assert begun(mini) == {"adaptseg seed0": 1, "source_only seed0": 1}
    printed = " ".join(capsys.readouterr().out.split())
    assert "42.35[a]" in printed
    assert "not run (ended with exit code 3, seed 1): source only" in printed
    assert str(mini) not in (mini / "index.html").read_text() + (mini / "table.md").read_text()

    shutil.move(mini.parent / "hidden", hidden)
    run(mini)
    assert begun(mini) == dict.fromkeys(
        ["adaptseg seed0", "adaptseg seed1", "source_only seed0", "source_only seed1"], 1
    )
    markdown = (mini / "table.md").read_text()
    assert "| AdaptSegNet | 42.35<sup>a</sup> |" in markdown
    assert "quoted from the paper, no method of this project): theirs" in markdown
    page = (mini / "index.html").read_text()
    for part in ("A mini table", "42.35<sup>a</sup>", "What was not run", "Learning curves"):
        assert part in page
    assert {path.name for path in mini.glob("table.*")} == {"table.md", "table.csv", "table.tex"}


def test_gpus_are_shared_out_among_the_runs(mini: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(mini, "gpus=[3,5]", "jobs=1")
    seen = [path.read_text().split() for path in mini.glob("source_only/*/begun.txt")]
    assert sorted(seen) == [["3"], ["5"]]
    with caplog.at_level("INFO"):
        run(mini.with_name("planned"), "gpus=[3,5]", "dry_run=true")
    assert "2 at a time" in caplog.text
    with pytest.raises(ConfigError, match=r"gpus=\[3\]: a job has trainer.devices=2"):
        run(mini, "gpus=[3]", "overrides=['trainer.devices=2']")


def test_only_chosen_rows_are_run_and_the_others_named(mini: Path) -> None:
    run(mini, "rows=[source_only]")
    assert list(begun(mini)) == ["source_only seed0", "source_only seed1"]
    assert "not run (not asked for): AdaptSegNet" in (mini / "table.md").read_text()


def test_a_dry_run_runs_nothing_and_shows_what_there_is(
    mini: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        run(mini, "dry_run=true")
    assert begun(mini) == {}
    assert "pending  adaptseg, seed 1: 2 steps, 3 s (measured)" in caplog.text
    assert "4 runs, 0 done" in caplog.text
    assert "42.35" in (mini / "table.md").read_text()
    assert "Learning curves" not in (mini / "index.html").read_text()


def test_rows_without_their_data_are_not_started(mini: Path) -> None:
    with pytest.raises(RunError, match=r"not started: gta5: source.root=/no/such is not there"):
        run(mini, "overrides=['source=gta5','target=toytown_camera','source.root=/no/such']")
    assert begun(mini) == {}


def test_mistakes_are_told_before_anything_runs(mini: Path) -> None:
    wrong: dict[str, Any] = {
        "rows=[adaptsek]": "no row adaptsek, did you mean adaptseg",
        "overrides=['trainer.stepz=3']": "row source_only: .*\n.*did you mean trainer.steps",
        "seeds=[0,0]": "0 is given twice",
    }
    for override, words in wrong.items():
        given, own = ["table=mini", override], mini.parent / "mine"
        config = without_hydra(check("table", given, own_folder=own).config)
        with pytest.raises(ConfigError, match=words):
            command.run(plain(config), mini)
    assert begun(mini) == {}
