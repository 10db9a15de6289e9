"""Answers as text that is the same on every machine and in every run."""

import json
import os
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import uda_seg

APPROVED = Path(__file__).parent
CHECKOUT = APPROVED.parents[1]
RENEW = bool(os.environ.get("RENEW_GOLDEN"))
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?")
TEXTS = ("title", "desc", "text", "tspan")
SHOWN = ("alt", "class", "colspan", "href", "id", "open", "rowspan", "scope", "title")


def approve(name: str, text: str, measured: bool = False) -> None:
    """Compares a text with the approved one, or writes it there.

    `measured`: it holds numbers that no two machines have in common.
    """
    path, text = APPROVED / name, steady(text, Path.cwd()).rstrip("\n") + "\n"
    text = without_measures(text) if measured else text
    if RENEW:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), f"{name} was never approved: see tests/golden/README.md"
    wrong = differences(path.read_text(encoding="utf-8"), text)
    assert not wrong, f"{name}: users would see\n" + "\n".join(wrong[:20])


def steady(text: str, place: Path) -> str:
    """Without what differs from one run, day or machine to the next."""
    for path, name in ((sys.executable, "PYTHON"), (place, "PLACE"), (CHECKOUT, "CHECKOUT")):
        text = text.replace(str(path), name)
    text = re.sub(r"\d{4}-\d\d-\d\d([ T_/]\d\d[:-]\d\d([:-]\d\d)?([.,]\d+)?)?", "DATE", text)
    text = text.replace(f"uda-seg {uda_seg.__version__}", "uda-seg VERSION")
    return re.sub(r"[ \t]+\n", "\n", text.expandtabs())


def without_measures(text: str) -> str:
    """Without what a trained or random network, a clock and a disk give, and its room."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "HASH", text)
    text = re.sub(r"^Versions: .*", "Versions: #", text, flags=re.M)
    text = re.sub(r"images/s, .*", lambda row: re.sub(r"\d+", "#", row[0]), text)
    text = re.sub(r"(?<![\w.])-?\d+(\.\d+)+(e[+-]?\d+)?", "#", text)
    text = re.sub(r"\d+(?= (s|images a second|images/s|classes occur)\b)", "#", text)
    text = text.replace("# * ", "# ").replace("# † ", "# ")
    return re.sub(r"(━)[━╸]*|(─)─*|( ) +", r"\1\2\3", text)


def differences(approved: str, now: str) -> list[str]:
    """Lines that differ by more than one in the last digit of a number."""
    old, new = approved.splitlines(), now.splitlines()
    wrong = [
        f"line {number}\n  - {a}\n  + {b}"
        for number, (a, b) in enumerate(zip(old, new), 1)
        if a != b and not _nearly(a, b)
    ]
    if len(old) != len(new):
        wrong.append(f"{len(old)} lines were approved, now there are {len(new)}")
    return wrong


def _nearly(one: str, other: str) -> bool:
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    for a, b in zip(NUMBER.findall(one), NUMBER.findall(other)):
        digits = len(a.partition("e")[0].partition(".")[2])
        if a != b and ("." not in a or abs(float(a) - float(b)) > 1.01 * 10**-digits):
            return False
    return True


class Skeleton(HTMLParser):
    """A page's tags and words, one a line; of pictures only that they are there.

    What a reader sees stays: the drawing of a figure goes, its words stay.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "br", "hr", "input", "col"):
            self.inside.append(tag)
        if "svg" in self.inside[:-1]:
            return
        shown = [f' {key}="{value}"' for key, value in sorted(attrs) if key in SHOWN]
        if any(key == "src" and (value or "").startswith("data:") for key, value in attrs):
            shown.append(" (embedded picture)")
        self.lines.append(f"<{tag}{''.join(shown)}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_endtag(self, tag: str) -> None:
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()
        if "svg" not in self.inside and tag in ("table", "section", "svg", "details", "figure"):
            self.lines.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        words = " ".join(data.split())
        drawing = "svg" in self.inside and not {*TEXTS} & {*self.inside}
        if words and "style" not in self.inside and not drawing:
            self.lines.append(words)


def skeleton(page: str) -> str:
    """Neighboring words and cells share a line."""
    text = "\n".join(Skeleton(page).lines)
    return re.sub(r"\n(?!<(?:h\d|p|tr|table|section|figure|svg|div|pre|details|li|/))", " ", text)


def listing(folder: Path) -> str:
    """Names of all files below a folder."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return "\n".join(files) + "\n"


def shape(value: Any) -> Any:
    """A JSON value with `#` for the numbers that a training gave; of a list its first element."""
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return f"a list of {len(value)}: {json.dumps(shape(value[0]))}" if value else []
    return "#" if isinstance(value, float) else value
