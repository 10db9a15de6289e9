"""A page's numbers: cards, the table, which checkpoint, costs, where each run comes from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report.figures import Series
from uda_seg.report.rendering import Part, render
from uda_seg.report.rows import Row, Spread
from uda_seg.report.table import Table
from uda_seg.report.writers import to_html

ABSURD = 1e6
"""Images a second; older runs said so when they were resumed after their last step."""


def cards(rows: Sequence[Row], looks: Sequence[Series]) -> Markup:
    return render("cards.html", cards=[_card(*pair) for pair in zip(rows, looks, strict=True)])


def _card(row: Row, look: Series) -> dict[str, Any]:
    notes = [
        f"{gain.text(sign=True)} over {words}"
        for gain, words in ((row.over_baseline, "baseline"), (row.over_control, "control"))
        if gain is not None
    ]
    if row.gap_closed is not None and row.role != "oracle":
        notes.append(f"closes {row.gap_closed:.0f} % of the gap")
    return {
        "label": row.label,
        "color": look.color,
        "miou": Spread(row.miou.mean).text(),
        "deviation": None if row.miou.deviation is None else f"{row.miou.deviation:.1f}",
        "notes": [*notes, *row.caveats],
    }


def scores_table(table: Table) -> Part:
    """What sums a row up stands before the classes, which may lie beyond a screen's edge."""
    words = (
        f"IoU of every class at each run's checkpoint “{SELECTIONS[table.selection]}”. "
        "The stronger the color, the higher. Bold: best without target labels."
    )
    grid = table.grid(sorted(table.shown, key=lambda column: column.rank))
    body = render("note.html", words=words) + to_html(grid, "IoU of every class and row")
    return Part("Per-class IoU", body)


def selections(rows: Sequence[Row]) -> Part:
    names = [n for n in SELECTIONS if all(n in run["selections"] for r in rows for run in r.runs)]
    lines = []
    for row in rows:
        at = [row.at(name) for name in names]
        steps = [", ".join(str(one["step"]) for one in other.chosen) for other in at]
        values = [f"{other.miou.text()} (step {s})" for other, s in zip(at, steps, strict=True)]
        lines.append([row.label, *values])
    words = "; ".join(f"{name.replace('_', ' ')}: {SELECTIONS[name]}" for name in names)
    words = f"mIoU by how the checkpoint was chosen. {words}."
    heads = ["row", *(name.replace("_", " ") for name in names)]
    return Part("Which checkpoint", _grid(heads, lines, "mIoU by checkpoint", words=words))


def costs(rows: Sequence[Row]) -> Part:
    lines = []
    for row in rows:
        runs = row.runs
        seconds = [run["training_seconds"] for run in runs if run.get("training_seconds")]
        rates = [run.get("images_per_second") or math.inf for run in runs]
        rates = [rate for rate in rates if rate < ABSURD]
        devices = dict.fromkeys(str(run["device"]) for run in runs if run.get("device"))
        lines.append([
            row.label,
            ", ".join(dict.fromkeys(str(run["steps"]) for run in runs)),
            f"{np.mean(seconds) / 60:.1f}" if seconds else "–",
            f"{np.mean(rates):.1f}" if rates else "–",
            _parameters(runs[0].get("parameters") or {}),
            ", ".join(devices) or "–",
        ])  # fmt: skip
    heads = ["row", "steps", "minutes a run", "images a second", "parameters", "device"]
    words = (
        "Means over seeds, validations within the time. Images of source and target both count. "
        "Parameters: of the network that is kept, and of what only training needs. "
        "–: not logged when the run was made."
    )
    return Part("Costs", _grid(heads, lines, "Costs of every row", words=words))


def _parameters(counts: dict[str, int]) -> str:
    if "network" not in counts:
        return "–"
    others = sum(count for name, count in counts.items() if name != "network")
    words = f"{counts['network'] / 1e6:.2f} M"
    return f"{words} + {others / 1e6:.2f} M" if others else words


def meanings(table: Table) -> Part:
    terms = [*table.meanings(), *table.caveats(), *table.first_weights()]
    return Part("What the columns mean", render("terms.html", meanings=terms))


def origin(rows: Sequence[Row]) -> Part:
    heads = ["row", "seed", "steps", "batch norm", "encoder updates", "minutes", "config", "commit"]
    lines = []
    for row in rows:
        for run in row.runs:
            seconds = run.get("training_seconds")
            lines.append([
                row.label,
                str(run["seed"]),
                str(run["steps"]) + ("" if run.get("finished", True) else " (unfinished)"),
                str(run["batch_norm"]),
                str(run.get("encoder_updates", 1)),
                "–" if seconds is None else f"{seconds / 60:.1f}",
                (run.get("config_hash") or "–")[:10],
                _commit(run.get("git_commit")),
            ])  # fmt: skip
    versions = rows[0].runs[0].get("versions") or {}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Part("How it was made", _grid(heads, lines, "Every run", below=known))


def _commit(commit: str | None) -> str:
    """Short, but never silent about changed files."""
    if not commit:
        return "–"
    return commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")


def _grid(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    label: str,
    words: str = "",
    below: str = "",
) -> Markup:
    return render("grid.html", heads=heads, rows=rows, label=label, words=words, below=below)
