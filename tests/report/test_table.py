"""Tables on the terminal, as Markdown and as CSV."""

import csv
import io
import json
import re

import numpy as np
import pytest
from report.report_examples import make_table, matrix, save_run
from rich.console import Console

from uda_seg.data.datasets.classes import SPACES
from uda_seg.evaluation import scores
from uda_seg.evaluation.measures import fwiou, iou, miou
from uda_seg.report.rows import Row, compare
from uda_seg.report.table import Table, run_table
from uda_seg.report.writers import (
    latex,
    markdown,
    print_run,
    print_table,
    to_csv,
    to_html,
    write_tables,
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
    assert [cell.strip() for cell in cells["fwIoU"]] == [f"{fwiou(m):.1f}" for m in (last, free)]
    assert [cell.strip() for cell in cells["car"]] == ["–", f"{iou(free)[2]:.1f}"]
    assert any("step 20" in line and "step 7" in line for line in lines)
    assert "mIoU (last): mean of 2 of 3 classes; no label holds car" in lines


def test_markdown_has_every_column_and_escapes(tmp_path):
    text = markdown(make_table(tmp_path))
    lines = text.splitlines()
    heads = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert heads == [
        "", "road", "light", "car", "mIoU", "fwIoU", "over baseline", "over control", "gap closed",
    ]  # fmt: skip
    assert lines[0] == "toytown → camvid, seeds 0, 1, 2, last step"
    assert "AdaptSegNet [multi] \\| x" in lines[6]
    assert lines[6].replace("\\|", "").count("|") == lines[7].count("|") == len(heads) + 1
    assert "**" in lines[6]
    assert "**" not in lines[7]  # the oracle is no rival
    assert "* over control: " in text
    assert "mIoU 16" not in text


def test_csv_gives_plain_numbers(tmp_path):
    table = make_table(tmp_path)
    write_tables(table, tmp_path)
    text = (tmp_path / "table.csv").read_text(encoding="utf-8")
    assert text == to_csv(table.rows, table.columns)
    found = {row["name"]: row for row in csv.DictReader(io.StringIO(text))}
    row = table.rows[2]
    assert float(found["adaptseg"]["miou_std"]) == pytest.approx(row.miou.deviation, abs=1e-4)
    assert float(found["adaptseg"]["traffic light"]) == pytest.approx(
        row.iou["traffic light"], abs=1e-4
    )
    assert found["source_only"]["gap_closed"] == ""
    assert found["adaptseg"]["seeds"] == "0 1 2"
    assert found["target_only"]["role"] == "oracle"


def test_a_measure_stands_in_every_format(tmp_path):
    uneven = [[700, 200, 100], [20, 60, 20], [1, 3, 6]]
    selections = {"last": {"step": 20, "confusion": uneven}}
    folder = save_run(tmp_path / "run", "adaptseg", 0, 0.5, selections=selections)
    table = run_table(compare([Row("run", "a run", [folder], [scores.load(folder)])]))
    shares = np.array([1000, 100, 10]) / 1110
    expected = (shares * iou(np.array(uneven))).sum()
    text = f"{expected:.1f}"
    assert text != f"{miou(np.array(uneven)):.1f}"
    assert json.loads((folder / "scores.json").read_text())["selections"]["last"]["fwiou"] == round(
        expected, 2
    )
    console = printed(200)
    print_table(table, console)
    for written in (console.file.getvalue(), markdown(table), latex(table)):
        head, row = (
            next(x for x in written.splitlines() if word in x) for word in ("fwIoU", "a run")
        )
        cut = re.compile("[┃│|&]")
        place = [cell.strip(" \\") for cell in cut.split(head)].index("fwIoU")
        assert cut.split(row)[place].strip(" \\") == text
    assert f"<td>{text}</td>" in to_html(table.grid(), "a table")
    (found,) = csv.DictReader(io.StringIO(to_csv(table.rows, table.columns)))
    assert float(found["fwiou"]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("width", [78, 200])
def test_terminal_shows_the_same_numbers_wide_and_narrow(tmp_path, width):
    table = make_table(tmp_path)
    console = printed(width)
    print_table(table, console)
    text = console.file.getvalue()
    for row in table.rows:
        assert row.miou.text() in text
    assert "[multi]" in text  # brackets are no markup
    assert "traffic light" in text if width == 78 else "light" in text
    assert max(map(len, text.splitlines())) <= width


def many_rows(root) -> Table:
    """17 rows of 19 classes, two seeds each."""
    classes = list(SPACES["cityscapes_19"])
    rng = np.random.default_rng(0)
    rows = []
    for number in range(17):
        folders = []
        for seed in (0, 1):
            counts = np.diag(rng.integers(10, 1000, 19)) + rng.integers(0, 99, (19, 19))
            selections = {"last": {"step": 20, "confusion": counts.tolist()}}
            folder = root / str(number) / str(seed)
            changes = {"classes": classes, "selections": selections}
            folders.append(save_run(folder, "adaptseg", seed, 0.5, **changes))
        runs = [scores.load(folder) for folder in folders]
        label = f"method number {number}, with a weight and a rate"
        rows.append(Row(f"row{number}", label, folders, runs))
    return run_table(compare(rows, baseline="row0"))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_too_narrow_for_a_table_shows_all_of_it_in_several(tmp_path, width):
    table = many_rows(tmp_path)
    console = printed(width)
    print_table(table, console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in console.file.getvalue()
    blocks = [i for i, line in enumerate(lines) if line.startswith("┏")]
    assert len(blocks) > 2
    body = lines[: next(i for i, line in enumerate(lines) if line.startswith("Bold"))]
    for column in table.shown:
        cells = [row[-1] for row in table.grid([column]).rows]
        (place,) = [
            number
            for number, line in enumerate(body)
            if column.head in [head.strip() for head in line.split("┃")]
        ]
        end = next((start for start in blocks if start > place), len(body))
        text = "\n".join(body[place:end])
        assert all(cell.text in text for cell in cells), column.head


def test_other_roles_leave_columns_out(tmp_path):
    rows = make_table(tmp_path, seeds=(0,)).rows
    text = markdown(run_table(compare(rows, baseline="source_only")))
    head = text.splitlines()[2]
    assert "over baseline" in head
    assert "over control" not in head
    assert "gap closed" not in text
    assert "seed 0," in text.splitlines()[0]


def test_a_network_is_told_where_it_is_not_the_tables_usual_one() -> None:
    usual, other = Row("a", "source only"), Row("b", "source only", network="HRDA")
    table = Table("", [usual, other], [])
    assert [table.label(row) for row in table.rows] == ["source only", "source only (HRDA)"]
    assert Table("", [other], []).label(other) == "source only"
