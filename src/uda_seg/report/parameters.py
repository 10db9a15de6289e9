"""mIoU against a number that differs between rows, such as λ_adv, on a logarithmic axis."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError, suggest
from uda_seg.evaluation.scores import method_label, select
from uda_seg.report.axes import ticks
from uda_seg.report.figures import DASHES, Curve, Plot, Series, draw_curves, series_of
from uda_seg.report.labels import told, value_at
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row
from uda_seg.report.runs import overrides_of
from uda_seg.report.table import Table
from uda_seg.runs import run_folder

MOST = 3
"""Numbers that get a figure without being asked for; those with two points get none."""
DECADES = 0.7
"""The axis is logarithmic where the largest value is more than 10 to this times the smallest."""
MOST_NAMED = 8
"""Values that are written below an axis; round numbers stand there for more."""
PAPERS = ("6 3 1 3", "2 3", "10 3")
"""Dashes of published curves."""
ROOM = 3.0
"""Points of mIoU beyond the curves within which baseline and control are drawn, at least."""


@dataclass(frozen=True)
class PublishedCurve:
    """A curve from a paper.

    Attributes:
        label: what it is, with its paper.
        key: of the config, such as method.lambda_adv.
        points: value to mIoU, percent.
        origin: where the numbers stand, or how well they are recalled.
    """

    label: str
    key: str
    points: Mapping[float, float]
    origin: str = ""


@dataclass
class Family:
    """Rows that differ in one number alone (and in what follows from it)."""

    label: str
    """Of its method."""
    said: dict[str, str]
    """What else was said for its rows."""
    points: dict[float, Row] = field(default_factory=dict)


def parameter_curves(
    rows: Sequence[Row],
    selection: str,
    published: Sequence[PublishedCurve] = (),
    against: str | None = None,
) -> Part | None:
    """A figure for each number in which rows differ that are otherwise the same.

    Args:
        rows: of a table, whose run folders are there.
        selection: which checkpoint of every run counts.
        published: curves drawn beside.
        against: the one key wanted; None: those with the most points.
    """
    found = families(rows)
    if against is not None and against not in found:
        return None
    sizes = {name: sum(len(one.points) for one in members) for name, members in found.items()}
    order = sorted(found, key=lambda name: -sizes[name])
    chosen = [against] if against else [name for name in order if sizes[name] > 2][:MOST]
    if not chosen:
        return None
    figures = []
    for name in chosen:
        one = drawing(name, found[name], rows, published, selection)
        figures.append((name, one, draw_curves(one.curves, one.plot)))
    words = "Rows that differ in one number alone. Mean, lowest and highest seed."
    others = [name for name in order if name not in chosen]
    if not against and others:
        words += f" Not drawn: {', '.join(others)} (against=… draws one)."
    body = render("parameters.html", words=words, figures=figures)
    return Part("One number against mIoU", body)


def check_against(against: str | None, tables: Sequence[Table]) -> None:
    """
    Raises:
        ConfigError: no rows differ in this number alone.
    """
    if against is None:
        return
    known = list(dict.fromkeys(name for table in tables for name in families(table.rows)))
    if against not in known:
        there = f"choose from {', '.join(known)}" if known else "nor in any other"
        raise ConfigError(
            f"against={against}: no two rows differ in this number alone; "
            f"{suggest(against, known)}{there}"
        )


def families(rows: Sequence[Row]) -> dict[str, list[Family]]:
    """By the key of a number that some run was given: rows that differ in it and nothing else.

    A row that was not given it, and has it from its YAML, is among them.
    """
    given = [_Given(row) for row in rows if row.folders and math.isfinite(row.miou.mean)]
    found = {}
    for name in dict.fromkeys(name for one in given for name in one.said):
        members: dict[str, Family] = {}
        for one in given:
            value = one.number(name)
            if value is not None:
                said = {key: text for key, text in one.said.items() if key != name}
                identity = json.dumps([one.method, one.row.backbone, said], sort_keys=True)
                family = members.setdefault(identity, Family(method_label(one.run["method"]), said))
                family.points[value] = one.row
        several = [family for family in members.values() if len(family.points) > 1]
        if several:
            found[name] = several
    return found


class _Given:
    """A row with what its first run was given."""

    def __init__(self, row: Row) -> None:
        self.row, self.run = row, row.runs[0]
        self.method = str(self.run["method"]["name"])
        folder = Path(row.folders[0])
        self.said = told(overrides_of(folder))
        self.config = run_folder.stored_config(folder) or {}

    def number(self, name: str) -> float | None:
        value: Any = value_at(self.config, name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if number else None


def _labels(members: Sequence[Family]) -> list[str]:
    """The method, and what tells the family from the others."""
    keys = dict.fromkeys(key for family in members for key in family.said)
    differing = [key for key in keys if len({family.said.get(key) for family in members}) > 1]
    return [
        ", ".join([
            family.label,
            *(f"{k.rpartition('.')[2]} {family.said[k]}" for k in differing if k in family.said),
        ])
        for family in members
    ]  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A figure of mIoU against a number, and what is said beside it.

    Attributes:
        curves: ours, published ones, and baseline and so on as level lines.
        plot: how they are drawn.
        rows: label, value and mIoU of each point.
        beyond: rows that would have flattened the curves, in words.
    """

    curves: list[Curve]
    plot: Plot
    rows: list[list[str]]
    beyond: list[str]


