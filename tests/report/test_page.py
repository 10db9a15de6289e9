"""The page: one file, nothing from outside, every row and picture in it."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image
from report.report_examples import ROLES, make_rows, matrix, save_run

from uda_seg.evaluation import scores
from uda_seg.images.pictures import palette, save
from uda_seg.report.gallery import WIDTHS, Picture, embed, errors, read
from uda_seg.report.page import write_page
from uda_seg.report.rows import Row, compare
from uda_seg.report.runs import read as read_run
from uda_seg.report.sweep import look, write_csv
from uda_seg.report.table import Table, run_table
from uda_seg.report.tables_of_runs import tables
from uda_seg.report.writers import latex, markdown, print_run, to_csv

VOID = {"meta", "img", "link", "br"}
PER_SCENE = 2 + 2 * 4
"""Image and label; of each row its prediction and its errors."""


class Checker(HTMLParser):
    """Collects addresses and complains about tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.links: list[str] = []
        self.places: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name == "src" and value]
        self.links += [value for name, value in attrs if name == "href" and value]
        self.places += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def table_of(rows: list[Row]) -> Table:
    return run_table(compare(rows, **ROLES))


def page_of(tmp_path, rows, **extra) -> tuple[str, Checker]:
    path = tmp_path / "page" / "index.html"
    write_page(path, "A <title>", "What it is & why.", [table_of(rows)], **extra)
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]
    text = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    return text, checker


def test_page_is_one_file_with_all_rows(tmp_path):
    rows = make_rows(tmp_path)
    text, checker = page_of(tmp_path, rows, command="python -m uda_seg compare")
    assert len(checker.addresses) == 2 * PER_SCENE
    assert all(a.startswith(("data:image/png;", "data:image/jpeg;")) for a in checker.addresses)
    assert {link.removeprefix("#") for link in checker.links} <= {"main", *checker.places}
    assert len(set(checker.places)) == len(checker.places)
    assert not re.search(r"https?://|url\(|<script|@import", text)
    assert str(tmp_path) not in text
    for row in rows:
        assert row.label in checker.text
    for part in ("A <title>", "python -m uda_seg compare", "0123456789-dirty", "torch 2.15"):
        assert part in checker.text
    assert "timm" not in checker.text
    assert "nan" not in checker.text.lower().split()


def test_page_and_table_say_the_same(tmp_path):
    rows = make_rows(tmp_path)
    _, checker = page_of(tmp_path, rows)
    cells = markdown(table_of(rows)).splitlines()[6].replace("*", "").split("|")[3:-1]
    assert len(cells) == 8
    for cell in cells:
        assert cell.strip() in checker.text


def test_a_mean_over_fewer_classes_says_so_wherever_it_stands(tmp_path):
    absent = {"last": {"step": 20, "confusion": matrix(0.5, absent=True)}}
    folders = [save_run(tmp_path / name, name, 0, 0.5, selections=absent) for name in "ab"]
    rows = [Row(one.name, one.name, [one], [scores.load(one)]) for one in folders]
    words = "mean of 2 of 3 classes; no label holds car"
    path = tmp_path / "page.html"
    write_page(path, "title", "text", [run_table(compare(rows))])
    assert path.read_text().count(words) == 4  # on both cards, above them and below the table
    assert f"* mIoU of every row: {words}." in markdown(run_table(compare(rows)))
    stored = json.loads((folders[0] / "scores.json").read_text())["selections"]["last"]
    assert (stored["miou_over"], stored["caveat"]) == (2, words)


def test_scores_of_a_part_of_the_split_say_so_wherever_they_stand(tmp_path, capsys):
    part = {"split": "val", "scored_images": 8, "split_images": 100}
    folders = [save_run(tmp_path / name, name, 0, 0.5, **part) for name in "ab"]
    found, _ = tables([read_run(folder) for folder in folders], dict.fromkeys(ROLES), "last")
    assert [table.title for table in found] == [
        "toytown → camvid (val, 8 of 100 images), 3 classes"
    ]
    words, path = "scored on 8 of 100 images", tmp_path / "page.html"
    write_page(path, "title", "text", found)
    assert path.read_text().count(words) == 4  # on both cards, above them and below the table
    assert f"* mIoU of every row: {words}." in markdown(found[0])
    assert f"mIoU of every row: {words}." in latex(found[0])
    lines = to_csv(found[0].rows, found[0].columns).splitlines()
    assert [line.rpartition(",")[2] for line in lines] == ["scored_on", *["8 of 100 images"] * 2]
    write_csv(look(folders, []), tmp_path / "sweep.csv")
    assert "scored_on" in (tmp_path / "sweep.csv").read_text()
    print_run(found[0].rows[0].runs[0])
    said = capsys.readouterr().out
    assert "IoU on 8 of 100 images of camvid" in said
    assert f"mIoU: {words}" in said


def test_page_without_pictures_and_history_leaves_them_out(tmp_path):
    rows = make_rows(tmp_path)
    for row in rows:
        row.folders = [tmp_path / "nowhere"]
        for run in row.runs:
            run["history"] = []
    _, checker = page_of(tmp_path, rows)
    assert checker.addresses == []
    assert "Before and after" not in checker.text
    assert "Learning curves" not in checker.text
    assert "Class by class" in checker.text


def test_embedding_keeps_colors_and_shrinks_what_is_wide(tmp_path):
    label = np.random.default_rng(0).integers(0, 19, (30, 40))
    colors = palette([str(i) for i in range(19)])[label]
    save(tmp_path / "000_label.png", colors)

    def opened(picture: Picture) -> Image.Image:
        code = embed(picture, WIDTHS[0]).partition(",")[2]
        return Image.open(io.BytesIO(base64.b64decode(code))).convert("RGB")

    label = Picture("label", read(tmp_path / "000_label.png"))
    assert (np.asarray(opened(label)) == colors).all()
    wide = Picture("image", np.zeros((10, 4 * WIDTHS[0], 3), np.uint8), photo=True)
    assert opened(wide).size == (WIDTHS[0], 2)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    assert read(tmp_path / "broken.png") is None
    assert read(tmp_path / "absent.png") is None


def test_errors_are_where_prediction_and_label_differ_and_there_is_a_label():
    colors = palette(["road", "car"])
    label, prediction = colors[[[0, 0], [1, 255]]], colors[[[0, 1], [1, 1]]]
    picture, share = errors(prediction, label)
    assert share == 2 / 3
    assert len({tuple(pixel) for pixel in picture.reshape(-1, 3)}) == 3
    assert (picture[0, 0] == picture[1, 0]).all()
    assert (picture[1, 1] == 0).all()
