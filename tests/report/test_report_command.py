"""`report` as a user calls it, and its page in a real browser."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import compose
from PIL import Image
from report.browser import tab
from report.report_examples import (
    CLASSES,
    matrix,
    save_pseudo_labels,
    save_sweep,
    save_table,
    save_whole_run,
    write_config,
)
from report.test_page import Checker

from uda_seg.commands import report
from uda_seg.data.datasets.classes import CITYSCAPES
from uda_seg.errors import ConfigError
from uda_seg.images import pictures
from uda_seg.report import gallery
from uda_seg.report.confusions import row_shares


def page_of(folder: Path, *words: str) -> tuple[str, Checker]:
    output = folder / "out" / "page.html"
    report.run(compose("report", [f"output={output}", *words]), Path())
    text = output.read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|<script|@import", text)
    assert str(folder) not in re.sub(r"<pre>.*?</pre>", "", text)
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert {link.removeprefix("#") for link in checker.links} <= {"main", *checker.places}
    return text, checker


def test_a_tables_folder(tmp_path, capsys):
    save_table(tmp_path / "compare")
    text, checker = page_of(tmp_path, f"runs={tmp_path / 'compare'}")
    assert "One table" in checker.text
    parts = ["Per-class IoU", "Learning curves", "Losses", "Without labels", "Class by class"]
    parts += ["What is taken for what", "Costs", "Which checkpoint", "Before and after"]
    for part in parts:
        assert f">{part}</h2>" in text
    assert "discriminator main, share right" in checker.text
    assert "Most often taken: " in checker.text
    assert "10 runs, 10 finished, in 4 rows" in capsys.readouterr().out


def test_a_sweep_has_its_curve_and_several_targets_a_table_each(tmp_path):
    save_sweep(tmp_path / "sweep", (0.0005, 0.001, 0.004))
    save_whole_run(tmp_path / "else", "pit", 0, 0.5, target="kitti")
    text, checker = page_of(tmp_path, f"runs=[{tmp_path / 'sweep'},{tmp_path}/e*]")
    assert "toytown → camvid, 3 classes" in checker.text
    assert "toytown → kitti, 3 classes" in checker.text
    assert text.count(">Per-class IoU</h3>") == 2
    assert text.count("<h4>method.lambda_adv</h4>") == 1


def test_one_single_run_and_a_target_without_labels(tmp_path):
    nothing = {"last": {"step": 20, "confusion": np.zeros((3, 3), int).tolist()}}
    history = [{"step": step, "miou": None, "entropy": 0.5 / step} for step in (10, 20)]
    run = save_whole_run(tmp_path / "run", "adaptseg", 0, 0.5, selections=nothing, history=history)
    for path in (run / "pictures").glob("*_label.png"):
        pictures.save(path, np.zeros((8, 16, 3), np.uint8))
    text, checker = page_of(tmp_path, f"runs={run}")
    assert "the target has no labels, so there is no mIoU" in checker.text
    assert "mean entropy of predictions" in checker.text
    assert len(checker.addresses) == 4  # image and prediction: neither label nor errors
    for part in ("Per-class IoU", "What is taken for what", "Class by class", "Learning curves"):
        assert part not in text
    assert not re.search(r"\bnan\b", checker.text)


def test_a_page_about_sixty_rows_stays_small_and_says_what_is_left_out(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    photo = random.integers(0, 255, (160, 640, 3)).astype(np.uint8)
    noise = pictures.color(random.integers(0, 3, (160, 640)), CLASSES)
    pictures.save(tmp_path / "image.png", photo)
    pictures.save(tmp_path / "other.png", noise)
    for number in range(60):
        said = {"method.lambda_adv": number + 1}
        run = save_whole_run(tmp_path / "runs" / f"{number:02}", "adaptseg", 0, number / 70, said)
        for path in (run / "pictures").iterdir():
            shutil.copy(tmp_path / ("image.png" if "image" in path.name else "other.png"), path)
    monkeypatch.setattr(gallery, "BYTES", 400_000)
    text, checker = page_of(tmp_path, f"runs={tmp_path / 'runs'}")
    assert len(text) < 1_200_000
    assert checker.text.count("AdaptSegNet, lambda_adv 7") >= 3  # all are in the tables
    assert "60 rows, all in the table; figures and pictures show 10" in checker.text
    assert "Of 50 more rows there are no pictures here." in checker.text
    assert "more scenes lie in the run folders" in checker.text or "pixels wide" in checker.text
    sizes = [Image.open(io.BytesIO(base64.b64decode(a.partition(",")[2]))).width
             for a in checker.addresses]  # fmt: skip
    assert set(sizes) < set(gallery.WIDTHS[1:])


def test_scenes_are_matched_by_their_image_whatever_their_number(tmp_path):
    first, second = (save_whole_run(tmp_path / m, m, 0, 0.5) for m in ("source_only", "adaptseg"))
    for folder, order in ((first, (10, 200)), (second, (200, 10))):
        for number, shade in enumerate(order):
            for kind in ("image", "label", "prediction"):
                picture = np.full((8, 16, 3), shade, np.uint8)
                pictures.save(folder / "pictures" / f"{number:03}_{kind}.png", picture)
    image = gallery.read(first / "pictures" / "000_image.png")
    assert gallery.same_image(second, image, "000") == "001"
    assert gallery.same_image(second, image[:4], "000") is None
    _, checker = page_of(tmp_path, f"runs=[{first},{second}]")
    assert checker.text.count("100 % right") == 4


def test_rows_of_a_confusion_are_percent_of_the_label():
    shares = row_shares(np.array([[3, 1, 0], [0, 0, 0], [0, 5, 5]]))
    assert shares[0].tolist() == [75, 25, 0]
    assert np.isnan(shares[1]).all()
    assert row_shares(np.array(matrix(0.4))).sum(1) == pytest.approx(100)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["runs=[]"], "runs=[]: must be a list that is not empty"),
        (["runs=nowhere"], "runs=nowhere: is not there"),
        (["runs=waiting"], "none has been scored yet; .*no scores yet"),
        (["runs=run", "output=run"], "output=run: is a folder"),
        (["runs=run", "published=nothing"], "published=nothing: is not there"),
        (["runs=run", "against=method.lambda_adv"], "no two rows differ in this number alone"),
        (["runs=run", "oracle=nobody"], "oracle=nobody: no row has this name"),
    ],
)
def test_what_cannot_be_shown_is_said(tmp_path, words, complaint):
    save_whole_run(tmp_path / "run", "adaptseg", 0, 0.5)
    write_config(tmp_path / "waiting", "adaptseg", 0, {})
    with pytest.raises(ConfigError, match=complaint.replace("[", r"\[")):
        report.run(compose("report", words), Path())
    assert not list(tmp_path.glob("*.html"))


def every(selector: str, condition: str) -> str:
    """JavaScript: whether a condition on `e` holds for all elements."""
    return f"[...document.querySelectorAll('{selector}')].every(e => {condition})"


def test_the_page_in_a_browser(tmp_path):
    save_table(tmp_path / "compare")
    save_sweep(tmp_path / "sweep", (0.0005, 0.001, 0.004))
    save_whole_run(tmp_path / "else", "pit", 0, 0.5, target="kitti")
    save_pseudo_labels(tmp_path / "else")
    page_of(tmp_path, f"runs=[{tmp_path}/compare,{tmp_path}/sweep,{tmp_path}/else]")
    path = Path(shutil.move(tmp_path / "out" / "page.html", tmp_path / "page.html"))
    with tab(tmp_path / "profile") as page:
        for width, dark in ((1400, False), (700, True)):
            page.open(path, width, dark)
            assert page.value("document.documentElement.scrollWidth") <= width
            assert page.value(every("img", "e.alt && e.src.startsWith('data:')"))
            page.value("document.querySelectorAll('details').forEach(e => e.open = true)")
            assert page.value(every("img", "e.naturalWidth > 0"))
            assert page.value(every("svg[role=img]", "e.querySelector('title')"))
            page.screenshot(tmp_path / f"{width}.png")
            with Image.open(tmp_path / f"{width}.png") as shot:
                assert shot.width == width
                corner = shot.convert("L").getpixel((2, 2))
            assert (corner < 60) is dark
        page.press("Tab", 9)
        assert page.value("document.activeElement.className") == "skip"
        assert page.value(every(".wide", "e.tabIndex == 0 && e.getAttribute('aria-label')"))
    assert page.complaints == []
    assert set(page.requests) == {path.resolve().as_uri()}


def test_a_long_and_wide_table_scrolls_below_its_head_and_fits_on_paper(tmp_path):
    counts = (np.diag(range(100, 119)) + 1).tolist()
    for number in range(30):
        extra = {
            "classes": list(CITYSCAPES),
            "selections": {"last": {"step": 20, "confusion": counts}},
        }
        said = {"method.lambda_adv": number / 1000}
        save_whole_run(tmp_path / "runs" / f"{number}", "adaptseg", 0, 0.5, said, **extra)
    page_of(tmp_path, f"runs={tmp_path / 'runs'}")
    table = "document.querySelector('.wide:has(> table)')"
    head = f"{table}.querySelectorAll('thead th')[1].getBoundingClientRect().top"
    with tab(tmp_path / "profile") as page:
        page.open(tmp_path / "out" / "page.html", width=900)
        assert page.value(f"{table}.scrollHeight > {table}.clientHeight")
        assert page.value(f"{table}.scrollWidth > {table}.clientWidth")
        before = page.value(head)
        page.value(f"{table}.scrollTop = 300")
        assert page.value(f"{table}.scrollTop") == 300
        assert page.value(head) == pytest.approx(before, abs=1)
        page.on_paper(width=1032)  # A4, turned, without its margins
        assert page.value("document.documentElement.scrollWidth") <= 1032
        assert page.value(every(".wide:has(> table)", "e.scrollHeight == e.clientHeight"))
        assert page.value("getComputedStyle(document.querySelector('nav')).display") == "none"