def drawing(
    name: str,
    members: Sequence[Family],
    rows: Sequence[Row],
    published: Sequence[PublishedCurve],
    selection: str,
    connected: bool = True,
) -> Drawing:
    """
    Args:
        name: key of the number.
        members: rows that differ in it.
        rows: of the table they are from.
        published: curves drawn beside, of those with this key.
        selection: which checkpoint of every run counts.
        connected: whether points make a curve; those of rows that differ in more do not.
    """
    papers = [one for one in published if one.key == name]
    values = sorted({v for family in members for v in family.points} | {
        v for paper in papers for v in paper.points
    })  # fmt: skip
    places = axis(values)
    curves, numbers = [], []
    looks = series_of(_labels(members), [None] * len(members))
    for look, family in zip(looks, members, strict=True):
        points = {value: family.points[value] for value in sorted(family.points)}
        runs = _seeds(points, places, selection)
        # A run of one point is a dot; of several runs that differ in x, each is drawn by itself.
        curves.append(Curve(look, runs if connected else [[dot] for run in runs for dot in run]))
        numbers += [[look.label, f"{v:g}", row.miou.text()] for v, row in points.items()]
    for paper in papers:
        look = Series(paper.label, "var(--ink, #333)", PAPERS[papers.index(paper) % len(PAPERS)])
        line = [(places[value], paper.points[value]) for value in sorted(paper.points)]
        curves.append(Curve(look, [line]))
        origin = f" ({paper.origin})" if paper.origin else ""
        numbers += [
            [paper.label + origin, f"{v:g}", f"{paper.points[v]:.1f}"] for v in paper.points
        ]
    beside, beyond = _references(rows, curves, (min(places.values()), max(places.values())))
    names = {place: f"{value:g}" for value, place in places.items()}
    plot = Plot(
        name,
        "target mIoU, percent",
        f"mIoU against {name}",
        (760, 360),
        x_names=names,
        x_ticks=round_names(places) if len(values) > MOST_NAMED else None,
    )
    return Drawing([*curves, *beside], plot, numbers, beyond)


def _references(
    rows: Sequence[Row], curves: Sequence[Curve], ends: tuple[float, float]
) -> tuple[list[Curve], list[str]]:
    """Baseline, control and oracle as level lines, or in words where they would flatten a curve."""
    heights = [y for curve in curves for run in curve.runs for _, y in run]
    low, high = min(heights), max(heights)
    room = max(high - low, ROOM)
    beside, beyond = [], []
    for row in rows:
        miou = row.miou.mean
        if row.role is None or not math.isfinite(miou):
            continue
        if low - room <= miou <= high + room:
            look = Series(row.label, f"var(--{row.role}, #777)", DASHES[row.role])
            beside.append(Curve(look, [[(end, miou) for end in ends]]))
        else:
            beyond.append(f"{row.label} {row.miou.text()}")
    return beside, beyond


def _seeds(points: Mapping[float, Row], places: Mapping[float, float], selection: str) -> list:
    """Runs of a curve whose mean, lowest and highest are those of the seeds of every value."""
    mious = {
        value: sorted(select(run, selection)["miou"] for run in row.runs)
        for value, row in points.items()
    }
    most = max(map(len, mious.values()))
    # Where there are fewer seeds, the mean fills up: it moves neither mean nor edge.
    full = {v: [*m, *[points[v].miou.mean] * (most - len(m))] for v, m in mious.items()}
    return [[(places[value], full[value][seed]) for value in points] for seed in range(most)]


def axis(values: Sequence[float]) -> dict[float, float]:
    """Where values lie along an axis: by their logarithm if they span decades, zero left of all."""
    above = [value for value in values if value > 0]
    spans = len(above) > 1 and math.log10(max(above) / min(above)) > DECADES
    if not spans or min(values) < 0:
        return {value: value for value in values}
    least = math.log10(min(above))
    gap = 0.25 * (math.log10(max(above)) - least)
    return {value: math.log10(value) if value > 0 else least - gap for value in values}


def round_names(places: Mapping[float, float]) -> dict[float, str]:
    """Round numbers along an axis, for more values than can be named; places as `axis` has them."""
    values = sorted(places)
    if all(place == value for value, place in places.items()):
        inside = [v for v in ticks(values[0], values[-1], 7) if values[0] <= v <= values[-1]]
        return {value: f"{value:g}" for value in inside}
    above = [value for value in values if value > 0]
    low, high = math.log10(above[0]), math.log10(above[-1])
    factors = (1, 2, 5) if high - low < 3 else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    marks = [factor * 10.0**power for power in powers for factor in factors]
    names = {math.log10(m): f"{m:g}" for m in marks if above[0] <= m * 1.001 and m <= above[-1]}
    return names | {places[0]: "0"} if 0 in places else names
