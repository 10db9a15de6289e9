"""Hand-drawn SVG: well-formed, in proportion, and no NaN in it."""

import re
from xml.etree import ElementTree

import pytest

from uda_seg.report.axes import Frame, ticks
from uda_seg.report.figures import Curve, Plot, class_bars, draw_curves, series_of
from uda_seg.report.rendering import render


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (3, 47, [0, 10, 20, 30, 40, 50]),
        (0.2, 0.3, [0.2, 0.22, 0.24, 0.26, 0.28, 0.3]),
        (5, 5, [4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    found = ticks(low, high, 6)
    assert found[0] <= low <= high <= found[-1]
    assert found == pytest.approx(expected)


def test_frame_puts_the_origin_below():
    frame = Frame(10, 20, 100, 50, (0, 4), (0, 100))
    assert frame.at(0, 0) == (10, 70)
    assert frame.at(4, 100) == (110, 20)


def test_rows_differ_in_color_and_roles_in_dashes():
    looks = series_of(list("abcde"), ["baseline", None, None, "control", "oracle"])
    assert len({look.color for look in looks}) == 5
    assert [bool(look.dash) for look in looks] == [True, False, False, True, True]


def test_bars_are_as_high_as_their_numbers_and_nan_has_none():
    looks = series_of(["a <b>", "c"], [None, None])
    text = class_bars(["road", "car & van"], looks, [[50, 100], [float("nan"), 25]], "t")
    root = ElementTree.fromstring(text)
    bars = {bar.find("title").text: float(bar.get("height")) for bar in root.iter("rect")}
    assert set(bars) == {"road, a <b>: 50.0", "car & van, a <b>: 100.0", "car & van, c: 25.0"}
    assert bars["road, a <b>: 50.0"] == pytest.approx(130)
    assert bars["car & van, c: 25.0"] == pytest.approx(65)
    assert "nan" not in text


def test_equal_steps_give_a_mean_and_a_band_other_steps_a_line_each():
    look = series_of(["a"], [None])[0]
    plot = Plot("step", "y", "t")
    same = draw_curves([Curve(look, [[(0, 10), (5, 20)], [(0, 30), (5, 20)]])], plot)
    assert (same.count("<polyline"), same.count("<polygon")) == (1, 1)
    assert "a, step 0: 20.0" in same
    other = draw_curves([Curve(look, [[(0, 10), (5, 20)], [(0, 30)]])], plot)
    assert (other.count("<polyline"), other.count("<polygon")) == (2, 0)
    for text in (same, other, draw_curves([Curve(look, [[]])], plot)):
        ElementTree.fromstring(text)
        assert not re.search(r"nan|inf", text)


def test_words_take_the_place_of_numbers_and_dots_can_be_left_out():
    look = series_of(["a"], [None])[0]
    plot = Plot("λ", "y", "t", x_names={-3.0: "0.001", -2.0: "0.01"}, y_range=(0, 1), dots=False)
    text = draw_curves([Curve(look, [[(-3.0, 0.5), (-2.0, 0.7)]])], plot)
    words = ["".join(node.itertext()) for node in ElementTree.fromstring(text).iter()]
    assert {"0.001", "0.01", "λ", "0", "1"} <= set(words)
    assert "<circle" not in text


def test_looks_of_many_rows_differ_and_a_role_has_its_look_once():
    looks = series_of([str(n) for n in range(20)], ["baseline", "baseline", *[None] * 18])
    assert len({(look.color, look.dash) for look in looks}) == 20


def test_the_legend_names_every_row():
    looks = series_of(["a & b", "c"], [None, "control"])
    figure = render("figure.html", words="", looks=looks, label="Curves", figure="<svg></svg>")
    legend = ElementTree.fromstring(f"<div>{figure}</div>")[0]
    assert ["".join(item.itertext()).strip() for item in legend] == ["a & b", "c"]
