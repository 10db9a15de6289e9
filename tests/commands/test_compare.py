"""A table's runs: which there are, what they wait for, what is run again."""

import json
from pathlib import Path
from typing import Any

import pytest

from uda_seg.cli.job_configs import configs
from uda_seg.commands.table import rows_of
from uda_seg.errors import ConfigError
from uda_seg.experiments.asked_for import asked_for
from uda_seg.experiments.requirements import needs, needs_of_rows
from uda_seg.experiments.rows import Job, jobs, wanted_rows

TABLE = {
    "common": ["backbone=tiny"],
    "rows": {
        "start": {"label": "start", "steps": 2, "overrides": ["method=source_only"]},
        "next": {"label": "next", "steps": 3, "overrides": ["method=adaptseg"], "after": "start"},
        "other": {"label": "other", "steps": 3, "overrides": ["method=target_only"]},
    },
}

NOTHING_MISSING = {
    "source": {"name": "toytown"}, "target": {"name": "toytown"},
    "backbone": {"name": "tiny"}, "trainer": {"accelerator": "cpu"},
    "method": {"_target_": "uda_seg.methods.source_only.SourceOnly", "weights": {}},
}  # fmt: skip
NO_SOURCE = {"source": {"name": "gta5", "root": "/no/such"}}


def test_every_row_runs_for_every_seed_and_says_what_it_starts_from(tmp_path: Path) -> None:
    wanted = jobs(TABLE, [0, 7], ["trainer=cpu"], tmp_path)
    assert [(job.row, job.seed) for job in wanted] == [
        (row, seed) for seed in (0, 7) for row in ("start", "next", "other")
    ]
    follower = wanted[4]
    assert follower.after == (wanted[3].folder,) == (tmp_path / "start" / "seed7",)
    assert follower.overrides == (
        "backbone=tiny", "method=adaptseg", "trainer.steps=3", "trainer=cpu", "seed=7",
        f"initial='{tmp_path / 'start' / 'seed7'}'",
    )  # fmt: skip


def test_a_row_waits_for_the_rows_that_label_for_it(tmp_path: Path) -> None:
    later = {"steps": 2, "labelled_by": ["start", "other"], "overrides": ["method=fda"]}
    table = TABLE | {"rows": {**TABLE["rows"], "later": {**later, "after": "start"}, "new": later}}
    start, _, other, after, new = jobs(table, [3], [], tmp_path / "old")
    assert after.after == (start.folder, start.folder, other.folder)
    assert new.after == (start.folder, other.folder)
    labellers = f"method.labellers=['{start.folder}','{other.folder}']"
    assert after.overrides[-2:] == (f"initial='{start.folder}'", labellers)
    assert new.overrides[-1] == labellers
    assert wanted_rows(table, ["new"]) == {"new", "start", "other"}
    finish(new)
    (tmp_path / "old").rename(tmp_path / "moved")
    assert jobs(table, [3], [], tmp_path / "moved")[-1].done
    with pytest.raises(ConfigError, match="later.labelled_by: there is no row 'gone'"):
        jobs(TABLE | {"rows": {"later": {**later, "labelled_by": ["gone"]}}}, [0], [], tmp_path)


BOTH = {"label": "both", "together": ["next", "other"], "mean_of": "logits", "shares": [2, 1]}


def test_rows_together_are_scored_after_those_that_train(tmp_path: Path) -> None:
    table = TABLE | {"rows": TABLE["rows"] | {"both": BOTH}}
    *_, first, second, both = jobs(table, [3], ["trainer=cpu", "target.root='/there'"], tmp_path)
    assert both.after == (first.folder, second.folder)
    assert (both.steps, both.cost, both.verb) == (0, 0.0, "evaluate")
    assert both.overrides == (
        f"checkpoint='{first.folder}'", f"also=['{second.folder}']", "mean_of=logits",
        "shares=[2, 1]", "target.root='/there'",
    )  # fmt: skip
    finish(first)
    assert both.command()[3] == "evaluate"
    assert configs([both]) == {}
    lacking = {"next": NOTHING_MISSING, "other": NOTHING_MISSING | NO_SOURCE}
    for pending, count in (([second, both], 1), ([both], 0)):
        assert len(needs_of_rows(pending, lacking)["both"]) == count, "what is done needs nothing"
    row = rows_of([both], {"both"}, {"both": []}, {}, "label_free")["both"]
    assert "last step alone" in row.why
    assert wanted_rows(table, ["both"]) == {"both", "start", "next", "other"}
    finish(both)
    tmp_path.rename(moved := tmp_path.with_name(f"{tmp_path.name}_moved"))
    assert jobs(table, [3], ["trainer=cpu"], moved)[-1].done


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"together": ["next", "gone"]}, "together: there is no row 'gone'"),
        ({"together": ["next", "both"]}, "together: both trains no network"),
        ({"together": ["next"]}, "together=.*: must be a list of two rows or more"),
        ({"mean_of": "logit"}, "mean_of=logit: choose from logits, probabilities"),
        ({"shares": [1, 1, 1]}, "shares=.*: must be 2 numbers"),
        ({"after": "start"}, "after: a row of others together trains nothing"),
    ],
)
def test_mistakes_in_rows_together_are_told(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    table = TABLE | {"rows": TABLE["rows"] | {"both": BOTH | change}}
    with pytest.raises(ConfigError, match=f"table.rows.both.{words}"):
        jobs(table, [0], [], tmp_path)


def test_steps_are_those_that_are_trained(tmp_path: Path) -> None:
    shorter = jobs(TABLE, [0], ["trainer.steps=1", "trainer.workers=0"], tmp_path)
    assert [job.steps for job in shorter] == [1, 1, 1]
    assert [job.steps for job in jobs(TABLE, [0], [], tmp_path)] == [2, 3, 3]


def test_a_row_after_nothing_is_refused(tmp_path: Path) -> None:
    rows = {"rows": {"next": TABLE["rows"]["next"]}}
    with pytest.raises(ConfigError, match="no row 'start'; there are next"):
        jobs(TABLE | rows, [0], [], tmp_path)


def finish(job: Job) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / "job.json").write_text(json.dumps({"overrides": list(job.overrides)}))
    (job.folder / "scores.json").write_text(json.dumps({"finished": True}))


