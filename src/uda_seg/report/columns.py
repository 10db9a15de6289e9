"""Every column a table can have, declared once.

A column says its key (in CSV files), its head, how a row gives its value, how that is written, what
it means, and whether the highest is the best. A new measure stands in all tables, of runs, sweeps
and papers, once it is in `MEASURES`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from uda_seg.evaluation.measures import PROTOCOLS, is_plain
from uda_seg.evaluation.scores import SELECTIONS, part_of_split
from uda_seg.report.published import Mean, Value
from uda_seg.report.rows import Row, Spread

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


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: in CSV files.
        head: above it.
        of: what a row has in it, None where it has nothing.
        kind: what that is: a Spread (in CSV files with its deviation), a published Value (with its
            origin), a number, or words.
        format: how a number is written.
        meaning: below the table.
        term: what the meaning is said of; the head where it is empty.
        is_best: given its numbers, the best; None where none is better.
        mark: behind the best, where bold letters will not do.
        rank: 0 stands first where there is no room for all, classes last.
        full: name of which the head is a short form.
        shade: whether a page shows how high numbers are.
        stays: whether it is shown though no row has anything in it.
        is_shown: not in CSV files alone.
        unknown: stands where a number is not known.
    """

    key: str
    head: str
    of: Callable[[Row], Any]
    kind: Literal["spread", "published", "number", "words"] = "spread"
    format: str = "{:.1f}"
    meaning: str = ""
    term: str = ""
    is_best: Callable[[Sequence[float]], float] | None = None
    mark: str = ""
    rank: int = 0
    full: str = ""
    shade: bool = False
    stays: bool = False
    is_shown: bool = True
    unknown: str = "–"

    def number(self, row: Row) -> float:
        """NaN where there is none."""
        value = self.of(row)
        if isinstance(value, Spread):
            return value.mean
        if isinstance(value, Value):
            return value.number
        return math.nan if value is None or self.kind == "words" else float(value)


NAMES = (
    Column("name", "name", lambda row: row.name, "words", is_shown=False),
    Column("label", "", lambda row: row.label, "words", is_shown=False),
    Column("role", "role", lambda row: row.role or "", "words", is_shown=False),
    Column("network", "network", lambda row: row.backbone, "words", is_shown=False),
    Column("seeds", "seeds", lambda row: " ".join(map(str, row.seeds)), "words", is_shown=False),
)
MIOU = Column(
    "miou", "mIoU", lambda row: row.miou, is_best=max, shade=True, stays=True,
    meaning="mean over classes of hit / (labelled + predicted − hit) over all images together; "
    "± standard deviation over seeds",
)  # fmt: skip
MEASURES = (
    Column(
        "fwiou", "fwIoU", partial(Row.measure, key="fwiou"), is_best=max, rank=1,
        meaning="mean of the classes' IoU, each weighted by its share of the labelled pixels",
    ),
)  # fmt: skip
"""What every table shows beside the main mean; a key is one of a selection of loaded scores."""
ACCURACIES = tuple(
    Column(key, head, partial(Row.measure, key=key), stays=True)
    for key, head in (("accuracy", "pixel accuracy"), ("mean_accuracy", "mean accuracy"))
)
FURTHER = tuple(
    Column(key, head, partial(Row.measure, key=key))
    for key, head in (("boundary_miou", "boundary mIoU"), ("calibration_error", "calibration err."))
)
"""What `evaluate` tells if it is asked to."""
GAINS = (
    Column(
        "over_baseline", "over baseline", lambda row: row.over_baseline, format="{:+.1f}",
        meaning="gain over the same network without adaptation, seed by seed",
    ),
    Column(
        "over_control", "over control", lambda row: row.over_control, format="{:+.1f}",
        meaning="gain over the control, in which target images move batch-norm statistics and "
        "nothing else: the method's own",
    ),
    Column(
        "gap_closed", "gap closed", lambda row: row.gap_closed, "number", "{:.0f} %",
        meaning="(mIoU − baseline) / (oracle − baseline)",
    ),
)  # fmt: skip
LABEL_FREE = Column(
    "miou_label_free", "mIoU, step chosen\nwithout labels", lambda row: row.at("label_free").miou,
    stays=True,
)  # fmt: skip
ORACLE_BEST = Column("miou_oracle_best", "mIoU, best", lambda row: row.at("oracle_best").miou)
INFORMATION = Column(
    "information_maximisation", "information, nats",
    lambda row: row.last("information_maximisation"), "number", "{:.3f}", stays=True,
)  # fmt: skip
RUNS = Column("runs", "runs", lambda row: row.state, "words", stays=True)
REMARKS = (
    Column("not_run", "", lambda row: row.why, "words", is_shown=False),
    Column("note", "", lambda row: row.note, "words", is_shown=False),
)
PART = Column(
    "scored_on", "", lambda row: part_of_split(row.runs[0]) if row.runs else "", "words",
    is_shown=False,
)  # fmt: skip
"""Of CSV files alone: elsewhere it is said of the mIoU, and in a title."""
MEANINGS = {
    "miou_16": ("mIoU 16/13", "without terrain, truck, train, whose labels are ignored; 13 of "
                "these 16 IoUs, without wall, fence, pole"),
    "miou_16_of_19": ("of 19", "the same means, but labels of all 19 classes count: a truck called "
                      "car is a mistake"),
    "miou_11": ("mIoU 11", "CamVid's classes, rider and bicycle as one"),
    "miou_10": ("mIoU 10", "the classes that Virtual KITTI and KITTI share"),
    "miou_idd_7": ("mIoU IDD 7", "level 1 of the India Driving Dataset, finer classes merged"),
    "miou_7": ("mIoU 7", "over Cityscapes' categories, within which confusions are no mistake"),
}  # fmt: skip
"""Of protocols: what is explained, and how."""
MEANINGS |= {"miou_13": MEANINGS["miou_16"], "miou_13_of_19": MEANINGS["miou_16_of_19"]}


