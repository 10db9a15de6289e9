"""A published table beside ours: the same numbers in every format, and no others."""

import csv
import io
import re
from pathlib import Path

import pytest
from report.report_examples import make_rows
from rich.console import Console

from uda_seg.errors import ConfigError
from uda_seg.report.page import write_table_page
from uda_seg.report.rows import Row
from uda_seg.report.spec import check_spec, table_of, without_published
from uda_seg.report.table import Table
from uda_seg.report.writers import (
    escape_latex,
    latex,
    markdown,
    plain,
    print_table,
    to_csv,
)

ROLES = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}
TABLE = {
    "title": "A table: 100 % λ",
    "text": "What it is.",
    "paper": "Somebody et al., 2018",
    "classes": ["road", "traffic light", "car"],
    "columns": ["miou_three"],
    "means": {
        "miou_three": {"label": "mIoU 3", "classes": ["road", "traffic light", "car"]},
    },
    "sources": {"figure": "their figure_1"},
    "roles": {"tiny": ROLES, "large": {"baseline": None}},
    "rows": {
        "theirs": {
            "label": "theirs | other",
            "backbone": "large",
            "published": {"origin": "recalled", "certainty": "low", "miou_three": 27.1},
        },
        "source_only": {
            "label": "source only",
            "backbone": "tiny",
            "overrides": [],
            "published": {"origin": "read", "source": "figure", "miou_three": 20},
        },
        "adaptive_bn": {"label": "control", "backbone": "tiny", "overrides": []},
        "adaptseg": {
            "label": "multi",
            "backbone": "tiny",
            "overrides": [],
            "note": "A note.",
            "published": {
                "origin": "recalled",
                "certainty": "high",
                "iou": [40, 20, None],
                "miou_three": {"value": 42.35, "origin": "read", "source": "figure"},
                "oracle": {"value": 65.1, "origin": "read", "source": "figure"},
            },
        },
        "more": {"label": "more", "backbone": "tiny", "overrides": []},
        "target_only": {
            "label": "oracle",
            "backbone": "tiny",
            "overrides": [],
            "published": {"origin": "read", "source": "figure", "miou_three": 60},
        },
    },
}  # fmt: skip


def rows_of(root: Path) -> dict[str, Row]:
    return {row.name: row for row in make_rows(root)}


def made(root: Path, selection: str = "last") -> Table:
    rows = rows_of(root)
    for row in rows.values():
        row.state = "all"
    rows["more"] = Row("more", "more", state="not run", why="no such luck")
    return table_of(TABLE, rows, selection)


def row_of(table: Table, name: str) -> Row:
    return next(row for row in table.rows if row.name == name)


def cells(table: Table, name: str) -> dict[str, str]:
    grid = table.grid()
    place = [row.name for row in table.rows].index(name)
    return dict(zip(grid.heads, map(plain, grid.rows[place]), strict=True))


def test_a_row_shows_the_paper_ours_and_what_lies_between(tmp_path: Path) -> None:
    table = made(tmp_path)
    ours = row_of(table, "adaptseg")
    found = cells(table, "adaptseg")
    assert found["paper"] == "42.35[b]"
    assert found["ours"] == ours.miou.text()
    assert found["difference"] == f"{ours.miou.mean - 42.35:+.1f}"
    assert found["paper's oracle"] == "65.1[b]"
    assert found["over control"] == ours.over_control.text(sign=True)
    assert found["gap closed"] == f"{ours.gap_closed:.0f} %"
    assert found["gap closed, paper"] == "56 %"  # (42.35 - 20) / (60 - 20)
    assert float(found["ours, best"].split(" ")[0]) > ours.miou.mean
    assert "ours, best" not in made(tmp_path, "oracle_best").grid().heads


