"""A comparison as one HTML file: no server, nothing from outside, pictures inside.

Reads `scores.json` (through `Row.runs`) and the run folders' `pictures/NNN_*.png`, nothing else.
"""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.evaluation.scores import SELECTIONS
from uda_seg.report import figures, table
from uda_seg.report.comparison import SHORT, Line, Row, compare, spread
from uda_seg.report.figures import Curve, Series
from uda_seg.report.gallery import gallery
from uda_seg.run_folder import write_text


def write_page(
    path: Path,
    title: str,
    text: str,
    rows: Sequence[Row],
    baseline: str | None = None,
    control: str | None = None,
    oracle: str | None = None,
    selection: str = "last",
    command: str | None = None,
) -> None:
    """Writes the page, whole or not at all.

    Args:
        path: of the HTML file.
        title: its headline.
        text: what is compared, in a sentence or two.
        rows: of the table.
        baseline: as the three after it, see `compare`.
        control: see `compare`.
        oracle: see `compare`.
        selection: see `compare`.
        command: that made the runs, to be shown.
    """
    lines = compare(rows, baseline, control, oracle, selection)
    looks = figures.series_of([line.row.label for line in lines], [line.role for line in lines])
    sections = [
        f"<h1>{escape(title)}</h1><p>{escape(text)}</p>",
        f'<p class="soft">{escape(_facts(lines))}</p>',
        _cards(lines, looks),
        gallery(lines),
        _table(lines, selection),
        _curves(lines, looks),
        _bars(lines, looks),
        _selections(lines),
        _meanings(lines),
        _origin(lines, command),
    ]
    style = resources.files("uda_seg.report").joinpath("page.css").read_text(encoding="utf-8")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{style}</style></head>\n<body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )
    write_text(Path(path), page)


def _facts(lines: Sequence[Line]) -> str:
    run = lines[0].row.runs[0]
    caption = table.caption(lines, "").rpartition(", ")[0]
    return f"{caption} · network {run['backbone']} · {len(run['classes'])} classes"


def _cards(lines: Sequence[Line], looks: Sequence[Series]) -> str:
    cards = []
    for line, look in zip(lines, looks, strict=True):
        miou = line.miou
        around = "" if miou.deviation is None else f"<small> ± {miou.deviation:.1f}</small>"
        notes = [
            f"{gain.text(sign=True)} over {words}"
            for gain, words in ((line.over_baseline, "baseline"), (line.over_control, "control"))
            if gain is not None
        ]
        if line.gap_closed is not None and line.role != "oracle":
            notes.append(f"closes {line.gap_closed:.0f} % of the gap")
        shown = "".join(f"<span>{escape(note)}</span>" for note in notes)
        cards.append(
            f'<li style="--look:{look.colour}"><span class="name">{escape(line.row.label)}</span>'
            f"<b>{table.number(miou.mean)}{around}</b><span>mIoU, percent</span>{shown}</li>"
        )
    return f'<ul class="cards">{"".join(cards)}</ul>'


