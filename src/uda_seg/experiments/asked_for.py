"""The table that a command line asks for: its YAML, without the rows that are left out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from uda_seg.errors import ConfigError, suggest
from uda_seg.experiments.rows import needed_rows
from uda_seg.report.spec import check_spec, roles_of, without_published


def asked_for(config: Mapping[str, Any], verb: str) -> dict[str, Any]:
    """
    Args:
        config: with `table` and `leave_out`, names of rows.
        verb: `compare` leaves out what papers say, too.

    Raises:
        ConfigError: the table is wrong, or a row that is left out does not exist or is needed.
    """
    spec, names = config["table"], config["leave_out"]
    check_spec(spec)
    names = [names] if isinstance(names, str) else list(names)
    if mistakes := list(_mistakes(spec, names)):
        raise ConfigError("\n".join(f"leave_out: {mistake}" for mistake in mistakes))
    rows = {name: entry for name, entry in spec["rows"].items() if name not in names}
    spec = {**spec, "rows": rows}
    return without_published(spec) if verb == "compare" else spec


def _mistakes(spec: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    rows = spec["rows"]
    for name in names:
        if name not in rows:
            hint = f"{suggest(str(name), rows)}choose from {', '.join(rows)}"
            yield f"there is no row {name}, {hint}"
    kept = {name: entry for name, entry in rows.items() if name not in names}
    if not any(entry.get("shown", True) for entry in kept.values()):
        yield "no row is left"
        return
    for name in names:
        if followers := [other for other, entry in kept.items() if name in needed_rows(entry)]:
            yield f"{name} is needed, {', '.join(followers)} start from it; leave these out as well"
    for network, roles in roles_of(spec).items():
        same = any((entry.get("backbone") or "") == network for entry in kept.values())
        for role, row in roles.items():
            if row in names and same:
                key = ".".join(filter(None, ["table.roles", network, role]))
                how = f"'{key}=null'" if " " not in key else f"a file of your own with {key}: null"
                yield f"{row} is the {role}; {how} goes without one"
