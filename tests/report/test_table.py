"""Tables on the terminal, as Markdown and as CSV."""

import csv
import io

import numpy as np
import pytest
from report.report_examples import ROLES, make_rows, matrix, save_run
from rich.console import Console

from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import iou, miou
from uda_seg.report.comparison import compare
from uda_seg.report.table import (
    comparison_csv,
    comparison_markdown,
    print_comparison,
    print_run,
    write_csv,
)


def printed(width: int) -> Console:
    return Console(file=io.StringIO(), width=width)


def test_a_runs_selections_stand_side_by_side(tmp_path):
    selections = {
        "label_free": {"step": 7, "confusion": matrix(0.2)},
        "last": {"step": 20, "confusion": matrix(0.5, absent=True)},
    }
    folder = save_run(tmp_path, "adaptseg", 0, 0.5, selections=selections)
    console = printed(100)
    print_run(scores.load(folder), console)
    lines = console.file.getvalue().splitlines()
    cells = {w[1].strip(): w[2:-1] for w in (line.split("│") for line in lines) if len(w) > 3}
    last, free = (np.array(selections[name]["confusion"]) for name in ("last", "label_free"))
    assert [cell.strip() for cell in cells["mIoU"]] == [f"{miou(m):.1f}" for m in (last, free)]
    assert [cell.strip() for cell in cells["car"]] == ["–", f"{iou(free)[2]:.1f}"]
    assert any("step 20" in line and "step 7" in line for line in lines)
    assert "mIoU (last): mean of 2 of 3 classes; no label holds car" in lines


def test_markdown_has_every_column_and_escapes(tmp_path):
    text = comparison_markdown(make_rows(tmp_path), **ROLES)
    lines = text.splitlines()
    heads = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert heads == [
        "", "road", "light", "car", "mIoU", "over baseline", "over control", "gap closed",
    ]  # fmt: skip
    assert lines[0] == "toytown → camvid, seeds 0, 1, 2, last step"
    assert "AdaptSegNet [multi] \\| x" in lines[6]
    assert lines[6].replace("\\|", "").count("|") == lines[7].count("|") == len(heads) + 1
    assert "**" in lines[6]
    assert "**" not in lines[7]  # the oracle is no rival
    assert "* over control: " in text
    assert "mIoU 16" not in text


def test_csv_gives_plain_numbers(tmp_path):
    rows = make_rows(tmp_path)
    write_csv(tmp_path / "t.csv", rows, **ROLES)
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert text == comparison_csv(rows, **ROLES)
    found = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    line = compare(rows, **ROLES)[2]
    assert float(found["adaptseg"]["miou_std"]) == pytest.approx(line.miou.deviation, abs=1e-4)
    assert float(found["adaptseg"]["traffic light"]) == pytest.approx(
        line.iou["traffic light"], abs=1e-4
    )
    assert found["source_only"]["gap_closed"] == ""
    assert found["adaptseg"]["seeds"] == "0 1 2"
    assert found["target_only"]["role"] == "oracle"


@pytest.mark.parametrize("width", [78, 200])
def test_terminal_shows_the_same_numbers_wide_and_narrow(tmp_path, width):
    rows = make_rows(tmp_path)
    console = printed(width)
    print_comparison(rows, console, **ROLES)
    text = console.file.getvalue()
    for line in compare(rows, **ROLES):
        assert line.miou.text() in text
    assert "[multi]" in text  # brackets are no markup
    assert "traffic light" in text if width == 78 else "light" in text
    assert max(map(len, text.splitlines())) <= width


def test_other_roles_leave_columns_out(tmp_path):
    text = comparison_markdown(make_rows(tmp_path, seeds=(0,)), baseline="source_only")
    head = text.splitlines()[2]
    assert "over baseline" in head
    assert "over control" not in head
    assert "gap closed" not in text
    assert "seed 0," in text.splitlines()[0]
