"""Templates: in the package, strict, and closed to whatever a name holds."""

from importlib.resources import files
from pathlib import Path

import jinja2
import numpy as np
import pytest
from markupsafe import Markup
from report.report_examples import make_rows, save_pseudo_labels, save_run
from report.test_page import Checker
from retrieval.test_retrieval_report import ROWS, result

from uda_seg.images import pictures
from uda_seg.report.page import Choices, write_page
from uda_seg.report.rendering import pages, render
from uda_seg.report.rows import compare
from uda_seg.report.several import write_report
from uda_seg.report.table import run_table
from uda_seg.retrieval.retrieval_page import write_page as write_retrieval

HOSTILE = """x" onload='y' <script>alert(1)</script> {{ 7 * 7 }}{% if %} & </td> {#"""


def checked(path: Path) -> tuple[str, Checker]:
    page = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert "<script" not in page
    assert "onload" not in checker.attributes
    return page, checker


def test_the_package_holds_every_template_and_each_compiles():
    held = {path.name for path in (files("uda_seg.report") / "templates").iterdir()}
    assert held == set(pages().list_templates())
    assert {"document.html", "pieces.html", "runs.html", "page.css"} <= held
    for name in held:
        pages().get_template(name)


def test_a_missing_value_is_an_error_and_one_of_a_users_is_escaped():
    with pytest.raises(jinja2.UndefinedError, match="'meanings' is undefined"):
        render("terms.html")
    shown = render("terms.html", meanings=[("<b>", Markup("<b>bold</b>"))])
    assert "<dt>&lt;b&gt;</dt><dd><b>bold</b>.</dd>" in shown


def test_a_page_of_hostile_names(tmp_path):
    rows = make_rows(tmp_path / "runs", seeds=(0,))
    for row in rows:
        row.label += HOSTILE
        for run in row.runs:
            run["classes"] = [HOSTILE, "traffic light", "car"]
            run["target"] = run["backbone"] = HOSTILE
            for chosen in run["selections"].values():
                chosen["iou"] = {HOSTILE: chosen["iou"].pop("road")} | chosen["iou"]
        save_pseudo_labels(Path(row.folders[0]), classes=[HOSTILE, "traffic light", "car"])
    table = run_table(compare(rows, "source_only"))
    write_page(tmp_path / "page.html", HOSTILE, HOSTILE, [table], command=HOSTILE)
    page, checker = checked(tmp_path / "page.html")
    assert checker.text.count(HOSTILE) > 20
    assert "49" not in checker.text
    assert page.count("</table>") == page.count("<table")


def test_hostile_folders_numbers_and_remarks(tmp_path):
    for name in ("one", "other"):
        save_run(tmp_path / name, HOSTILE, 0, 0.5, config_hash=name)
    write_report(tmp_path / "page.html", [str(tmp_path)], {}, Choices(), title=HOSTILE)
    _, checker = checked(tmp_path / "page.html")
    assert HOSTILE in checker.text


def test_a_retrieval_of_hostile_names(tmp_path):
    found = result(ROWS)
    found["target"]["name"] = found["runs"][0]["label"] = found["classes"][0] = HOSTILE
    strip = tmp_path / """source_000_"><script>alert(1)<_script>.png"""
    pictures.save(strip, np.zeros((3, 4, 3), np.uint8))
    write_retrieval(tmp_path / "page.html", found, [strip])
    _, checker = checked(tmp_path / "page.html")
    assert checker.text.count(HOSTILE) >= 3
