"""Tables and page of a retrieval."""

import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from uda_seg.images import pictures
from uda_seg.retrieval.retrieval_page import write_page
from uda_seg.retrieval.tables import directions, grid, legend, print_result, table_of


def row(
    run: str, over: str | None, metric: str, k: int | None, value: float | None, **more
) -> dict:
    return {
        "queries": "source",
        "gallery": "target",
        "descriptor": "features",
        "run": run,
        "over": over,
        "metric": metric,
        "k": k,
        "asked": 4,
        "value": value,
        "half_width": None,
        "chance": 10.0,
        "blind": 15.0,
        "best": 90.0,
    } | more


def result(rows: list[dict]) -> dict:
    side = {"split": "val", "images": 4, "of": 9, "labels": True}
    return {
        "source": {"name": "a<town>", **side},
        "target": {"name": "b", **side},
        "classes": ["road", "sky"],
        "k": [1, 5],
        "relevant": 0.1,
        "judged": True,
        "runs": [{"label": "before", "steps": 3}, {"label": "after", "steps": 4}],
        "rows": rows,
    }


ROWS = [
    row("before", None, "precision", 1, 20.0),
    row("before", None, "precision", 5, 30.0),
    row("before", None, "layout", 1, 40.0),
    row("before", None, "layout", 5, None, chance=None),
    row("after", None, "precision", 1, 26.0),
    row("after", None, "precision", 5, 31.0),
    row("after", "before", "precision", 1, 6.0, half_width=5.0),
    row("after", "before", "precision", 5, 1.0, half_width=1.5),
]


def test_a_line_has_chance_first_and_the_best_last():
    found = result(ROWS)
    assert directions(found) == [("source", "target")]
    heads, lines = grid(found, ("source", "target"))
    assert heads == ["chance", "blind", "before", "after", "after − before", "best"]
    assert [(line.descriptor, line.metric) for line in lines] == [
        ("features", "P@1"),
        ("features", "P@5"),
        ("features", "layout@5"),
    ]
    assert lines[0].cells == ("10.0", "15.0", "20.0", "26.0", "+6.0 ± 5.0", "90.0")
    assert lines[0].clear == (False, False, False, False, True, False)
    assert lines[1].cells == ("10.0", "15.0", "30.0", "31.0", "+1.0 ± 1.5", "90.0")
    assert not any(lines[1].clear)
    assert lines[2].cells == ("–", "15.0", "–", "–", "–", "90.0")


def test_the_terminal_shows_all_of_it_in_80_columns():
    found, text = result(ROWS), io.StringIO()
    print_result(found, Console(file=text, width=80))
    for words in ("a<town>", "features", "+6.0 ± 5.0", "90.0"):
        assert words in text.getvalue()
    for name in legend(found):
        assert name in text.getvalue()


@pytest.mark.parametrize("runs", [6, 12])
def test_no_column_is_lost_where_there_is_no_room(runs):
    labels = [f"a_method_of_a_long_name_{number}" for number in range(runs)]
    rows = [row(label, None, "precision", k, 100.0) for label in labels for k in (1, 5)]
    rows += [
        row(labels[-1], label, "precision", k, -100.0, half_width=10.0)
        for label in labels[:2]
        for k in (1, 5)
    ]
    found, text = result(rows), io.StringIO()
    found["runs"] = [{"label": label} for label in labels]
    print_result(found, Console(file=text, width=80))
    line = next(line for line in text.getvalue().splitlines() if "P@1" in line)
    assert line.split() == ["features", "P@1", "10.0", "15.0", *["100.0"] * runs, "90.0"]
    assert text.getvalue().count("-100.0 ± 10.0") == 4


def test_csv_leaves_out_what_does_not_apply():
    lines = table_of(ROWS).splitlines()
    assert lines[0].startswith("queries,gallery,descriptor,run,over,metric,k")
    assert lines[4].endswith(",layout,5,4,,,,15.0,90.0")
    assert len(lines) == 1 + len(ROWS)
    assert table_of([]) == ""


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.images: list[dict] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "img":
            self.images.append(dict(attrs))


def test_the_page_is_one_file_with_the_strips_of_its_direction(tmp_path: Path):
    drawn = []
    for name in ("source_000_features", "target_000_features"):
        drawn.append(tmp_path / f"{name}.png")
        pictures.save(drawn[-1], np.full((30, 2000, 3), 90, np.uint8))
    write_page(tmp_path / "index.html", result(ROWS), drawn)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    reader = Texts()
    reader.feed(page)
    for words in ("a<town>", "+6.0 ± 5.0", "best", "Green frame: relevant; orange: not."):
        assert any(words in text for text in reader.texts)
    assert [image["alt"] for image in reader.images] == ["source_000_features"]
    assert reader.images[0]["src"].startswith("data:image/jpeg;base64,")
    assert "http" not in page
    assert str(tmp_path) not in page


def test_a_page_without_strips_has_no_place_for_them(tmp_path: Path):
    write_page(tmp_path / "index.html", result(ROWS), [])
    assert "nearest first" not in (tmp_path / "index.html").read_text(encoding="utf-8")
