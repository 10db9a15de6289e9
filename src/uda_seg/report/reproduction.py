"""A published table beside our runs of it: every row's paper, ours, their difference."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uda_seg.data.datasets.classes import SPACES
from uda_seg.errors import ConfigError, show, suggest
from uda_seg.evaluation.scores import select
from uda_seg.report.comparison import ROLES, Line, Row, Spread, compare, spread
from uda_seg.report.published import Mean, Origin, Published, columns_of, published_of


@dataclass(frozen=True)
class State:
    """Which of a row's runs there are.

    Attributes:
        runs: in a word or two, say `2 of 3 seeds`.
        why: some are not, or nothing.
    """

    runs: str
    why: str = ""


QUOTED = State("quoted", "quoted from the paper, no method of this project")
NOT_RUN = State("not run", "not run yet")


@dataclass(frozen=True)
class Entry:
    """A row of the table.

    Attributes:
        name: by which `rows=` and the folders call it.
        label: by which readers know it.
        backbone: as the table calls it; a row's baseline, control and oracle have the same.
        note: what else a reader must know.
        published: what the paper says.
        line: our runs, or None without a finished one.
        means: ours, by column, at the chosen checkpoint.
        best: ours in the first column at the best snapshot on target labels, or None.
        roles: of the rows with this backbone, role to name.
        state: which runs there are.
    """

    name: str
    label: str
    backbone: str
    note: str
    published: Published
    line: Line | None
    means: Mapping[str, Spread]
    best: Spread | None
    roles: Mapping[str, str | None]
    state: State

    def difference(self, column: Mean) -> float:
        """Ours minus the paper's, NaN where either is not known."""
        ours = self.means.get(column.key)
        return (ours.mean if ours else math.nan) - self.published.means[column.key].number


@dataclass(frozen=True)
class Reproduction:
    """The whole table.

    Attributes:
        title: its headline.
        text: what to know when reading it.
        paper: that it comes from, or None.
        classes: names, in the table's order.
        columns: means over classes, the most important first.
        entries: the rows.
        selection: which checkpoint of our runs counts.
    """

    title: str
    text: str
    paper: str | None
    classes: Sequence[str]
    columns: Sequence[Mean]
    entries: Sequence[Entry]
    selection: str

    @property
    def has_published(self) -> bool:
        return any(v.known for entry in self.entries for v in entry.published.means.values())

    @property
    def has_oracles(self) -> bool:
        return any(entry.published.oracle.known for entry in self.entries)

    def lines(self, backbone: str) -> list[Line]:
        """Our rows with this backbone, those with finished runs."""
        return [e.line for e in self.entries if e.line is not None and e.backbone == backbone]

    def paper_gap(self, entry: Entry) -> float | None:
        """Share of the gap that the paper's row closes, where the paper's numbers tell it."""
        by_name = {other.name: other for other in self.entries}
        ends = [by_name.get(entry.roles.get(role) or "") for role in ("baseline", "oracle")]
        key = self.columns[0].key
        if entry is ends[0] or any(end is None for end in ends):
            return None
        low, high, here = (e.published.means[key].number for e in (*ends, entry) if e is not None)
        share = 100 * (here - low) / (high - low) if high > low else math.nan
        return None if math.isnan(share) else share


def reproduction(
    table: Mapping[str, Any],
    rows: Mapping[str, Row],
    states: Mapping[str, State],
    selection: str = "last",
) -> Reproduction:
    """
    Args:
        table: the config.
        rows: by name, those with finished runs.
        states: by name, what is to be said about a row's runs.
        selection: which checkpoint of our runs counts.

    Raises:
        ConfigError: the table's config is wrong, or runs do not compare.
    """
    classes, columns = classes_of(table), columns_of(table)
    lines = _lines(table, rows, selection)
    entries = [
        Entry(
            name=name,
            label=entry["label"],
            backbone=entry["backbone"],
            note=str(entry.get("note") or ""),
            published=published_of(name, entry, table, classes),
            line=lines.get(name),
            means=_means(rows.get(name), columns, selection),
            best=_means(rows.get(name), columns[:1], "oracle_best").get(columns[0].key),
            roles=table["roles"].get(entry["backbone"]) or {},
            state=QUOTED if entry.get("overrides") is None else states.get(name, NOT_RUN),
        )
        for name, entry in _shown(table).items()
    ]
    paper = table.get("paper")
    text = " ".join([table["text"], *_encoder_updates(table, rows)])
    return Reproduction(table["title"], text, paper, classes, columns, entries, selection)


