"""The figure of pseudo-labels: from a run's file to panels and numbers."""

import re
from pathlib import Path

import pytest
from report.report_examples import CLASSES, PSEUDO_LABELS, ROLES, make_rows, save_pseudo_labels
from report.test_page import Checker

from uda_seg.errors import DataError
from uda_seg.report.figures import Curve, Plot, Series, draw_strips, series_of
from uda_seg.report.page import write_page
from uda_seg.report.pseudo_labels import HEADS, pseudo_label_curves, read
from uda_seg.report.rows import Row, compare
from uda_seg.report.table import run_table


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Of the four, the control and the method have compared their pseudo-labels."""
    rows = make_rows(tmp_path, seeds=(0, 1))
    for row in rows[1:3]:
        for seed, folder in enumerate(row.folders):
            save_pseudo_labels(Path(folder), gain=2 * seed)
    return rows


def test_a_panel_for_every_class_with_a_line_for_every_row_that_has_some(rows: list[Row]) -> None:
    looks = series_of([row.label for row in rows], [None] * 4)
    part = pseudo_label_curves(rows, looks)
    assert part is not None
    body = str(part.body)
    assert body.count('role="img"') == 4 + len(CLASSES)
    for name in CLASSES:
        assert f"Precision, recall and IoU of pseudo-labels, {name}, by step" in body
    road = next(svg for svg in body.split("<svg") if "pseudo-labels, road" in svg)
    assert road.count("<polyline") == 3 * 2  # three strips, two rows
    assert road.count("<polygon") == 3 * 2  # from seed to seed
    for row, look in zip(rows, looks, strict=True):
        assert (f"stroke:{look.color}" in road) == (row in rows[1:3])


def test_numbers_are_means_over_seeds_and_unknown_ones_say_so(rows: list[Row]) -> None:
    part = pseudo_label_curves(rows, series_of([row.label for row in rows], [None] * 4))
    assert part is not None
    tables = re.findall(r"<table>.*?</table>", str(part.body), re.DOTALL)
    assert len(tables) == 2
    lines = {}
    for line in re.findall(r"<tr>.*?</tr>", tables[0], re.DOTALL):
        cells = [re.sub("<.*?>", "", cell).strip() for cell in re.split(r"<t[hd][ >]", line)[1:]]
        cells = [cell.rpartition(">")[2] for cell in cells]
        lines[cells[0]] = cells[1:]
    assert lines["class"] == list(HEADS[1:])
    assert lines["road"] == ["33.3", "33.3", "51.0", "71.0", "21.0", "21.0", "51.0", "45.0"]
    assert lines["car"][2:4] == ["–", "91.0"]
    assert lines["all"][:2] == ["100.0", "100.0"]


def test_a_run_in_which_nothing_was_ever_sure(tmp_path: Path) -> None:
    (row, *_) = make_rows(tmp_path, seeds=(0,))
    lines = [f"10,{name},100,0,0,,0.0,10.0,11.0,0.0" for name in [*CLASSES, "all"]]
    text = "\n".join([PSEUDO_LABELS.replace(" ", ","), *lines])
    (Path(row.folders[0]) / "pseudo_labels.csv").write_text(text)
    part = pseudo_label_curves([row], series_of(["one"], [None]))
    assert part is not None
    assert "<td>–</td>" in part.body
    assert "nan" not in str(part.body).lower()


def test_the_page_has_it_where_a_run_has_it_and_says_whose_labels_were_opened(
    rows: list[Row], tmp_path: Path
) -> None:
    for have in (True, False):
        if not have:
            for row in rows:
                for folder in row.folders:
                    (Path(folder) / "pseudo_labels.csv").unlink(missing_ok=True)
        write_page(tmp_path / "page.html", "title", "", [run_table(compare(rows, **ROLES))])
        checker = Checker()
        checker.feed((tmp_path / "page.html").read_text())
        assert checker.open == []
        assert ("no method sees them" in checker.text) == have
        assert ("Pseudo-labels" in checker.text) == have


@pytest.mark.parametrize("text", ["step,klass\n1,road\n", "step,class,pixels\n1,road,many\n"])
def test_a_file_that_is_something_else_is_named(text: str, tmp_path: Path) -> None:
    assert read(tmp_path) == {}
    (tmp_path / "pseudo_labels.csv").write_text(text)
    with pytest.raises(DataError, match=r"pseudo_labels\.csv: cannot be read as a table"):
        read(tmp_path)


def test_strips_stand_above_each_other_over_the_same_steps() -> None:
    plot = Plot("step", "", "two", (300, 260), (0, 100))
    curve = Curve(Series("a", "red"), [[(0, 0), (20, 100)]])
    svg = draw_strips({"one": [curve], "other": [curve]}, plot)
    lines = [re.findall(r"[\d.]+", one) for one in re.findall(r'points="(.*?)"', svg)]
    (first, other) = [[float(number) for number in line] for line in lines]
    assert first[::2] == other[::2]
    assert first[1] < other[3]  # the lower end of the first is above the upper end of the other
    assert svg.count(">step<") == 1