def test_finished_runs_are_not_run_again_unless_their_command_changed(tmp_path: Path) -> None:
    job, changed = (jobs(TABLE, [0], extra, tmp_path)[0] for extra in ([], ["trainer=gpu"]))
    assert not job.done
    finish(job)
    assert job.done
    assert not changed.done


def test_an_interrupted_run_is_resumed_and_a_changed_one_begun_anew(tmp_path: Path) -> None:
    job, changed = (jobs(TABLE, [0], extra, tmp_path)[0] for extra in ([], ["trainer=gpu"]))
    finish(job)
    (job.folder / "checkpoints").mkdir()
    (job.folder / "checkpoints" / "last.ckpt").touch()
    assert "resume=auto" in job.command()
    assert not any(word.startswith("resume=") for word in changed.command())


def test_where_data_lies_does_not_undo_a_finished_run(tmp_path: Path) -> None:
    (moved,) = jobs(TABLE | {"rows": {"other": TABLE["rows"]["other"]}}, [0], [
        "data_root='/elsewhere'", "target.root='/there'", "cache=disk", "trainer.workers=8",
    ], tmp_path)  # fmt: skip
    (job,) = jobs(TABLE | {"rows": {"other": TABLE["rows"]["other"]}}, [0], [], tmp_path)
    finish(job)
    assert moved.done
    assert "data_root='/elsewhere'" in moved.command()


def test_chosen_rows_bring_those_they_start_from() -> None:
    assert wanted_rows(TABLE, ["next"]) == {"start", "next"}
    assert wanted_rows(TABLE, "other") == {"other"}
    assert wanted_rows(TABLE, None) == {"start", "next", "other"}
    with pytest.raises(ConfigError, match="no row nexd, did you mean next"):
        wanted_rows(TABLE, ["nexd"])
    quoted = TABLE | {"rows": TABLE["rows"] | {"theirs": {"label": "theirs"}}}
    assert wanted_rows(quoted, None) == {"start", "next", "other"}
    with pytest.raises(ConfigError, match="theirs is quoted from its paper"):
        wanted_rows(quoted, ["theirs"])


def asked(*leave_out: str, verb: str = "table") -> dict[str, Any]:
    roles = {"baseline": "other", "control": None}
    spec = TABLE | {"title": "t", "text": "t", "roles": roles}
    return asked_for({"table": spec, "leave_out": list(leave_out)}, verb)


def test_rows_can_be_left_out_but_not_those_that_others_need() -> None:
    assert set(asked("next")["rows"]) == {"start", "other"}
    assert set(asked("start", "next")["rows"]) == {"other"}
    for names, words in {
        ("nexd",): "leave_out: there is no row nexd, did you mean next",
        ("start",): "leave_out: start is needed, next start from it; leave these out as well",
        ("other",): "leave_out: other is the baseline; 'table.roles.baseline=null' goes without",
        ("start", "next", "other"): "leave_out: no row is left",
    }.items():
        with pytest.raises(ConfigError, match=words):
            asked(*names)


def test_a_seed_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="seeds: 1 is given twice"):
        jobs(TABLE, [1, 0, 1], [], tmp_path)


def test_own_yaml_files_reach_the_runs(tmp_path: Path) -> None:
    job = jobs(TABLE, [0], [], tmp_path, tmp_path / "mine")[0]
    assert job.command()[3:6] == ["train", "--config-dir", str(tmp_path / "mine")]


def test_mistakes_in_a_row_are_told_before_anything_runs(tmp_path: Path) -> None:
    wrong = {"rows": {"a": {"label": "a", "steps": 2, "overrides": ["method=adaptsek"]}}}
    with pytest.raises(ConfigError, match="row a: .*\n.*did you mean adaptseg"):
        configs(jobs(TABLE | wrong, [0], [], tmp_path))


@pytest.mark.parametrize(
    ("settings", "words", "blocks"),
    [
        (NO_SOURCE, "gta5: source.root=/no/such", True),
        ({"target": {"datasets": {"idd": {"root": "/no"}}}}, "idd: target.root=/no", True),
        ({"backbone": {"pretrained": "/no.pth", "encoder": {"name": "x"}}}, "/no.pth is not", True),
        ({"backbone": {"pretrained": "hub", "encoder": {"name": "x"}}}, "fetched when", False),
        ({"backbone": {"pretrained": "none"}}, None, None),
        ({"trainer": {"accelerator": "gpu"}}, "a GPU", True),
    ],
)
def test_what_a_run_needs_and_is_not_here_is_named(
    settings: dict[str, Any], words: str | None, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert list(needs(NOTHING_MISSING)) == []
    found = list(needs(NOTHING_MISSING | settings))
    assert [need.blocks for need in found] == [blocks] * bool(words)
    assert all(words in need.words for need in found if words)