def class_column(name: str) -> Column:
    """IoU of a class."""
    return Column(
        name, SHORT.get(name, name), lambda row: row.iou.get(name), "number", full=name,
        is_best=max, rank=2, shade=True, stays=True,
    )  # fmt: skip


def paper_class_column(name: str) -> Column:
    """Of CSV files alone; elsewhere the paper's classes stand below the table."""
    return Column(
        f"paper_{name}", "", lambda row: row.published.of_class(name), "published", is_shown=False
    )


def protocol_columns(rows: Sequence[Row], classes: Sequence[str]) -> Iterator[Column]:
    """Of the protocols that runs were scored by; CSV files alone repeat the plain mean."""
    for key, head in PROTOCOLS.items():
        if any(key in one["protocols"] for row in rows for one in row.chosen):
            term, meaning = MEANINGS.get(key, ("", ""))
            yield Column(
                key, head, partial(Row.measure, key=key), meaning=meaning, term=term,
                rank=1, stays=True, is_shown=not is_plain(key, classes),
            )  # fmt: skip


def measures_of_a_run(rows: Sequence[Row]) -> list[Column]:
    """Classes and measures, without what another row is needed for."""
    classes = rows[0].runs[0]["classes"]
    protocols = protocol_columns(rows, classes)
    return [*map(class_column, classes), MIOU, *protocols, *MEASURES, *ACCURACIES, *FURTHER]


def run_columns(rows: Sequence[Row]) -> list[Column]:
    """Of a table without published numbers: the classes, then what sums a row up."""
    classes = next((row.runs[0]["classes"] for row in rows if row.runs), ())
    sums = [MIOU, *protocol_columns(rows, classes), *MEASURES, *GAINS]
    states = [RUNS] if any(row.why for row in rows) else []
    return [*NAMES, *map(class_column, classes), *sums, *states, *part_columns(rows)]


def part_columns(rows: Sequence[Row]) -> list[Column]:
    """How much of the split was scored, where it was a part."""
    return [PART] if any(map(PART.of, rows)) else []


def published_columns(
    means: Sequence[Mean], classes: Sequence[str], selection: str
) -> Iterator[Column]:
    """Of a published table: mean after mean, the paper's, ours, and what lies between."""
    yield from NAMES
    for one in means:
        before = f"{one.label}: " if len(means) > 1 else ""
        yield from _paper_and_ours(one, before, selection)
    if selection != "oracle_best":
        yield Column(
            f"ours_best_{means[0].key}", "ours, best",
            lambda row: row.at("oracle_best").average(means[0]),
            meaning="ours at the best snapshot on target labels, as papers count (an oracle's "
            "choice)",
        )  # fmt: skip
    yield Column(
        "paper_oracle", "paper's oracle", lambda row: row.published.oracle, "published",
        meaning="the same network trained on target labels, as the paper says",
    )  # fmt: skip
    yield from GAINS
    yield Column(
        "paper_gap_closed", "gap closed, paper", lambda row: row.paper_gap_closed(means[0]),
        "number", "{:.0f} %",
        meaning="of the paper's numbers: (mIoU − baseline) / (oracle − baseline)",
    )  # fmt: skip
    yield from (*MEASURES, RUNS)
    for name in classes:
        yield paper_class_column(name)
        yield replace(class_column(name), key=f"ours_{name}", is_shown=False)
    yield from REMARKS


def _paper_and_ours(one: Mean, before: str, selection: str) -> Iterator[Column]:
    yield Column(
        f"paper_{one.key}", f"{before}paper", lambda row: row.published.mean(one.key),
        "published", term="paper", unknown="?",
        meaning="published, percent; letters tell from where, † marks what is recalled, not read",
    )  # fmt: skip
    yield Column(
        f"ours_{one.key}", f"{before}ours", lambda row: row.average(one), stays=True, term="ours",
        meaning=f"mean ± standard deviation over seeds, at {SELECTIONS[selection]}",
    )  # fmt: skip
    yield Column(
        f"difference_{one.key}", f"{before}difference",
        lambda row: row.average(one).mean - row.published.mean(one.key).number,
        "number", "{:+.1f}", term="difference", meaning="ours minus the paper's",
    )  # fmt: skip
