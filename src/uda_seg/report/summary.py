"""A page's numbers: cards, the table, which checkpoint, costs, where each run comes from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report import table
from uda_seg.report.comparison import SHORT, Line, spread
from uda_seg.report.figures import Series
from uda_seg.report.rendering import Part, render

ABSURD = 1e6
"""Images a second; older runs said so when they were resumed after their last step."""


def cards(lines: Sequence[Line], looks: Sequence[Series]) -> Markup:
    return render("cards.html", cards=[_card(*pair) for pair in zip(lines, looks, strict=True)])


def _card(line: Line, look: Series) -> dict[str, Any]:
    notes = [
        f"{gain.text(sign=True)} over {words}"
        for gain, words in ((line.over_baseline, "baseline"), (line.over_control, "control"))
        if gain is not None
    ]
    if line.gap_closed is not None and line.role != "oracle":
        notes.append(f"closes {line.gap_closed:.0f} % of the gap")
    return {
        "label": line.row.label,
        "color": look.color,
        "miou": table.number(line.miou.mean),
        "deviation": None if line.miou.deviation is None else f"{line.miou.deviation:.1f}",
        "notes": [*notes, *line.caveats],
    }


def scores_table(lines: Sequence[Line], selection: str) -> Part:
    heads, cells = _sums_first(*table.grid(lines, short=True))
    full = {SHORT.get(name, name): name for name in lines[0].iou}
    best = table.best(lines)
    rows = []
    for i, (line, row) in enumerate(zip(lines, cells, strict=True)):
        values = {h: line.iou[name] for h, name in full.items()} | {"mIoU": line.miou.mean}
        kinds = {h: ["best"] * ((i, h) in best) + ["main"] * (h == "mIoU") for h in heads}
        columns = zip(heads[1:], row[1:], strict=True)
        rows.append((row[0], [(values.get(h, np.nan), text, kinds[h]) for h, text in columns]))
    words = (
        f"IoU of every class at each run's checkpoint “{SELECTIONS.get(selection, selection)}”. "
        "The darker, the higher. Bold: best without target labels."
    )
    titled = [(head, full.get(head, head)) for head in heads]
    return Part("Per-class IoU", render("scores_table.html", words=words, heads=titled, rows=rows))


def _sums_first(heads: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns that readers look for before those that may lie beyond a screen's edge."""
    order = sorted(range(len(heads)), key=lambda j: j > 0 and heads[j] not in table.SUMS)
    return [heads[j] for j in order], [[row[j] for j in order] for row in cells]


def selections(lines: Sequence[Line]) -> Part:
    names = [n for n in SELECTIONS if all(n in r["selections"] for x in lines for r in x.row.runs)]
    rows = []
    for line in lines:
        chosen = {name: [run["selections"][name] for run in line.row.runs] for name in names}
        values = {name: spread([one["miou"] for one in c]).text() for name, c in chosen.items()}
        steps = {name: ", ".join(str(one["step"]) for one in c) for name, c in chosen.items()}
        rows.append([line.row.label, *(f"{values[name]} (step {steps[name]})" for name in names)])
    words = "; ".join(f"{name.replace('_', ' ')}: {SELECTIONS[name]}" for name in names)
    words = f"mIoU by how the checkpoint was chosen. {words}."
    heads = ["row", *(name.replace("_", " ") for name in names)]
    return Part("Which checkpoint", _grid(heads, rows, "mIoU by checkpoint", words=words))


def costs(lines: Sequence[Line]) -> Part:
    rows = []
    for line in lines:
        runs = line.row.runs
        seconds = [run["training_seconds"] for run in runs if run.get("training_seconds")]
        rates = [run.get("images_per_second") or math.inf for run in runs]
        rates = [rate for rate in rates if rate < ABSURD]
        devices = dict.fromkeys(str(run["device"]) for run in runs if run.get("device"))
        rows.append([
            line.row.label,
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
    return Part("Costs", _grid(heads, rows, "Costs of every row", words=words))


def _parameters(counts: dict[str, int]) -> str:
    if "network" not in counts:
        return "–"
    others = sum(count for name, count in counts.items() if name != "network")
    words = f"{counts['network'] / 1e6:.2f} M"
    return f"{words} + {others / 1e6:.2f} M" if others else words


def meanings(lines: Sequence[Line]) -> Part:
    legend = table.legend(lines).items()
    return Part("What the columns mean", render("terms.html", meanings=legend))


def origin(lines: Sequence[Line]) -> Part:
    heads = ["row", "seed", "steps", "batch norm", "encoder updates", "minutes", "config", "commit"]
    rows = []
    for line in lines:
        for run in line.row.runs:
            seconds = run.get("training_seconds")
            rows.append([
                line.row.label,
                str(run["seed"]),
                str(run["steps"]) + ("" if run.get("finished", True) else " (unfinished)"),
                str(run["batch_norm"]),
                str(run.get("encoder_updates", 1)),
                "–" if seconds is None else f"{seconds / 60:.1f}",
                (run.get("config_hash") or "–")[:10],
                _commit(run.get("git_commit")),
            ])  # fmt: skip
    versions = lines[0].row.runs[0].get("versions") or {}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Part("How it was made", _grid(heads, rows, "Every run", below=known))


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