def _table(lines: Sequence[Line], selection: str) -> str:
    heads, cells = _sums_first(*table.grid(lines, short=True))
    names = list(lines[0].iou)
    full = {SHORT.get(name, name): name for name in names}
    best = table.best(lines)
    head = "".join(f'<th title="{escape(full.get(h, h))}">{escape(h)}</th>' for h in heads)
    body = []
    for i, (line, row) in enumerate(zip(lines, cells, strict=True)):
        columns = [f'<th scope="row">{escape(row[0])}</th>']
        for h, cell in zip(heads[1:], row[1:], strict=True):
            value = line.iou[full[h]] if h in full else line.miou.mean if h == "mIoU" else np.nan
            kinds = ["best"] * ((i, h) in best) + ["main"] * (h == "mIoU")
            kinds += ["heat"] * (not np.isnan(value))
            heat = "" if np.isnan(value) else f' style="--v:{value:.0f}"'
            columns.append(f'<td class="{" ".join(kinds)}"{heat}>{escape(cell)}</td>')
        body.append(f"<tr>{''.join(columns)}</tr>")
    words = f"IoU of every class at each run's checkpoint “{SELECTIONS.get(selection, selection)}”."
    return (
        f'<h2>Per-class IoU</h2><p class="soft">{escape(words)} The darker, the higher. '
        "Bold: best without target labels.</p>"
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _sums_first(heads: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The columns that readers look for before those that may lie beyond a screen's edge."""
    order = sorted(range(len(heads)), key=lambda j: j > 0 and heads[j] not in table.SUMS)
    return [heads[j] for j in order], [[row[j] for j in order] for row in cells]


def _curves(lines: Sequence[Line], looks: Sequence[Series]) -> str:
    curves = [
        Curve(look, [_history(run) for run in line.row.runs])
        for line, look in zip(lines, looks, strict=True)
    ]
    if not any(run for curve in curves for run in curve.runs):
        return ""
    drawn = figures.learning_curves(curves, "training step", "target mIoU, percent", "Curves")
    return (
        '<h2>Learning curves</h2><p class="soft">mIoU on the target\'s validation images while '
        "training; the mean over seeds, and from the lowest to the highest seed. Target labels "
        f"are used to draw this, never to train (but by an oracle).</p>{figures.key(looks)}"
        f'<div class="wide">{drawn}</div>'
    )


def _history(run: Mapping[str, Any]) -> list[tuple[float, float]]:
    found = [(e["step"], e["miou"]) for e in run["history"] if e.get("miou") is not None]
    return sorted(found)


def _bars(lines: Sequence[Line], looks: Sequence[Series]) -> str:
    names = list(lines[0].iou)
    values = [list(line.iou.values()) for line in lines]
    drawn = figures.class_bars(names, looks, values, "IoU of every class, percent")
    solid = [Series(look.label, look.colour) for look in looks]
    return f'<h2>Class by class</h2>{figures.key(solid)}<div class="wide">{drawn}</div>'


def _selections(lines: Sequence[Line]) -> str:
    names = [n for n in SELECTIONS if all(n in r["selections"] for x in lines for r in x.row.runs)]
    head = "".join(f"<th>{escape(n.replace('_', ' '))}</th>" for n in names)
    body = []
    for line in lines:
        cells = []
        for name in names:
            chosen = [run["selections"][name] for run in line.row.runs]
            steps = ", ".join(str(one["step"]) for one in chosen)
            value = spread([one["miou"] for one in chosen]).text()
            cells.append(f'<td title="steps {steps}">{value}</td>')
        body.append(f'<tr><th scope="row">{escape(line.row.label)}</th>{"".join(cells)}</tr>')
    words = "; ".join(f"{name.replace('_', ' ')}: {SELECTIONS[name]}" for name in names)
    return (
        f'<h2>Which checkpoint</h2><p class="soft">mIoU by how the checkpoint was chosen. '
        f'{escape(words)}.</p><div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _meanings(lines: Sequence[Line]) -> str:
    items = (
        f"<dt>{escape(name)}</dt><dd>{escape(meaning)}.</dd>"
        for name, meaning in table.legend(lines).items()
    )
    return f"<h2>What the columns mean</h2><dl>{''.join(items)}</dl>"


def _origin(lines: Sequence[Line], command: str | None) -> str:
    heads = ["row", "seed", "steps", "batch norm", "minutes", "config", "commit"]
    body = []
    for line in lines:
        for run in line.row.runs:
            seconds = run.get("training_seconds")
            cells = [
                str(run["seed"]),
                str(run["steps"]) + ("" if run.get("finished", True) else " (unfinished)"),
                str(run["batch_norm"]),
                "–" if seconds is None else f"{seconds / 60:.1f}",
                (run.get("config_hash") or "–")[:10],
                _commit(run.get("git_commit")),
            ]
            columns = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            body.append(f'<tr><th scope="row">{escape(line.row.label)}</th>{columns}</tr>')
    versions = lines[0].row.runs[0].get("versions") or {}
    known = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return (
        "<h2>How it was made</h2>"
        + (f"<pre>{escape(command)}</pre>" if command else "")
        + f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
        + (f'<p class="soft">{escape(known)}</p>' if known else "")
    )


def _commit(commit: str | None) -> str:
    """Short, but never silent about changed files."""
    if not commit:
        return "–"
    return commit[:10] + ("-dirty" if commit.endswith("-dirty") else "")
