"""Overrides as text: what is quoted is read back, by Hydra and by a shell before it."""

import shlex
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from uda_seg.runs.quoting import as_text, setting, typed, where_needed

ODD = [
    "a,b", r"C:\data\x", "a'b", "trailing\\", r"a\'b", r"a\,b", "bücher", "my pics", "[x]", "{a}",
    "a=b", "c#1", "$HOME", 'a"b', "\\", r"\\server\x", "`x`", "日本", "2024", "null", "glob(*)",
]  # fmt: skip


def read(line: str) -> object:
    return OverridesParser.create().parse_override(line).value()


@pytest.mark.parametrize("text", ODD)
def test_what_is_quoted_is_read_back(text: str) -> None:
    assert read(setting("k", text)) == text
    (word,) = shlex.split(typed("k", text).replace("\\$", "$").replace("\\`", "`"))
    assert read(word) == text


def test_quotes_stand_only_where_they_are_needed() -> None:
    assert where_needed("outputs/run-1_x.ckpt") == "outputs/run-1_x.ckpt"
    for text in ODD:
        assert read(f"k={where_needed(text)}") == text


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("root=~/pics", "~/pics"),
        ("root=bücher", "bücher"),
        ("root=a=b", "a=b"),
        ("input=drives/[ab].png", "drives/[ab].png"),
        ("runs=[~/a,outputs/b,5]", ["~/a", "outputs/b", 5]),
    ],
)
def test_what_hydra_cannot_read_is_text(argument: str, value: object) -> None:
    text = as_text(argument, multirun=False)
    assert text is not None
    assert read(text) == value


@pytest.mark.parametrize("argument", ["root", "a=[1", "a={b: c", "a=${b", "a='b", "a b=c"])
def test_half_a_value_is_not_taken_for_text(argument: str) -> None:
    assert as_text(argument, multirun=False) is None


def test_commas_part_values_of_a_sweep() -> None:
    override = OverridesParser.create().parse_override(str(as_text("root=~/a,ü", multirun=True)))
    assert [element.text for element in override.value().list] == ["~/a", "ü"]


def test_a_path_with_a_backslash_reaches_a_run_of_a_comparison() -> None:
    from pathlib import Path

    from uda_seg.experiments.rows import Job

    folder = Path(r"runs\a'b,c")
    line = Job("row", 0, 1, folder, (), None, 1.0).command()
    (run_dir,) = [word for word in line if word.startswith("hydra.run.dir=")]
    assert line[0] == sys.executable
    assert read(run_dir) == str(folder)
