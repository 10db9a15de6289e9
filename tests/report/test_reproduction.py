"""A published table beside ours: the same numbers in every format, and no others."""

import csv
import io
import re
from pathlib import Path

import pytest
from report.report_examples import make_rows
from rich.console import Console

from uda_seg.errors import ConfigError
from uda_seg.report.reproduction import Reproduction, State, check_table, reproduction
from uda_seg.report.reproduction_grid import classes, not_run, sums
from uda_seg.report.reproduction_latex import latex, reproduction_latex
from uda_seg.report.reproduction_text import (
    plain,
    print_reproduction,
    reproduction_csv,
    reproduction_markdown,
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


def made(root: Path, selection: str = "last") -> Reproduction:
    rows = {row.name: row for row in make_rows(root)}
    states = {name: State("all") for name in rows} | {"more": State("not run", "no such luck")}
    return reproduction(TABLE, rows, states, selection)


def cells(table: Reproduction, name: str) -> dict[str, str]:
    heads, rows = sums(table)
    place = [entry.name for entry in table.entries].index(name)
    return dict(zip(heads, map(plain, rows[place]), strict=True))


def test_a_row_shows_the_paper_ours_and_what_lies_between(tmp_path: Path) -> None:
    table = made(tmp_path)
    ours = table.entries[3].line
    assert ours is not None
    found = cells(table, "adaptseg")
    assert found["paper"] == "42.35[b]"
    assert found["ours"] == ours.miou.text()
    assert found["difference"] == f"{ours.miou.mean - 42.35:+.1f}"
    assert found["paper's oracle"] == "65.1[b]"
    assert found["over control"] == ours.over_control.text(sign=True)
    assert found["gap closed"] == f"{ours.gap_closed:.0f} %"
    assert found["gap closed, paper"] == "56 %"  # (42.35 - 20) / (60 - 20)
    assert float(found["ours, best"].split(" ")[0]) > ours.miou.mean
    assert "ours, best" not in sums(made(tmp_path, "oracle_best"))[0]


def test_the_table_says_how_often_our_runs_update_their_encoder(tmp_path: Path) -> None:
    rows = {row.name: row for row in make_rows(tmp_path)}
    assert reproduction(TABLE, {}, {}).text == "What it is."
    said = "What it is. Encoder updates of our runs (backbone.optimizer.encoder_updates):"
    assert reproduction(TABLE, rows, {}).text == f"{said} 1."
    for run in rows["adaptseg"].runs:
        run["encoder_updates"] = "authors"
    text = reproduction(TABLE, rows, {}).text
    assert text.startswith(said)
    assert "; authors (" in text
    assert rows["adaptseg"].label in text.partition("authors (")[2]


def test_what_is_recalled_is_marked_and_what_is_unknown_stays_so(tmp_path: Path) -> None:
    table = made(tmp_path)
    assert cells(table, "theirs")["paper"] == "27.1†[a]"
    assert cells(table, "theirs")["ours"] == "–"
    assert cells(table, "adaptive_bn")["paper"] == "?"
    assert cells(table, "more")["ours"] == "–"
    heads, rows = classes(table)
    assert heads == ["", "of", "road", "light", "car"]
    row = next(row for row in rows if row[0].text == "multi (tiny)" and row[1].text == "paper")
    assert [plain(cell) for cell in row[1:]] == ["paper†[c]", "40.0", "20.0", "?"]
    assert not_run(table) == {
        "quoted from the paper, no method of this project": ["theirs | other (large)"],
        "no such luck": ["more (tiny)"],
    }


def test_gains_are_over_the_rows_of_the_same_network(tmp_path: Path) -> None:
    moved = {**TABLE["rows"], "adaptseg": TABLE["rows"]["adaptseg"] | {"backbone": "large"}}
    rows = {row.name: row for row in make_rows(tmp_path)}
    table = reproduction(TABLE | {"rows": moved}, rows, {})
    line = table.entries[3].line
    assert line is not None
    assert line.over_baseline is None
    assert line.gap_closed is None
    assert table.entries[2].line.over_baseline is not None


def test_terminal_markdown_csv_and_latex_say_the_same(tmp_path: Path) -> None:
    table = made(tmp_path)
    console = Console(width=250, record=True, file=io.StringIO())
    print_reproduction(table, console)
    ours = table.entries[3].line
    assert ours is not None
    terminal, markdown = console.export_text(), reproduction_markdown(table)
    for text in (terminal, markdown):
        for part in (
            ours.miou.text(),
            "not run (no such luck): more (tiny)",
            "A note",
            "their figure_1",
        ):
            assert part in text
    assert "theirs \\| other" in markdown
    assert "27.1†<sup>a</sup>" in markdown
    assert "27.1†[a]" in terminal
    entries = {row["name"]: row for row in csv.DictReader(io.StringIO(reproduction_csv(table)))}
    assert float(entries["adaptseg"]["ours_miou_three"]) == pytest.approx(ours.miou.mean, abs=1e-4)
    assert entries["adaptseg"]["paper_miou_three_origin"] == "read: their figure_1"
    assert entries["theirs"]["paper_miou_three_origin"] == "recalled, with little certainty"
    assert entries["more"]["paper_miou_three"] == ""
    assert entries["more"]["paper_miou_three_origin"] == "unknown"
    assert entries["more"]["not_run"] == "no such luck"
    assert entries["adaptseg"]["ours_road"]


def test_a_narrow_terminal_is_told_what_it_does_not_show(tmp_path: Path) -> None:
    console = Console(width=70, record=True, file=io.StringIO())
    print_reproduction(made(tmp_path), console)
    text = " ".join(console.export_text().split())
    assert "multi (tiny)" in text
    assert "42.35[b]" in text
    assert "for want of room here: network, ours, best, paper's oracle" in text


def test_latex_is_plain_and_balanced(tmp_path: Path) -> None:
    text = reproduction_latex(made(tmp_path))
    assert text.isascii()
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    heads = sums(made(tmp_path))[0]
    assert all(len(re.split(r"(?<!\\)&", line)) == len(heads) for line in body)
    assert r"27.1$^{\dagger a}$" in text
    assert r"their figure\_1" in text
    assert latex("50 % & λ_adv → ±") == r"50 \% \& $\lambda$\_adv $\rightarrow$ $\pm$"


def test_a_table_without_published_numbers_has_no_columns_for_them(tmp_path: Path) -> None:
    rows = {n: {k: v for k, v in e.items() if k != "published"} for n, e in TABLE["rows"].items()}
    table = reproduction(TABLE | {"rows": rows}, {r.name: r for r in make_rows(tmp_path)}, {})
    assert not {"paper", "difference", "paper's oracle"} & set(sums(table)[0])


def test_a_table_that_nobody_has_run_still_shows_the_paper() -> None:
    table = reproduction(TABLE, {}, {})
    assert cells(table, "adaptseg")["paper"] == "42.35[b]"
    assert cells(table, "adaptseg")["runs"] == "not run"
    assert cells(table, "theirs")["runs"] == "quoted"
    assert "gap closed" not in sums(table)[0]


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
        check_table(TABLE | change)
