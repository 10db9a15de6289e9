"""Runs side by side: means over seeds, gains over the baseline and the control, gap closed."""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.errors import ConfigError
from uda_seg.evaluation.measures import mean
from uda_seg.evaluation.scores import select

ROLES = ("baseline", "control", "oracle")

PROTOCOLS = {
    "miou_19": "mIoU 19",
    "miou_16": "mIoU 16",
    "miou_16_of_19": "mIoU 16 of 19",
    "miou_13": "mIoU 13",
    "miou_13_of_19": "mIoU 13 of 19",
    "miou_11": "mIoU 11",
    "miou_10": "mIoU 10",
    "miou_7": "mIoU 7",
    "miou_idd_7": "mIoU IDD 7",
}

SHORT = {
    "sidewalk": "side",
    "building": "build",
    "traffic light": "light",
    "traffic sign": "sign",
    "vegetation": "veg",
    "terrain": "terr",
    "person": "pers",
    "motorcycle": "motor",
    "bicycle": "bike",
    "bicyclist": "cycl",
}
"""Column heads; other classes keep their name."""

LEGEND = {
    "mIoU": "mean over classes of hit / (labelled + predicted − hit) over all images together; "
    "± standard deviation over seeds",
    "mIoU 16/13": "without terrain, truck, train, whose labels are ignored; 13 of these 16 IoUs, "
    "without wall, fence, pole",
    "of 19": "the same means, but labels of all 19 classes count: a truck called car is a mistake",
    "mIoU 11": "CamVid's classes, rider and bicycle as one",
    "mIoU 10": "the classes that Virtual KITTI and KITTI share",
    "mIoU IDD 7": "level 1 of the India Driving Dataset, finer classes merged",
    "mIoU 7": "over Cityscapes' categories, within which confusions are no mistake",
    "over baseline": "gain over the same network without adaptation, seed by seed",
    "over control": "gain over the control, in which target images move batch-norm statistics "
    "and nothing else: the method's own",
    "gap closed": "(mIoU − baseline) / (oracle − baseline)",
    "–": "does not apply",
}


@dataclass
class Row:
    """One line of a comparison: runs that differ in their seed alone."""

    name: str
    """By which roles refer to it."""
    label: str
    """By which readers know it."""
    folders: list[Path]
    """Run folders, in the order of `runs`."""
    runs: list[dict[str, Any]]
    """What `scores.load` gave."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; None with one seed."""

    mean: float
    deviation: float | None = None

    def text(self, sign: bool = False) -> str:
        if np.isnan(self.mean):
            return "–"
        figure = f"{self.mean:+.1f}" if sign else f"{self.mean:.1f}"
        return figure if self.deviation is None else f"{figure} ± {self.deviation:.1f}"


@dataclass(frozen=True)
class Line:
    """A row's numbers, all in percent or points of mIoU."""

    row: Row
    role: str | None
    """`baseline`, `control`, `oracle` or None."""
    seeds: tuple[int, ...]
    iou: dict[str, float]
    miou: Spread
    protocols: dict[str, Spread] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    """Why mIoU is no mean over all classes, where it is none."""
    over_baseline: Spread | None = None
    over_control: Spread | None = None
    gap_closed: float | None = None


def compare(
    rows: Sequence[Row],
    baseline: str | None = None,
    control: str | None = None,
    oracle: str | None = None,
    selection: str = "last",
) -> list[Line]:
    """The lines of a comparison, in the rows' order.

    Args:
        rows: with loaded scores.
        baseline: name of the row without adaptation; None, or a row that is not among `rows`,
            leaves the columns out that need it.
        control: name of the row with the method's weights at zero.
        oracle: name of the row trained on target labels.
        selection: which checkpoint of every run counts.

    Raises:
        ConfigError: rows are empty or were not scored on the same images and classes.
    """
    _check(rows)
    mious = {row.name: _mious(row, selection) for row in rows}
    roles = {
        name: role
        for role, name in zip(ROLES, (baseline, control, oracle), strict=True)
        if name is not None
    }
    by_role = {role: mious[name] for name, role in roles.items() if name in mious}
    chosen = [select(run, selection) for row in rows for run in row.runs]
    # Older runs have fewer: what was taken for a class that only the labels have was not kept.
    protocols = [name for name in PROTOCOLS if any(name in one["protocols"] for one in chosen)]
    return [
        _line(row, roles.get(row.name), mious[row.name], by_role, selection, protocols)
        for row in rows
    ]


def spread(values: Sequence[float]) -> Spread:
    known = [value for value in values if not np.isnan(value)]
    if not known:
        return Spread(float("nan"))
    return Spread(statistics.fmean(known), statistics.stdev(known) if len(known) > 1 else None)


def _line(
    row: Row,
    role: str | None,
    mious: Mapping[int, float],
    by_role: Mapping[str, Mapping[int, float]],
    selection: str,
    protocols: Collection[str],
) -> Line:
    chosen = [select(run, selection) for run in row.runs]
    return Line(
        row=row,
        role=role,
        seeds=tuple(mious),
        iou={
            name: mean(np.array([one["iou"][name] for one in chosen]))
            for name in row.runs[0]["classes"]
        },
        miou=spread(list(mious.values())),
        protocols={
            name: spread([one["protocols"].get(name, math.nan) for one in chosen])
            for name in protocols
        },
        caveats=tuple(dict.fromkeys(one["caveat"] for one in chosen if one["caveat"])),
        over_baseline=_gain(mious, by_role.get("baseline")) if role != "baseline" else None,
        over_control=(
            _gain(mious, by_role.get("control")) if role not in ("baseline", "control") else None
        ),
        gap_closed=_gap_closed(mious, by_role) if role != "baseline" else None,
    )


def _mious(row: Row, selection: str) -> dict[int, float]:
    """By seed. Two runs of one seed would count it twice."""
    found: dict[int, float] = {}
    for run in row.runs:
        if run["seed"] in found:
            raise ConfigError(f"{row.label}: two runs with seed {run['seed']}; give each once")
        found[run["seed"]] = select(run, selection)["miou"]
    return found


def _gain(ours: Mapping[int, float], theirs: Mapping[int, float] | None) -> Spread | None:
    """Seed by seed where the seeds are the same, else between the means."""
    if theirs is None:
        return None
    if ours.keys() == theirs.keys():
        return spread([ours[seed] - theirs[seed] for seed in ours])
    return Spread(spread(list(ours.values())).mean - spread(list(theirs.values())).mean)


def _gap_closed(
    ours: Mapping[int, float], by_role: Mapping[str, Mapping[int, float]]
) -> float | None:
    if "baseline" not in by_role or "oracle" not in by_role:
        return None
    low, high, here = (
        spread(list(values.values())).mean
        for values in (by_role["baseline"], by_role["oracle"], ours)
    )
    return 100 * (here - low) / (high - low) if high > low else None


def _check(rows: Sequence[Row]) -> None:
    if not rows or not all(row.runs for row in rows):
        empty = ", ".join(row.label for row in rows if not row.runs)
        raise ConfigError(f"nothing to compare: {empty or 'there are no rows'}; give finished runs")
    first = rows[0].runs[0]
    for key in ("target", "split", "classes"):
        for row in rows:
            for run in row.runs:
                if run.get(key) != first.get(key):
                    raise ConfigError(
                        f"{row.label}: scored on {key}={run.get(key)}, but {rows[0].label} on "
                        f"{first.get(key)}; such numbers do not compare"
                    )
