"""Tables of rows that compare, one for every pair of domains and set of classes."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from uda_seg.errors import ConfigError, suggest
from uda_seg.evaluation.scores import split_scored
from uda_seg.report.grouping import counted, grouped, progress, scores_of, short, table_roles
from uda_seg.report.labels import label
from uda_seg.report.rows import ROLES, Row, compare
from uda_seg.report.runs import Run
from uda_seg.report.table import Table, run_table

METHODS = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}
"""Whose rows play a role where nothing else is said."""


def tables(
    runs: Sequence[Run], wanted: Mapping[str, str | None], selection: str
) -> tuple[list[Table], list[str]]:
    """
    Args:
        runs: of any methods and domains, finished or not.
        wanted: role to the name, label or method of its row; None: by `METHODS`.
        selection: which checkpoint of every run counts.

    Returns:
        A table for each pair of domains and set of classes, and what is to be said about runs that
        are in none.

    Raises:
        ConfigError: no run has been scored, or a wanted row is in no table.
    """
    scored = [run for run in runs if run.scores is not None]
    remarks = [
        f"{short(run.folder)}: no scores yet ({progress(run)})" for run in runs if not run.scores
    ]
    spaces: dict[tuple, list[list[Run]]] = {}
    for group in grouped(scored):
        if group[0].entry.get("shown", True):
            spaces.setdefault(_space(group[0]), []).append(group)
        else:
            place = short(group[0].folder)
            remarks.append(f"{place}: is not shown by its table (other runs start from it)")
    if not spaces:
        raise ConfigError("runs: none has been scored yet; " + "; ".join(remarks[:5]))
    every = [_table(groups, wanted, selection) for groups in spaces.values()]
    held = [table for table in every if table.rows]
    if not held:
        raise ConfigError(f"selection={selection}: no run has it")
    _check_wanted(wanted, {name for table in held for row in table.rows for name in _names(row)})
    empty = [remark for table in every if not table.rows for remark in table.remarks]
    return held, [*remarks, *empty]


def _table(
    groups: Sequence[Sequence[Run]], wanted: Mapping[str, str | None], selection: str
) -> Table:
    remarks: list[str] = []
    rows: dict[str, Row] = {}
    given: dict[str, dict[str, str]] = {}
    for group, text in zip(groups, label([group[0] for group in groups]), strict=True):
        runs, others = counted(group, selection)
        remarks += others
        if runs:
            row = _row(text, runs, rows)
            rows[row.name], given[row.name] = row, table_roles(runs[0])
    related: list[Row] = []
    for backbone in dict.fromkeys(row.backbone for row in rows.values()):
        same = [row for row in rows.values() if row.backbone == backbone]
        roles, others = _roles(same, given, wanted, selection)
        remarks += others
        related += compare(same, **roles, selection=selection)
    if not any(group[0].row for group in groups):
        related.sort(key=_rank)
    return run_table(related, _title(groups[0][0]), selection=selection, remarks=remarks)


def _row(text: str, runs: Sequence[Run], taken: Mapping[str, Row]) -> Row:
    open_ended = [run for run in runs if not run.finished]
    if open_ended:
        text = f"{text} (unfinished, {progress(open_ended[0])})"
    name = runs[0].row
    name = name if name and name not in taken else text
    return Row(name, text, [run.folder for run in runs], [scores_of(run) for run in runs])


def _names(row: Row) -> set[str]:
    """By which a row can be wanted."""
    return {row.name, row.label, row.runs[0]["method"]["name"]}


def _roles(
    rows: Sequence[Row],
    given: Mapping[str, Mapping[str, str]],
    wanted: Mapping[str, str | None],
    selection: str,
) -> tuple[dict[str, str], list[str]]:
    """Role to row. Of several candidates the one with the highest mIoU, and a remark."""
    roles, remarks = {}, []
    for role in ROLES:
        if wanted.get(role):
            able = [row for row in rows if wanted[role] in _names(row)]
        else:
            able = [row for row in rows if given[row.name].get(role) == row.name]
            able = able or [row for row in rows if METHODS[role] == row.runs[0]["method"]["name"]]
        if not able:
            continue
        mious = [row.at(selection).miou.mean for row in able]
        best = able[int(np.argmax(np.nan_to_num(mious)))]
        roles[role] = best.name
        if len(able) > 1:
            others = ", ".join(row.label for row in able if row is not best)
            remarks.append(
                f"the {role} is {best.label}, the highest of several ({others}); "
                f"{role}=… names another"
            )
    return roles, remarks


def _check_wanted(wanted: Mapping[str, str | None], known: Collection[str]) -> None:
    for role, name in wanted.items():
        if name and name not in known:
            raise ConfigError(
                f"{role}={name}: no row has this name; {suggest(name, sorted(known))}"
                f"choose from {', '.join(sorted(known))}"
            )


def _rank(row: Row) -> int:
    """Baseline and control first, the oracle last; others as they came."""
    order = {"baseline": 0, "control": 1, None: 2, "oracle": 3}
    return order[row.role]


def _space(run: Run) -> tuple[Any, ...]:
    """What rows must share to stand in one table."""
    scores = scores_of(run)
    return (scores["source"], scores["target"], split_scored(scores), tuple(scores["classes"]))


def _title(run: Run) -> str:
    source, target, split, classes = _space(run)
    where = f"{target} ({split})" if split else target
    return f"{source} → {where}, {len(classes)} classes"