def _encoder_updates(table: Mapping[str, Any], rows: Mapping[str, Row]) -> Iterator[str]:
    """How often our runs updated their encoder: a published rate means little without it."""
    labels: dict[str, dict[str, None]] = {}
    for row in rows.values():
        for run in row.runs:
            labels.setdefault(str(run.get("encoder_updates", 1)), {})[row.label] = None
    if not table.get("paper") or not labels:
        return
    each = [f"{updates} ({', '.join(names)})" for updates, names in labels.items()]
    said = next(iter(labels)) if len(each) == 1 else "; ".join(each)
    yield f"Encoder updates of our runs (backbone.optimizer.encoder_updates): {said}."


def classes_of(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a table's classes: a space of `SPACES`, or a list of its own."""
    wanted = table["classes"]
    if isinstance(wanted, list):
        return tuple(wanted)
    if wanted not in SPACES:
        hint = f"{suggest(show(wanted), SPACES)}choose from {', '.join(SPACES)}, or list them"
        raise ConfigError(f"table.classes: {show(wanted)} unknown, {hint}")
    return SPACES[wanted]


def check_table(table: Mapping[str, Any]) -> None:
    """
    Raises:
        ConfigError: roles that are no rows, rows without backbone, numbers without origin.
    """
    rows = _shown(table)
    for backbone, roles in table["roles"].items():
        for role, name in roles.items():
            where = f"table.roles.{backbone}.{role}"
            if role not in ROLES:
                hint = f"{suggest(role, ROLES)}choose from {', '.join(ROLES)}"
                raise ConfigError(f"{where}: unknown role, {hint}")
            if name is not None and rows.get(name, {}).get("backbone") != backbone:
                known = [n for n, entry in rows.items() if entry.get("backbone") == backbone]
                hint = f"{suggest(str(name), known)}choose from {', '.join(known)}"
                raise ConfigError(f"{where}: there is no row {name} with {backbone}, {hint}")
    for name, entry in rows.items():
        for key in ("label", "backbone"):
            if not isinstance(entry.get(key), str):
                raise ConfigError(f"table.rows.{name}.{key}: is missing")
    reproduction(table, {}, {})


def footnotes(table: Reproduction) -> dict[Origin, str]:
    """A letter for every origin of the numbers in a table, in the order they are met."""
    found: dict[Origin, str] = {}
    for entry in table.entries:
        said = entry.published
        for value in (*said.means.values(), *said.iou.values(), said.oracle):
            if value.known and value.origin not in found:
                found[value.origin] = "abcdefghijklmnopqrstuvwxyz"[len(found)]
    return found


def _shown(table: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {name: entry for name, entry in table["rows"].items() if entry.get("shown", True)}


def _lines(table: Mapping[str, Any], rows: Mapping[str, Row], selection: str) -> dict[str, Line]:
    """Each backbone's rows beside their own baseline, control and oracle."""
    found: dict[str, Line] = {}
    for backbone in dict.fromkeys(entry["backbone"] for entry in _shown(table).values()):
        names = [n for n, e in _shown(table).items() if e["backbone"] == backbone and n in rows]
        roles = {role: (table["roles"].get(backbone) or {}).get(role) for role in ROLES}
        if names:
            lines = compare([rows[name] for name in names], **roles, selection=selection)
            found |= dict(zip(names, lines, strict=True))
    return found


def _means(row: Row | None, columns: Sequence[Mean], selection: str) -> dict[str, Spread]:
    if row is None or not all(selection in run["selections"] for run in row.runs):
        return {}
    return {
        column.key: spread(
            [column.of(one, run["classes"]) for run in row.runs for one in [select(run, selection)]]
        )
        for column in columns
    }
