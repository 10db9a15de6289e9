"""mIoU against a number that differs between rows."""

import math

import pytest
from report.report_examples import save_sweep, save_whole_run
from report.test_report_runs import tables_of

from uda_seg.errors import ConfigError
from uda_seg.report.parameters import (
    PublishedCurve,
    axis,
    check_against,
    families,
    parameter_curves,
    round_names,
)
from uda_seg.report.published_curves import read_published

KEY = "method.lambda_adv"


def test_rows_that_differ_in_one_number_are_a_family_and_the_default_is_in_it(tmp_path):
    save_sweep(tmp_path / "sweep", (0.0005, 0.004))
    save_whole_run(tmp_path / "default", "adaptseg", 0, 0.7)
    save_whole_run(tmp_path / "road", "road", 0, 0.7, {KEY: 0.5})
    (table,), _ = tables_of(tmp_path)
    (family,) = families(table.rows)[KEY]
    assert sorted(family.points) == [0.0005, 0.001, 0.004]
    assert family.points[0.001].miou.mean == pytest.approx(family.points[0.001].runs[0][
        "selections"]["last"]["miou"])  # fmt: skip
    part = parameter_curves(table.rows, "last")
    for words in ("0.0005", "0.001", "0.004", KEY, "AdaptSegNet"):
        assert words in part.body
    assert part.body.count("<polygon") == 1  # the band over seeds


def test_a_grid_over_two_numbers_gives_a_curve_for_each_value_of_the_other(tmp_path):
    for place, (weight, rate) in enumerate([(1, 10), (1, 20), (2, 10), (2, 20), (3, 10)]):
        said = {KEY: weight, "backbone.lr": rate}
        save_whole_run(tmp_path / str(place), "adaptseg", 0, 0.5 + place / 20, said)
    (table,), _ = tables_of(tmp_path)
    found = families(table.rows)
    assert [sorted(f.points) for f in found[KEY]] == [[1, 2, 3], [1, 2]]
    assert [sorted(f.points) for f in found["backbone.lr"]] == [[10, 20], [10, 20]]
    body = parameter_curves(table.rows, "last", against="backbone.lr").body
    assert "AdaptSegNet, lambda_adv 2" in body
    assert f"<h4>{KEY}</h4>" not in body


def test_values_over_decades_lie_by_their_logarithm_and_zero_left_of_all():
    assert axis([1, 2, 3]) == {1: 1, 2: 2, 3: 3}
    assert axis([-1, 1, 1000]) == {-1: -1, 1: 1, 1000: 1000}
    places = axis([0, 0.001, 0.01, 0.1])
    assert places[0.01] == pytest.approx(math.log10(0.01))
    assert places[0] < places[0.001]


def test_more_values_than_can_be_named_have_round_numbers_below_them():
    places = axis([0.00012, 0.0003, 0.0009, 0.004, 0.07])
    names = round_names(places)
    assert list(names.values())[:3] == ["0.0002", "0.0005", "0.001"]
    assert names[math.log10(0.05)] == "0.05"
    assert min(places.values()) <= min(names) <= max(names) <= max(places.values())
    assert round_names(axis([0, 0.001, 0.1])) == {
        **{math.log10(v): f"{v:g}" for v in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)},
        axis([0, 0.001, 0.1])[0]: "0",
    }
    assert list(round_names(axis([1.1, 1.7, 3.9])).values()) == ["1.5", "2", "2.5", "3", "3.5"]


def test_published_curves_are_drawn_beside_and_named_with_their_origin(tmp_path):
    save_sweep(tmp_path / "sweep", (0.0005, 0.001, 0.004))
    (table,), _ = tables_of(tmp_path)
    paper = PublishedCurve("the paper", KEY, {0.0005: 35.3, 0.002: 39.0}, "its table 3")
    other = PublishedCurve("other", "method.x", {1: 2.0, 2: 3.0})
    body = parameter_curves(table.rows, "last", [paper, other]).body
    for words in ("the paper (its table 3)", "35.3", "39.0", "0.002"):
        assert words in body
    assert "other" not in body


def test_a_key_that_tells_no_rows_apart_is_answered_with_those_that_do(tmp_path):
    save_sweep(tmp_path / "sweep", (0.0005, 0.001))
    (table,), _ = tables_of(tmp_path)
    check_against(KEY, [table])
    with pytest.raises(ConfigError, match=f"against=method.lambda: .* did you mean {KEY}"):
        check_against("method.lambda", [table])
    assert parameter_curves(table.rows, "last") is None  # two points are no curve


def test_published_files(tmp_path):
    path = tmp_path / "curve.yaml"
    path.write_text("published: [{label: a, key: method.x, points: {0.1: 30, 0.2: 31.5}}]")
    (curve,) = read_published(str(path))
    assert curve == PublishedCurve("a", "method.x", {0.1: 30.0, 0.2: 31.5})
    path.write_text("published: [{label: a}]")
    with pytest.raises(ConfigError, match="needs a list published: of label, key and points"):
        read_published(str(path))
    (curve,) = read_published("fda_gta5_to_cityscapes")  # some of its rows are only quoted
    assert (curve.key, len(curve.points)) == ("method.band", 3)
    with pytest.raises(ConfigError, match="published=nothing: is not there"):
        read_published("nothing")


def test_a_published_table_is_a_curve_where_its_rows_differ_in_a_number(tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text(
        """
title: Sensitivity
classes: cityscapes_19
columns: [miou_19]
rows:
  base: {overrides: [method=source_only], published: {origin: unknown}}
  one: {overrides: [method=adaptseg, method.lambda_adv=0.001],
        published: {origin: recalled, certainty: high, miou_19: 41.0}}
  two: {overrides: [method=adaptseg, method.lambda_adv=0.004],
        published: {origin: recalled, certainty: high, miou_19: 40.0}}
"""
    )
    (curve,) = read_published(str(path))
    assert (curve.key, curve.points) == (KEY, {0.001: 41.0, 0.004: 40.0})
    assert "recalled" in curve.origin


def test_a_published_curve_of_a_method_on_another_names_both(tmp_path):
    path = tmp_path / "table.yaml"
    rows = [
        f"  {base}_{ratio}: {{overrides: [method=mic, method@method.base={base}, "
        f"method.ratio=0.{ratio}], published: {{origin: recalled, certainty: low, miou_19: 5}}}}"
        for base in ("dacs", "road")
        for ratio in (5, 7)
    ]
    head = "title: Masks\nclasses: cityscapes_19\ncolumns: [miou_19]\nrows:\n"
    path.write_text(head + "\n".join(rows) + "\n")
    curves = read_published(str(path))
    assert [one.label for one in curves] == [
        "published (Masks), mic, base dacs",
        "published (Masks), mic, base road",
    ]
