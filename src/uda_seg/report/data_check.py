"""What `data check` found, as it stands in check.json, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from uda_seg.images.pictures import color_of
from uda_seg.report.class_chart import class_chart, length, percent

SHOWN = 5
"""Problems of a split that are shown one by one."""
MOST = 10
"""Dropped classes of a side that the table shows; the chart has all."""
BAR = 10
"""Characters of a bar."""
BOX = box.SIMPLE_HEAD
"""Narrow enough for 80 columns."""
LABELS = {None: "–", "opened": "opened", "none": "none", "left": "not opened"}


def print_check(check: Mapping[str, Any], console: Console) -> None:
    """Classes, then problems and notes, then the summary: what matters most stands last."""
    if any(check["amounts"].values()):
        console.print(class_table(check))
    for domain in ("source", "target"):
        names = check["dropped"][domain]
        if names:
            words = f"dropped from {check[domain]}, as the other has no such class: "
            console.print(Text(words + ", ".join(names)))
    for line in remarks(check):
        console.print(line, soft_wrap=True, highlight=False)
    console.print(summary(check))


def class_table(check: Mapping[str, Any]) -> Table:
    """A row a class, common ones first: a bar, the share of pixels, and labels that hold it."""
    table = Table(
        title="% of pixels (logarithmic bars), and of labels that hold the class", box=BOX
    )
    table.add_column("class", no_wrap=True)
    sides = [domain for domain in ("source", "target") if check["amounts"][domain]]
    for domain in sides:
        table.add_column(
            Text(f"{domain}\n{check[domain]}"), min_width=BAR, max_width=BAR + 4, overflow="fold"
        )
        table.add_column("\npixels", justify="right", no_wrap=True, min_width=6)
        table.add_column("\nlabels", justify="right", no_wrap=True, min_width=6)
    for place, names in enumerate(sections(check).values()):
        if names and place:
            table.add_section()
        for name in names[: MOST if place else None]:
            cells: list[Any] = []
            for domain in sides:
                amount = check["amounts"][domain].get(name)
                cells += _amount(amount, check["labels"][domain]) if amount else ["–", "", ""]
            table.add_row(_named(name), *cells)
        if place and len(names) > MOST:
            table.add_row(Text(f"and {len(names) - MOST} more", "dim"))
    return table


def sections(check: Mapping[str, Any]) -> dict[str, list[str]]:
    """Headings and classes: the common ones, then those dropped on either side, largest first."""
    found = {"common classes": list(check["classes"] or ())}
    for domain in ("source", "target"):
        held, names = check["amounts"][domain], check["dropped"][domain]
        names = sorted(names, key=lambda name: -held[name]["share"]) if held else names
        found[f"only in {check[domain]} ({domain}), dropped"] = names
    if check["classes"] is None:
        every = dict.fromkeys([*check["amounts"]["source"], *check["amounts"]["target"]])
        found = {"classes": list(every)}
    return found


def chart(check: Mapping[str, Any]) -> str:
    """The SVG of both domains' classes."""
    series = {
        f"{domain} {check[domain]}": {n: a["share"] for n, a in check["amounts"][domain].items()}
        for domain in ("source", "target")
        if check["amounts"][domain]
    }
    return class_chart("Share of pixels", sections(check), series)


def remarks(check: Mapping[str, Any]) -> Iterator[Text]:
    """Problems and notes, one line each."""
    for problem in check["unfit"]:
        yield Text.assemble(("problem  ", "bold red"), problem)
    for split in check["splits"]:
        head = f"{split['domain']} {split['name']} {split['split']}: "
        color = "bold red" if split["trained_on"] else "bold yellow"
        for problem in split["problems"][:SHOWN]:
            yield Text.assemble(("problem  ", color), (head, "bold"), problem)
        more = len(split["problems"]) - SHOWN
        if more > 0:
            where = f"and {more} more problems, see problems.txt"
            yield Text.assemble(("problem  ", color), (head, "bold"), where)
        for note in split["notes"]:
            yield Text.assemble(("note     ", "bold cyan"), (head, "bold"), note)


def all_problems(check: Mapping[str, Any]) -> list[str]:
    """Every problem, with the split it was found in."""
    return check["unfit"] + [
        f"{split['domain']} {split['name']} {split['split']}: {problem}"
        for split in check["splits"]
        for problem in split["problems"]
    ]


def summary(check: Mapping[str, Any]) -> Table:
    """A column a split, a row a fact."""
    splits = check["splits"]
    table = Table(title="summary", box=BOX)
    table.add_column("", no_wrap=True)
    for split in splits:
        use = "" if split["split"] == split["used_as"] else f"\nas {split['used_as']}"
        name = Text(f"{split['domain']}\n{split['name']}\n{split['split']}{use}")
        table.add_column(name, justify="right", overflow="fold")
    for fact, cells in _facts(splits):
        table.add_row(fact, *(Text(cell) for cell in cells))
    table.add_row("verdict", *map(_verdict, splits))
    return table


def _facts(splits: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    def row(key: str) -> list[str]:
        return ["–" if split[key] is None else str(split[key]) for split in splits]

    yield "samples", row("samples")
    yield "looked at", row("looked_at")
    if any(split["known_already"] for split in splits):
        yield "known already", row("known_already")
    yield "labels", [LABELS[split["labels"]] for split in splits]
    yield "width x height", [split["sizes"] for split in splits]
    yield "files missing", row("missing")
    yield "unusable files", row("unusable")
    yield "ids without name", row("unnamed")
    for processes in sorted({p for split in splits for p in split["images_per_second"]}, key=int):
        words = "process" if processes == "1" else "processes"
        speeds = [split["images_per_second"].get(processes) for split in splits]
        yield f"images/s, {processes} {words}", [_rate(speed) for speed in speeds]


def _rate(speed: float | None) -> str:
    return "–" if speed is None else f"{speed:.0f}" if speed >= 10 else f"{speed:.1f}"


def _verdict(split: Mapping[str, Any]) -> Text:
    count = len(split["problems"])
    if not count:
        return Text("ok", "bold green")
    words = f"{count} problem" + ("s" if count > 1 else "")
    if split["trained_on"]:
        return Text(words, "bold red")
    return Text(f"{words}, but no run reads it", "bold yellow")


def _amount(amount: Mapping[str, Any], labels: int) -> list[Any]:
    bar = ProgressBar(1.0, length(amount["share"]), width=BAR, finished_style="bar.complete")
    return [bar, percent(amount["share"]), percent(amount["images"] / labels)]


def _named(name: str) -> Text:
    red, green, blue = color_of(name)
    return Text.assemble(("■ ", f"rgb({red},{green},{blue})"), name)