def test_the_table_says_how_often_our_runs_update_their_encoder(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    assert table_of(TABLE).text == "What it is."
    said = "What it is. Encoder updates of our runs (backbone.optimizer.encoder_updates):"
    assert table_of(TABLE, rows).text == f"{said} 1."
    for run in rows["adaptseg"].runs:
        run["encoder_updates"] = "authors"
    text = table_of(TABLE, rows).text
    assert text.startswith(said)
    assert "; authors (" in text
    assert "multi" in text.partition("authors (")[2]


def test_what_is_recalled_is_marked_and_what_is_unknown_stays_so(tmp_path: Path) -> None:
    table = made(tmp_path)
    assert cells(table, "theirs")["paper"] == "27.1†[a]"
    assert cells(table, "theirs")["ours"] == "–"
    assert cells(table, "adaptive_bn")["paper"] == "?"
    assert cells(table, "more")["ours"] == "–"
    grid = table.class_grid()
    assert grid.heads == ["", "of", "road", "light", "car"]
    row = next(row for row in grid.rows if row[0].text == "multi (tiny)" and row[1].text == "paper")
    assert [plain(cell) for cell in row[1:]] == ["paper†[c]", "40.0", "20.0", "?"]
    assert table.not_run() == {
        "quoted from the paper, no method of this project": ["theirs | other (large)"],
        "no such luck": ["more (tiny)"],
    }


def test_gains_are_over_the_rows_of_the_same_network(tmp_path: Path) -> None:
    moved = {**TABLE["rows"], "adaptseg": TABLE["rows"]["adaptseg"] | {"backbone": "large"}}
    table = table_of(TABLE | {"rows": moved}, rows_of(tmp_path))
    assert row_of(table, "adaptseg").over_baseline is None
    assert row_of(table, "adaptseg").gap_closed is None
    assert row_of(table, "adaptive_bn").over_baseline is not None


def test_an_oracle_stands_last_of_its_network() -> None:
    first = {"target_only": TABLE["rows"]["target_only"]}
    table = table_of(TABLE | {"rows": first | TABLE["rows"]})
    assert [row.name for row in table.rows] == [
        "theirs", "source_only", "adaptive_bn", "adaptseg", "more", "target_only",
    ]  # fmt: skip


def test_without_published_numbers_the_classes_are_columns(tmp_path: Path) -> None:
    table = table_of(without_published(TABLE), rows_of(tmp_path))
    assert "theirs" not in [row.name for row in table.rows]
    assert table.grid().heads == [
        "", "road", "light", "car", "mIoU", "fwIoU", "over baseline", "over control", "gap closed",
        "runs",
    ]  # fmt: skip
    assert "42.35" not in markdown(table)
    assert "* not run (not run yet): more." in markdown(table)
    assert cells(table, "adaptseg")["road"] == f"{row_of(table, 'adaptseg').iou['road']:.1f}"


def test_one_network_needs_no_name(tmp_path: Path) -> None:
    rows = {
        name: {key: value for key, value in entry.items() if key != "backbone"}
        for name, entry in TABLE["rows"].items()
    }
    spec = without_published(TABLE | {"roles": ROLES, "rows": rows})
    check_spec(spec)
    table = table_of(spec, rows_of(tmp_path))
    assert [row.role for row in table.rows] == ["baseline", "control", None, None, "oracle"]
    assert table.grid().rows[0][0].text == "source only"
    with pytest.raises(ConfigError, match="table.roles.control: there is no row adaptive_bm, did"):
        check_spec(spec | {"roles": ROLES | {"control": "adaptive_bm"}})


def test_terminal_markdown_csv_and_latex_say_the_same(tmp_path: Path) -> None:
    table = made(tmp_path)
    console = Console(width=250, record=True, file=io.StringIO())
    print_table(table, console)
    ours = row_of(table, "adaptseg")
    terminal, text_of_file = console.export_text(), markdown(table)
    for text in (terminal, text_of_file):
        for part in (
            ours.miou.text(),
            "not run (no such luck): more (tiny)",
            "A note",
            "their figure_1",
        ):
            assert part in text
    assert "theirs \\| other" in text_of_file
    assert "27.1†<sup>a</sup>" in text_of_file
    assert "27.1†[a]" in terminal
    entries = {
        row["name"]: row for row in csv.DictReader(io.StringIO(to_csv(table.rows, table.columns)))
    }
    assert float(entries["adaptseg"]["ours_miou_three"]) == pytest.approx(ours.miou.mean, abs=1e-4)
    assert entries["adaptseg"]["paper_miou_three_origin"] == "read: their figure_1"
    assert entries["theirs"]["paper_miou_three_origin"] == "recalled, with little certainty"
    assert entries["more"]["paper_miou_three"] == ""
    assert entries["more"]["paper_miou_three_origin"] == "unknown"
    assert entries["more"]["not_run"] == "no such luck"
    assert entries["adaptseg"]["ours_road"]


def test_a_narrow_terminal_shows_every_column(tmp_path: Path) -> None:
    console, table = Console(width=70, record=True, file=io.StringIO()), made(tmp_path)
    print_table(table, console)
    lines = console.export_text().splitlines()
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= 70
    assert "multi (tiny)" in text
    for head, cell in cells(table, "adaptseg").items():
        assert head in text
        assert cell in text


def test_the_page_says_the_same(tmp_path: Path) -> None:
    table = made(tmp_path)
    write_table_page(tmp_path / "page.html", table, "python -m uda_seg table")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for part in (
        "42.35<sup>b</sup>", "27.1†<sup>a</sup>", row_of(table, "adaptseg").miou.text(),
        "What was not run", "no such luck", "Published and ours, class by class", "A note",
        "Somebody et al., 2018",
    ):  # fmt: skip
        assert part in page


def test_latex_is_plain_and_balanced(tmp_path: Path) -> None:
    text = latex(made(tmp_path))
    assert text.isascii()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    heads = made(tmp_path).grid().heads
    assert all(len(re.split(r"(?<!\\)&", line)) == len(heads) for line in body)
    assert r"27.1$^{\dagger a}$" in text
    assert r"their figure\_1" in text
    assert escape_latex("50 % & λ_adv → ±") == r"50 \% \& $\lambda$\_adv $\rightarrow$ $\pm$"


def test_a_table_without_published_numbers_has_no_columns_for_them(tmp_path: Path) -> None:
    rows = {n: {k: v for k, v in e.items() if k != "published"} for n, e in TABLE["rows"].items()}
    table = table_of(TABLE | {"rows": rows}, rows_of(tmp_path))
    assert not {"paper", "difference", "paper's oracle"} & set(table.grid().heads)


def test_a_table_that_nobody_has_run_still_shows_the_paper() -> None:
    table = table_of(TABLE)
    assert cells(table, "adaptseg")["paper"] == "42.35[b]"
    assert cells(table, "adaptseg")["runs"] == "not run"
    assert cells(table, "theirs")["runs"] == "quoted"
    assert "gap closed" not in table.grid().heads


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": "cityscape_19"}, "table.classes: .*did you mean cityscapes_19"),
        ({"roles": {"tiny": {"baselin": None}}}, "did you mean baseline"),
        ({"roles": {"tiny": {"baseline": "source_onli"}}}, "did you mean source_only"),
        ({"roles": {"large": {"baseline": "source_only"}}}, "no row source_only with large"),
        ({"rows": {"a": {"backbone": "tiny"}}, "roles": {}}, "table.rows.a.label: is missing"),
    ],
)  # fmt: skip
def test_mistakes_in_a_table_are_named(change, words) -> None:
    with pytest.raises(ConfigError, match=words):
        check_spec(TABLE | change)
