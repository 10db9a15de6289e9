"""Any set of run folders: which there are, which belong together, which compare."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from report.report_examples import (
    matrix,
    save_run,
    save_sweep,
    save_table,
    save_whole_run,
    write_config,
)

from uda_seg.errors import ConfigError, DataError
from uda_seg.report.grouping import counted, grouped, identity
from uda_seg.report.labels import label
from uda_seg.report.runs import Run, find, metrics, read, spec_of
from uda_seg.report.table import Table
from uda_seg.report.tables_of_runs import tables

NOBODY = {"baseline": None, "control": None, "oracle": None}


def groups_of(*places: Path) -> list[list[Run]]:
    return grouped([read(folder) for folder in find(places)])


def tables_of(
    *places: Path, selection: str = "last", **roles: str
) -> tuple[list[Table], list[str]]:
    return tables([read(folder) for folder in find(places)], NOBODY | roles, selection)


def labels_of(table: Table) -> list[str]:
    return [row.label for row in table.rows]


def test_runs_are_found_once_in_folders_of_any_depth_and_by_patterns(tmp_path):
    runs = [tmp_path / "out" / name for name in ("a/date", "b/sweep/0", "b/sweep/1")]
    for run in runs:
        save_run(run, "adaptseg", 0, 0.5)
        (run / ".hydra").mkdir()
        (run / ".hydra" / "config.yaml").touch()
        (run / ".hydra" / "environment.json").touch()
    assert find([tmp_path / "out"]) == runs
    assert find([tmp_path / "out" / "b" / "*", tmp_path / "out" / "b" / "sweep"]) == runs[1:]
    assert find([runs[0], tmp_path / "out" / "a"]) == runs[:1]
    assert find([runs[0] / "scores.json"]) == runs[:1]
    with pytest.raises(ConfigError, match="nowhere: is not there"):
        find([runs[0], tmp_path / "nowhere"])
    with pytest.raises(ConfigError, match="pictures: holds no run"):
        find([runs[0] / "pictures"])


def test_a_run_without_scores_is_read_with_its_progress(tmp_path):
    write_config(tmp_path / "run", "adaptseg", 3, {})
    (tmp_path / "run" / "progress.json").write_text(json.dumps({"step": 7, "steps": 20}))
    run = read(find([tmp_path])[0])
    assert run.scores is None
    assert not run.finished
    assert run.steps == (7, 20)
    assert run.overrides == {"method": "adaptseg", "seed": "3"}


def test_an_older_run_is_read_and_what_is_left_out_of_it_is_said(tmp_path, caplog):
    (tmp_path / "config.yaml").write_text("method: {critic: {width: 4}}\n")
    assert read(tmp_path).scores is None
    assert "how often its critics were right is left out" in caplog.text


def test_metrics_count_steps_done_and_leave_a_row_out_that_is_being_written(tmp_path):
    folder = save_whole_run(tmp_path / "run", "adaptseg", 0, 0.5)
    found = metrics(folder)
    assert found["loss/segmentation"][:2] == [(10, 1 / 10), (20, 1 / 20)]
    assert len(found["discriminator_accuracy/main"]) == 20
    assert metrics(tmp_path) == {}
    (folder / "metrics.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"metrics.csv: cannot be read"):
        metrics(folder)


def test_runs_that_differ_in_seed_and_machine_alone_are_one_row(tmp_path):
    save_sweep(tmp_path, (0.001, 0.002), seeds=(0, 1, 2))
    found = groups_of(tmp_path)
    assert [[run.scores["seed"] for run in group] for group in found] == [[0, 1, 2]] * 2
    assert label([group[0] for group in found]) == [
        "AdaptSegNet, lambda_adv 0.001",
        "AdaptSegNet, lambda_adv 0.002",
    ]


def test_labels_say_no_more_than_is_needed_and_leave_a_tables_alone(tmp_path):
    save_table(tmp_path / "compare", seeds=(0,))
    for number, (weight, rate) in enumerate([(1, 10), (1, 20), (2, 10)]):
        said = {"backbone.lr": rate, "method.lambda_adv": weight, "method.x": 10 * weight}
        save_whole_run(tmp_path / f"run{number}", "adaptseg", 0, 0.5, said)
    config = tmp_path / "compare" / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("ours & theirs", "AdaptSegNet"))
    (table,), _ = tables_of(tmp_path)
    words = [text for text in labels_of(table) if text.startswith("AdaptSegNet")]
    assert words == [
        "AdaptSegNet",
        *(f"AdaptSegNet, lambda_adv {weight}, lr {rate}" for weight, rate in
          [(1, 10), (1, 20), (2, 10)]),
    ]  # fmt: skip


def test_runs_started_from_different_networks_are_not_one_row(tmp_path):
    starts = [save_whole_run(tmp_path / f"s{n}", "source_only", n, 0.3) for n in (0, 1)]
    other = save_whole_run(tmp_path / "other", "source_only", 0, 0.3, {"trainer.steps": 99})
    runs = []
    for number, start in enumerate([*starts, other]):
        folder = save_whole_run(tmp_path / f"run{number}", "adaptseg", number, 0.5)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["initial"] = str(start)
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        runs.append(identity(read(folder)))
    assert runs[0] == runs[1] != runs[2]


def test_a_table_gives_names_order_roles_and_what_is_shown(tmp_path):
    root = save_table(tmp_path / "compare")
    (table,), remarks = tables_of(root)
    assert labels_of(table) == ["source only", "adaptive BN <control>", "ours & theirs", "oracle"]
    assert [row.role for row in table.rows] == ["baseline", "control", None, "oracle"]
    assert table.rows[2].over_control is not None
    assert len(remarks) == 1
    assert "warm_up/seed0" in remarks[0]
    assert spec_of(root / "ours" / "seed0")["title"] == "One table"
    (root / ".hydra" / "config.yaml").unlink()
    (table,), _ = tables_of(root)
    assert labels_of(table) == ["control", "ours", "source only", "target only", "warm up"]
    assert [row.role for row in table.rows] == ["control", None, "baseline", "oracle", None]
    assert "the baseline is source only, the highest of several (warm up)" in table.remarks[0]


def test_a_table_of_an_earlier_version_is_named_after_its_folders_and_says_so(tmp_path, caplog):
    root = save_table(tmp_path / "compare")
    config = root / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("table:", "comparison:"))
    (table,), _ = tables_of(root)
    assert "ours" in labels_of(table)
    assert caplog.text.count("whose tables were called comparison") == 1


def test_roles_follow_from_methods_or_from_what_is_asked_for(tmp_path):
    save_sweep(tmp_path / "sweep", (0.001, 0.002))
    save_whole_run(tmp_path / "o", "target_only", 0, 0.9)
    save_whole_run(tmp_path / "s", "source_only", 0, 0.3)
    (table,), _ = tables_of(tmp_path)
    assert [row.role for row in table.rows] == ["baseline", None, None, "oracle"]
    named = {"baseline": "AdaptSegNet, lambda_adv 0.001", "oracle": "target_only"}
    (table,), _ = tables_of(tmp_path, **named)
    assert {row.role: row.label for row in table.rows}["baseline"] == named["baseline"]
    with pytest.raises(
        ConfigError, match="control=AdaptSegnet: no row has this name; did you mean"
    ):
        tables_of(tmp_path, control="AdaptSegnet")


def test_other_targets_and_classes_have_tables_of_their_own_and_backbones_their_baselines(tmp_path):
    for backbone, share in (("small", 0.3), ("large", 0.6)):
        for method, gain in (("source_only", 0), ("adaptseg", 0.1)):
            place = tmp_path / f"{method}_{backbone}"
            save_whole_run(
                place, method, 0, share + gain, {"backbone.name": backbone}, backbone=backbone
            )
    classes = {"last": {"step": 1, "confusion": [[5, 5], [0, 10]]}}
    save_whole_run(tmp_path / "x", "pit", 0, 0, classes=["road", "car"], selections=classes)
    (first, second), _ = tables_of(tmp_path)
    assert {row.runs[0]["backbone"] for row in first.rows if row.role} == {"small", "large"}
    for row in first.rows:
        if row.role is None:
            assert 0 < row.over_baseline.mean < 30
            assert row.runs[0]["backbone"] in row.label
    assert labels_of(second) == ["PIT"]
    assert "2 classes" in second.title


def test_unfinished_runs_count_only_where_no_run_is_finished(tmp_path):
    save_whole_run(tmp_path / "a", "adaptseg", 0, 0.5)
    save_whole_run(tmp_path / "b", "adaptseg", 1, 0.9, finished=False, steps=10)
    save_whole_run(tmp_path / "c", "road", 0, 0.5, finished=False, steps=10)
    write_config(tmp_path / "d", "rpt", 0, {})
    (table,), remarks = tables_of(tmp_path)
    assert labels_of(table) == ["AdaptSegNet", "ROAD (unfinished, step 10 of 20)"]
    assert table.rows[0].seeds == (0,)
    assert any("/b: unfinished (step 10 of 20), and not in" in remark for remark in table.remarks)
    assert any("/d: no scores yet (step 0 of 20)" in remark for remark in remarks)


def test_of_two_runs_with_one_seed_the_later_counts(tmp_path):
    for name, share, time in (("new", 0.9, 2000), ("old", 0.5, 1000)):
        folder = save_whole_run(tmp_path / name, "adaptseg", 0, share)
        os.utime(folder / "scores.json", (time, time))
    (group,) = groups_of(tmp_path)
    runs, remarks = counted(group, "last")
    assert [run.folder.name for run in runs] == ["new"]
    assert "/old: an earlier run of the same config and seed 0" in remarks[0]


def test_runs_without_the_wanted_checkpoint_are_left_out_and_named(tmp_path):
    save_whole_run(tmp_path / "a", "adaptseg", 0, 0.5)
    only = {"last": {"step": 20, "confusion": matrix(0.5)}}
    save_whole_run(tmp_path / "b", "adaptseg", 1, 0.5, selections=only)
    (table,), _ = tables_of(tmp_path, selection="oracle_best")
    assert table.rows[0].seeds == (0,)
    assert "/b: has no checkpoint “oracle_best”" in table.remarks[0]
    with pytest.raises(ConfigError, match="selection=label_free: no run has it"):
        tables_of(tmp_path, selection="label_free")


def test_rows_that_nothing_tells_apart_are_numbered(tmp_path):
    save_whole_run(tmp_path / "a", "adaptseg", 0, 0.5)
    save_whole_run(tmp_path / "b", "adaptseg", 0, 0.5, {"trainer.steps": 30})
    (tmp_path / "b" / "overrides.txt").unlink()
    assert label([group[0] for group in groups_of(tmp_path)]) == [
        "AdaptSegNet #1",
        "AdaptSegNet #2",
    ]
    shutil.rmtree(tmp_path / "b")
    assert label([group[0] for group in groups_of(tmp_path)]) == ["AdaptSegNet"]
