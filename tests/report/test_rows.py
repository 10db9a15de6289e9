"""Means over seeds, gains, gap closed: against a calculator."""

import statistics

import numpy as np
import pytest
from report.report_examples import CLASSES, ROLES, make_rows, matrix, save_run

from uda_seg.errors import ConfigError, DataError
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import miou
from uda_seg.report.rows import Row, compare, spread


def value(share: float) -> float:
    return miou(np.array(matrix(share)))


def test_means_deviations_and_gains(tmp_path):
    related = compare(make_rows(tmp_path), **ROLES)
    base, control, ours, oracle = (
        [value(share + s / 100) for s in range(3)] for share in (0.3, 0.4, 0.5, 0.9)
    )
    found = related[2]
    assert [one.role for one in related] == ["baseline", "control", None, "oracle"]
    assert found.miou.mean == pytest.approx(statistics.mean(ours))
    assert found.miou.deviation == pytest.approx(statistics.stdev(ours))
    gains = [a - b for a, b in zip(ours, control)]
    assert found.over_control.mean == pytest.approx(statistics.mean(gains))
    assert found.over_control.deviation == pytest.approx(statistics.stdev(gains))
    assert found.over_baseline.mean == pytest.approx(statistics.mean(ours) - statistics.mean(base))
    low, here, high = map(statistics.mean, (base, ours, oracle))
    assert found.gap_closed == pytest.approx(100 * (here - low) / (high - low))
    assert related[3].gap_closed == pytest.approx(100)
    assert (related[0].over_baseline, related[0].gap_closed, related[1].over_control) == (None,) * 3
    assert list(found.iou) == CLASSES
    per_run = [run["selections"]["last"]["iou"]["car"] for run in found.runs]
    assert found.iou["car"] == pytest.approx(statistics.mean(per_run))


def test_another_selection_is_another_number(tmp_path):
    rows = make_rows(tmp_path, seeds=(0,))
    assert compare(rows, **ROLES, selection="oracle_best")[0].miou.mean == pytest.approx(
        value(0.35)
    )
    with pytest.raises(DataError, match="has no selection 'label_free'"):
        compare(rows, **ROLES, selection="label_free")


def test_one_seed_has_no_deviation_and_absent_roles_no_columns(tmp_path):
    rows = make_rows(tmp_path, seeds=(4,))
    found = compare(rows[2:3], **ROLES)[0]
    assert found.miou.deviation is None
    assert (found.over_baseline, found.over_control, found.gap_closed) == (None, None, None)
    assert found.miou.text() == f"{value(0.54):.1f}"


def test_other_seeds_are_compared_by_their_means(tmp_path):
    rows = make_rows(tmp_path)
    rows[0].runs = rows[0].runs[:1]
    found = compare(rows, **ROLES)[2]
    expected = statistics.mean(value(0.5 + s / 100) for s in range(3)) - value(0.3)
    assert found.over_baseline.mean == pytest.approx(expected)
    assert found.over_baseline.deviation is None


def test_a_class_that_occurs_in_some_seeds_only_is_averaged_over_those(tmp_path):
    selections = {"last": {"step": 1, "confusion": matrix(0.5, absent=True)}}
    folders = [
        save_run(tmp_path / "a", "m", 0, 0.5, selections=selections),
        save_run(tmp_path / "b", "m", 1, 0.5),
    ]
    row = Row("m", "m", folders, [scores.load(folder) for folder in folders])
    found = compare([row])[0]
    assert np.isnan(row.runs[0]["selections"]["last"]["iou"]["car"])
    assert found.iou["car"] == row.runs[1]["selections"]["last"]["iou"]["car"]


def test_an_oracle_below_the_baseline_closes_no_gap(tmp_path):
    rows = make_rows(tmp_path)
    turned = ROLES | {"baseline": "target_only", "oracle": "source_only"}
    assert {found.gap_closed for found in compare(rows, **turned)} == {None}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"target": "cityscapes"}, "scored on target=cityscapes, but source only on camvid"),
        ({"split": "test"}, "split=test"),
        (
            {"split": "val", "scored_images": 8, "split_images": 100},
            "split=val, 8 of 100 images, but source only on None",
        ),
        ({"classes": ["road", "sky", "car"]}, "classes="),
    ],
)
def test_what_does_not_compare_is_refused(tmp_path, changes, complaint):
    rows = make_rows(tmp_path, seeds=(0,))
    folder = save_run(tmp_path / "other", "other", 0, 0.5, **changes)
    with pytest.raises(ConfigError, match=complaint):
        compare([*rows, Row("other", "other", [folder], [scores.load(folder)])])


def test_empty_rows_have_no_numbers_and_doubled_seeds_are_refused(tmp_path):
    rows = make_rows(tmp_path, seeds=(0,))
    empty = compare([*rows, Row("empty", "empty")], **ROLES)[-1]
    assert (empty.miou.text(), empty.over_baseline, empty.gap_closed) == ("–", None, None)
    assert compare([]) == []
    rows[1].runs = rows[1].runs * 2
    with pytest.raises(ConfigError, match="two runs with seed 0"):
        compare(rows)


def test_spread_of_nothing_is_a_dash():
    assert spread([]).text() == "–"
    assert spread([1.0, 3.0]).text(sign=True) == "+2.0 ± 1.4"
