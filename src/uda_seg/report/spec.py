"""A table's YAML with what its runs left, as a table; its mistakes, before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from uda_seg.data.datasets.classes import SPACES
from uda_seg.errors import ConfigError, show, suggest
from uda_seg.report.columns import part_columns, published_columns, run_columns
from uda_seg.report.published import columns_of, published_of
from uda_seg.report.rows import ROLES, Row, compare
from uda_seg.report.table import Table

QUOTED = "quoted from the paper, no method of this project"


def without_published(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The same table of our runs alone: no paper's numbers, and no rows that cannot be run."""
    rows = {name: e for name, e in spec["rows"].items() if not is_quoted(e)}
    return {**spec, "paper": None, "columns": None, "rows": rows}


def table_of(
    spec: Mapping[str, Any], ran: Mapping[str, Row] | None = None, selection: str = "last"
) -> Table:
    """
    Args:
        spec: a table's config. With `columns` it is a published one: means, the paper's and ours.
        ran: rows by name, with folders, runs and what is to be said about them.
        selection: which checkpoint of our runs counts.

    Raises:
        ConfigError: the table's config is wrong, or runs do not compare.
    """
    ran, is_published = ran or {}, bool(spec.get("columns"))
    classes = classes_of(spec) if is_published else ()
    rows = []
    for name, entry in shown(spec).items():
        row = ran.get(name) or Row(name, "", state="not run", why="not run yet")
        if is_quoted(entry):
            row = replace(row, state="quoted", why=QUOTED)
        published = published_of(name, entry, spec, classes) if is_published else row.published
        rows.append(
            replace(
                row,
                label=str(entry["label"]),
                network=str(entry.get("backbone") or ""),
                note=str(entry.get("note") or ""),
                published=published,
            )
        )
    rows = _beside(spec, rows, selection)
    columns = (
        [*published_columns(columns_of(spec), classes, selection), *part_columns(rows)]
        if is_published
        else run_columns(rows)
    )
    text, paper = " ".join([spec["text"], *_encoder_updates(spec, rows)]), spec.get("paper")
    return Table(spec["title"], rows, columns, text, paper, classes, selection)


def _beside(spec: Mapping[str, Any], rows: Sequence[Row], selection: str) -> list[Row]:
    """Each network's rows beside their own baseline, control and oracle; the oracle after them."""
    related: dict[str, Row] = {}
    oracles: dict[str, Row] = {}
    for network in dict.fromkeys(row.network for row in rows):
        same = [row for row in rows if row.network == network]
        roles = {role: roles_of(spec).get(network, {}).get(role) for role in ROLES}
        members = compare(same, **roles, selection=selection)
        related |= {row.name: row for row in members}
        for row in members:
            if row.role == "oracle":
                oracles[same[-1].name] = row
    ordered: list[Row] = []
    for row in (related[row.name] for row in rows):
        ordered += [row] if row.role != "oracle" else []
        ordered += [oracles[row.name]] if row.name in oracles else []
    return ordered


def _encoder_updates(spec: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[str]:
    """How often our runs updated their encoder: a published rate means little without it."""
    labels: dict[str, dict[str, None]] = {}
    for row in rows:
        for run in row.runs:
            labels.setdefault(str(run.get("encoder_updates", 1)), {})[row.label] = None
    if not spec.get("paper") or not labels:
        return
    each = [f"{updates} ({', '.join(names)})" for updates, names in labels.items()]
    words = next(iter(labels)) if len(each) == 1 else "; ".join(each)
    yield f"Encoder updates of our runs (backbone.optimizer.encoder_updates): {words}."


def classes_of(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a published table's classes: a space of `SPACES`, or a list of its own."""
    wanted = spec.get("classes")
    if isinstance(wanted, list):
        return tuple(wanted)
    if wanted not in SPACES:
        hint = f"{suggest(show(wanted), SPACES)}choose from {', '.join(SPACES)}, or list them"
        raise ConfigError(f"table.classes: {show(wanted)} unknown, {hint}")
    return SPACES[wanted]


def roles_of(spec: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Network to role to row; of a table of one network, whose rows name none, it is empty."""
    roles = spec.get("roles") or {}
    if all(not isinstance(value, Mapping) for value in roles.values()):
        roles = {"": roles}
    return {network: dict(named or {}) for network, named in roles.items()}


def is_quoted(entry: Mapping[str, Any]) -> bool:
    """Whether a row is its paper's alone: it neither trains nor asks other rows together."""
    return entry.get("overrides") is None and not entry.get("together")


def shown(spec: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rows that a reader sees; others are there for rows that start from them."""
    return {name: entry for name, entry in spec["rows"].items() if entry.get("shown", True)}


def check_spec(spec: Mapping[str, Any]) -> None:
    """
    Raises:
        ConfigError: roles that are no rows, rows without label, numbers without origin.
    """
    rows = shown(spec)
    for network, roles in roles_of(spec).items():
        for role, name in roles.items():
            where = ".".join(filter(None, ["table.roles", network, role]))
            if role not in ROLES:
                hint = f"{suggest(role, ROLES)}choose from {', '.join(ROLES)}"
                raise ConfigError(f"{where}: unknown role, {hint}")
            known = [n for n, entry in rows.items() if (entry.get("backbone") or "") == network]
            if name is not None and name not in known:
                hint = f"{suggest(str(name), known)}choose from {', '.join(known)}"
                of_network = f" with {network}" if network else ""
                raise ConfigError(f"{where}: there is no row {name}{of_network}, {hint}")
    needed = ("label",) if "" in roles_of(spec) else ("label", "backbone")
    for name, entry in rows.items():
        for key in needed:
            if not isinstance(entry.get(key), str):
                raise ConfigError(f"table.rows.{name}.{key}: is missing")
    table_of(spec)
