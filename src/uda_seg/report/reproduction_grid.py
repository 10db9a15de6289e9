"""The cells of a published table beside ours, before any format is chosen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uda_seg.report.comparison import SHORT, Spread
from uda_seg.report.published import Origin, Value
from uda_seg.report.reproduction import Entry, Reproduction, footnotes

LEGEND = {
    "paper": "published, percent; letters tell from where, † marks what is recalled, not read",
    "ours": "mean ± standard deviation over seeds, at {selection}",
    "ours, best": "the same at the best snapshot on target labels, as papers count (an oracle's "
    "choice)",
    "difference": "ours minus the paper's",
    "paper's oracle": "the same network trained on target labels, as the paper says",
    "over source only": "ours: gain over the row without adaptation of the same network",
    "over control": "ours: gain over adaptive batch norm alone, the method's own",
    "gap closed": "ours: (mIoU − source only) / (oracle − source only)",
    "gap closed, paper": "the paper's numbers: (mIoU − source only) / (oracle − source only)",
    "?": "not known to us; never a guess",
    "–": "not run, or does not apply",
}


@dataclass(frozen=True)
class Cell:
    """Of a table.

    Attributes:
        text: what stands there.
        letter: of its footnote, or nothing.
        recalled: the number is not read, but remembered.
    """

    text: str
    letter: str = ""
    recalled: bool = False


DASH = Cell("–")


def sums(table: Reproduction) -> tuple[list[str], list[list[Cell]]]:
    """Heads and rows of the table of means: only the columns that apply."""
    letters, entries = footnotes(table), table.entries
    columns: dict[str, list[Cell]] = {"": [Cell(entry.label) for entry in entries]}
    if len({entry.backbone for entry in entries}) > 1:
        columns["network"] = [Cell(entry.backbone) for entry in entries]
    for column in table.columns:
        before = f"{column.label}: " if len(table.columns) > 1 else ""
        papers = [entry.published.means[column.key] for entry in entries]
        known = any(value.known for value in papers)
        if known:
            columns[f"{before}paper"] = [published(value, letters) for value in papers]
        columns[f"{before}ours"] = [_spread(entry.means.get(column.key)) for entry in entries]
        if known:
            gaps = [entry.difference(column) for entry in entries]
            columns[f"{before}difference"] = [_signed(gap) for gap in gaps]
    columns |= _more(table, letters)
    columns["runs"] = [Cell(entry.state.runs) for entry in entries]
    return list(columns), [list(row) for row in zip(*columns.values())]


def _more(table: Reproduction, letters: Mapping[Origin, str]) -> dict[str, list[Cell]]:
    """The columns that are left out where no row has anything in them."""
    entries = table.entries
    found = {}
    if table.selection != "oracle_best":
        found["ours, best"] = [_spread(entry.best) for entry in entries]
    found["paper's oracle"] = [
        published(e.published.oracle, letters) if e.published.oracle.known else DASH
        for e in entries
    ]
    for head, name in (("over source only", "over_baseline"), ("over control", "over_control")):
        gains = [getattr(entry.line, name, None) for entry in entries]
        found[head] = [_spread(gain, sign=True) for gain in gains]
    shares = [entry.line.gap_closed if entry.line else None for entry in entries]
    found["gap closed"] = [_percent(share) for share in shares]
    found["gap closed, paper"] = [_percent(table.paper_gap(entry)) for entry in entries]
    return {head: cells for head, cells in found.items() if any(c != DASH for c in cells)}


def classes(table: Reproduction) -> tuple[list[str], list[list[Cell]]]:
    """Heads and rows of the table of classes: a line for the paper and one for ours."""
    letters = footnotes(table)
    heads = ["", "of", *(SHORT.get(name, name) for name in table.classes)]
    rows = []
    for entry in table.entries:
        theirs = [entry.published.iou[name] for name in table.classes]
        label, origins = Cell(full_label(table, entry)), {v.origin for v in theirs if v.known}
        if len(origins) == 1:  # told once
            origin = origins.pop()
            paper = Cell("paper", letters[origin], origin.kind == "recalled")
            rows.append([label, paper, *(Cell(published(v, letters).text) for v in theirs)])
        elif origins:
            rows.append([label, Cell("paper"), *(published(v, letters) for v in theirs)])
        if entry.line is not None:
            iou = entry.line.iou
            ours = [iou.get(name, math.nan) for name in table.classes]
            rows.append([label, Cell("ours"), *map(_number, ours)])
    return heads, rows


def not_run(table: Reproduction) -> dict[str, list[str]]:
    """Why rows have not all of their runs, and which rows."""
    found: dict[str, list[str]] = {}
    for entry in table.entries:
        if entry.state.why:
            found.setdefault(entry.state.why, []).append(full_label(table, entry))
    return found


def notes(table: Reproduction) -> list[tuple[str, str]]:
    """What else is to be known of single rows."""
    said = [(full_label(table, entry), entry.note) for entry in table.entries if entry.note]
    for entry in table.entries:
        if entry.line is not None and entry.line.caveats:
            said.append((f"our {full_label(table, entry)}", "; ".join(entry.line.caveats)))
    return said


def legend(table: Reproduction, heads: Sequence[str], selection: str) -> dict[str, str]:
    """What heads and signs mean, those that are there."""
    shown = {head.rpartition(": ")[2] for head in heads}
    shown |= {cell.text for row in sums(table)[1] for cell in row if cell.text in "?–"}
    known = {name: text for name, text in LEGEND.items() if name in shown}
    return {name: text.format(selection=selection) for name, text in known.items()}


def published(value: Value, letters: Mapping[Origin, str]) -> Cell:
    if not value.known:
        return Cell("?")
    text = f"{value.number:.2f}".rstrip("0")
    text += "0" if text.endswith(".") else ""
    return Cell(text, letters[value.origin], value.origin.kind == "recalled")


def full_label(table: Reproduction, entry: Entry) -> str:
    """With its network, where there are several."""
    several = len({other.backbone for other in table.entries}) > 1
    return f"{entry.label} ({entry.backbone})" if several else entry.label


def _spread(value: Spread | None, sign: bool = False) -> Cell:
    return DASH if value is None or math.isnan(value.mean) else Cell(value.text(sign))


def _number(value: float) -> Cell:
    return DASH if math.isnan(value) else Cell(f"{value:.1f}")


def _signed(value: float) -> Cell:
    return DASH if math.isnan(value) else Cell(f"{value:+.1f}")


def _percent(share: float | None) -> Cell:
    return DASH if share is None else Cell(f"{share:.0f} %")
