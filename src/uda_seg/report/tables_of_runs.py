"""Tables of rows that compare, one for every pair of domains and set of classes."""

from collections.abc import Mapping, Sequence

import numpy as np

from uda_seg.errors import ConfigError, suggest
from uda_seg.report.grouping import Group, counted, progress, short
from uda_seg.report.labels import label
from uda_seg.report.rows import ROLES, Row, compare
from uda_seg.report.runs import Run
from uda_seg.report.table import Table, run_table

METHODS = {"baseline": "source_only", "control": "adaptive_bn", "oracle": "target_only"}
"""Whose rows play a role where nothing else is said."""


def tables(
    groups: Sequence[Group], wanted: Mapping[str, str | None], selection: str
) -> tuple[list[Table], list[str]]:
    """
    Args:
        groups: of runs.
        wanted: role to the name, label or method of its row; None: by `METHODS`.
        selection: which checkpoint of every run counts.

    Returns:
        A table for each pair of domains and set of classes, and what is to be said about runs that
        are in none.

    Raises:
        ConfigError: no run has been scored, or a wanted row is in no table.
    """
    remarks = [
        f"{short(run.folder)}: no scores yet ({progress(run)})"
        for group in groups
        for run in group.runs
        if run.scores is None
    ]
    spaces: dict[tuple, list[Group]] = {}
    for group in groups:
        if group.scores and group.shown:
            spaces.setdefault(group.space, []).append(group)
        elif group.scores:
            place = short(group.runs[0].folder)
            remarks.append(f"{place}: is not shown by its table (other runs start from it)")
    if not spaces:
        raise ConfigError("runs: none has been scored yet; " + "; ".join(remarks[:5]))
    made = [_table(members, wanted, selection) for members in spaces.values()]
    found = [table for table, _ in made if table.rows]
    if not found:
        raise ConfigError(f"selection={selection}: no run has it")
    _check_wanted(wanted, groups, [known for _, known in made])
    empty = [remark for table, _ in made if not table.rows for remark in table.remarks]
    return found, [*remarks, *empty]


def _table(
    groups: Sequence[Group], wanted: Mapping[str, str | None], selection: str
) -> tuple[Table, set[str]]:
    """A table, and the names by which its rows can be wanted."""
    remarks: list[str] = []
    rows: list[Row] = []
    members: list[Group] = []
    for group, text in zip(groups, label(groups), strict=True):
        runs, said = counted(group, selection)
        remarks += said
        if runs:
            rows.append(_row(group, text, runs, {row.name for row in rows}))
            members.append(group)
    names = {name for row, group in zip(rows, members) for name in _names(row, group)}
    related: list[Row] = []
    for backbone in dict.fromkeys(group.scores["backbone"] for group in members):
        same = [p for p, group in enumerate(members) if group.scores["backbone"] == backbone]
        mine, theirs = [rows[p] for p in same], [members[p] for p in same]
        roles, said = _roles(mine, theirs, wanted, selection)
        remarks += said
        related += compare(mine, **roles, selection=selection)
    if not any(group.name for group in members):
        related.sort(key=_rank)
    made = run_table(related, _title(groups[0]), selection=selection, remarks=remarks)
    return made, names


def _row(group: Group, text: str, runs: Sequence[Run], taken: set[str]) -> Row:
    open_ended = [run for run in runs if not run.finished]
    if open_ended:
        text = f"{text} (unfinished, {progress(open_ended[0])})"
    scores = [run.scores for run in runs if run.scores is not None]
    name = group.name if group.name and group.name not in taken else text
    return Row(name, text, [run.folder for run in runs], scores)


def _names(row: Row, group: Group) -> set[str]:
    return {row.name, row.label, group.method}


def _roles(
    rows: Sequence[Row],
    groups: Sequence[Group],
    wanted: Mapping[str, str | None],
    selection: str,
) -> tuple[dict[str, str], list[str]]:
    """Role to row. Of several candidates the one with the highest mIoU, and a remark."""
    roles, remarks = {}, []
    for role in ROLES:
        pairs = list(zip(rows, groups, strict=True))
        if wanted.get(role):
            able = [row for row, group in pairs if wanted[role] in _names(row, group)]
        else:
            able = [row for row, group in pairs if group.roles.get(role) == row.name]
            able = able or [row for row, group in pairs if group.method == METHODS[role]]
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


def _check_wanted(
    wanted: Mapping[str, str | None], groups: Sequence[Group], known: Sequence[set[str]]
) -> None:
    every = sorted({name for names in known for name in names})
    for role, name in wanted.items():
        if name and name not in every:
            raise ConfigError(
                f"{role}={name}: no row has this name; {suggest(name, every)}"
                f"choose from {', '.join(every)}"
            )


def _rank(row: Row) -> int:
    """Baseline and control first, the oracle last; others as they came."""
    order = {"baseline": 0, "control": 1, None: 2, "oracle": 3}
    return order[row.role]


def _title(group: Group) -> str:
    source, target, split, classes = group.space
    where = f"{target} ({split})" if split else target
    return f"{source} → {where}, {len(classes)} classes"
