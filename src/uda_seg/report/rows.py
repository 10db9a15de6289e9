"""Rows of tables: runs that differ in their seed, their means, and what they gain on others."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.errors import ConfigError
from uda_seg.evaluation.measures import mean
from uda_seg.evaluation.scores import select, split_scored
from uda_seg.report.published import UNPUBLISHED, Mean, Published

ROLES = ("baseline", "control", "oracle")


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; None with one seed."""

    mean: float
    deviation: float | None = None

    def text(self, sign: bool = False) -> str:
        if math.isnan(self.mean):
            return "–"
        figure = f"{self.mean:+.1f}" if sign else f"{self.mean:.1f}"
        return figure if self.deviation is None else f"{figure} ± {self.deviation:.1f}"


def spread(values: Sequence[float]) -> Spread:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Spread(math.nan)
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


@dataclass(eq=False)
class Row:
    """Runs that differ in their seed alone, and what a paper says of them.

    Attributes:
        name: by which roles, folders and the command line call it.
        label: by which readers know it.
        folders: run folders, in the order of `runs`.
        runs: what `scores.load` gave; empty for a row that was not run.
        selection: which checkpoint of every run counts.
        beside: role to row, of the rows it compares with; itself where it plays a role.
        network: as a published table calls it; rows with another one do not compare.
        published: what a paper says.
        note: what else a reader must know.
        state: which of its runs there are, say `2 of 3`; nothing where nobody asked for more.
        why: some of its runs are not there, or nothing.
    """

    name: str
    label: str
    folders: list[Path] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    selection: str = "last"
    beside: Mapping[str, "Row"] = field(default_factory=dict, repr=False)
    network: str = ""
    published: Published = UNPUBLISHED
    note: str = ""
    state: str = ""
    why: str = ""

    @property
    def role(self) -> str | None:
        return next((role for role in reversed(ROLES) if self.beside.get(role) is self), None)

    @property
    def backbone(self) -> str:
        return self.network or (str(self.runs[0]["backbone"]) if self.runs else "")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run["seed"] for run in self.runs)

    @cached_property
    def chosen(self) -> list[dict[str, Any]]:
        """The selection of every run."""
        return [select(run, self.selection) for run in self.runs]

    @cached_property
    def iou(self) -> dict[str, float]:
        """Class to IoU, the mean over the seeds in which the class occurs."""
        names = self.runs[0]["classes"] if self.runs else ()
        return {name: mean(np.array([one["iou"][name] for one in self.chosen])) for name in names}

    @property
    def miou(self) -> Spread:
        return self.measure("miou")

    def measure(self, key: str) -> Spread:
        """A measure or a protocol; older runs have fewer protocols."""
        return spread([one["protocols"].get(key, one.get(key, math.nan)) for one in self.chosen])

    def average(self, over: Mean) -> Spread:
        return spread([over.of(one, self.runs[0]["classes"]) for one in self.chosen])

    def last(self, name: str) -> float:
        """The mean of what the last validations of its runs kept under a name."""
        entries = [(run["history"] or [{}])[-1] for run in self.runs]
        return spread([e[name] for e in entries if e.get(name) is not None]).mean

    def at(self, selection: str) -> "Row":
        """The row at another checkpoint; without runs where not all of them have it."""
        have = all(selection in run["selections"] for run in self.runs)
        return replace(self, runs=self.runs if have else [], selection=selection)

    @property
    def over_baseline(self) -> Spread | None:
        return None if self.role == "baseline" else self._over("baseline")

    @property
    def over_control(self) -> Spread | None:
        return None if self.role in ("baseline", "control") else self._over("control")

    def _over(self, role: str) -> Spread | None:
        """Seed by seed where the seeds are the same, else between the means."""
        other = self.beside.get(role)
        if other is None or not self.runs or not other.runs:
            return None
        if set(self.seeds) != set(other.seeds):
            return Spread(self.miou.mean - other.miou.mean)
        theirs = dict(zip(other.seeds, other.chosen, strict=True))
        pairs = zip(self.seeds, self.chosen, strict=True)
        return spread([one["miou"] - theirs[seed]["miou"] for seed, one in pairs])

    @property
    def gap_closed(self) -> float | None:
        return self._gap_closed(lambda row: row.miou.mean)

    def paper_gap_closed(self, column: Mean) -> float | None:
        """Share of the gap that the paper's row closes, where the paper's numbers tell it."""
        return self._gap_closed(lambda row: row.published.mean(column.key).number)

    def _gap_closed(self, of: Callable[["Row"], float]) -> float | None:
        if self.role == "baseline" or not {"baseline", "oracle"} <= self.beside.keys():
            return None
        low, high, here = map(of, (self.beside["baseline"], self.beside["oracle"], self))
        share = 100 * (here - low) / (high - low) if high > low else math.nan
        return None if math.isnan(share) else share

    @property
    def caveats(self) -> list[str]:
        """Why mIoU is no mean over all classes, or of no whole split, where it is so."""
        return list(dict.fromkeys(one["caveat"] for one in self.chosen if one["caveat"]))


def compare(
    rows: Sequence[Row],
    baseline: str | None = None,
    control: str | None = None,
    oracle: str | None = None,
    selection: str = "last",
) -> list[Row]:
    """The rows beside each other, in their order.

    Args:
        rows: with loaded scores; those without runs compare with nothing.
        baseline: name of the row without adaptation; None, or a row that is not among `rows`,
            leaves the columns out that need it.
        control: name of the row with the method's weights at zero.
        oracle: name of the row trained on target labels.
        selection: which checkpoint of every run counts.

    Raises:
        ConfigError: rows were not scored on the same images and classes, or have a seed twice.
    """
    _check(rows)
    beside: dict[str, Row] = {}
    related = [replace(row, selection=selection, beside=beside) for row in rows]
    names = {row.name: row for row in related}
    for role, name in zip(ROLES, (baseline, control, oracle), strict=True):
        if name is not None and name in names:
            beside[role] = names[name]
    for row in related:
        row.chosen  # noqa: B018  (a checkpoint that is not there is told now)
    return related


def _check(rows: Sequence[Row]) -> None:
    first = next((row for row in rows if row.runs), None)
    for row in rows:
        if twice := {seed for seed in row.seeds if row.seeds.count(seed) > 1}:
            raise ConfigError(f"{row.label}: two runs with seed {min(twice)}; give each once")
        for run in row.runs:
            ours, theirs = _scored_on(run), _scored_on(first.runs[0] if first else run)
            for key, value in ours.items():
                if value != theirs[key]:
                    raise ConfigError(
                        f"{row.label}: scored on {key}={value}, but {first.label} on "
                        f"{theirs[key]}; such numbers do not compare"
                    )


def _scored_on(run: Mapping[str, Any]) -> dict[str, Any]:
    return {"target": run["target"], "split": split_scored(run), "classes": run["classes"]}
