"""Numbers out of papers, each with where it comes from: read, recalled or unknown.

In a table's YAML a row's `published:` says `origin`, `certainty` (of what is recalled) and `source`
(of what is read) for all its values: `iou`, one number a class of the table, and means by their
column. A value of another origin is a mapping of its own: `{value: 42.4, origin: read, source: …}`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from uda_seg.errors import ConfigError, show, suggest
from uda_seg.evaluation.measures import GROUPS, PROTOCOLS, SUBSETS, mean, protocols

CERTAINTIES = {
    "high": "recalled, sure",
    "medium": "recalled, fairly sure",
    "low": "recalled, with little certainty",
    "arithmetic": "recalled; the recalled classes average to the recalled or published mean",
}
ORIGINS = ("read", "recalled", "unknown")
ORACLE = "oracle"
"""Key of what a row's network reaches with target labels, as its paper says."""


@dataclass(frozen=True)
class Origin:
    """Of a published number."""

    kind: str
    """One of ORIGINS, or `computed`: by us, from the row's published classes."""
    certainty: str | None = None
    sources: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """As a footnote."""
        if self.kind == "recalled":
            return CERTAINTIES[str(self.certainty)]
        if self.kind == "computed":
            return "computed by us from the row's published classes"
        return f"read: {'; '.join(self.sources)}"


UNKNOWN = Origin("unknown")


@dataclass(frozen=True)
class Value:
    """A published number in percent, NaN where it is unknown."""

    number: float
    origin: Origin

    @property
    def known(self) -> bool:
        return not math.isnan(self.number)


NOTHING = Value(math.nan, UNKNOWN)


@dataclass(frozen=True)
class Mean:
    """A column of a table: the mean IoU over some classes.

    Attributes:
        key: a protocol of `measures`, or a name of the table's own.
        classes: of the table's own; None: those of the protocol.
        over: what their sum is divided by; None: their number.
        label: the column's head.
    """

    key: str
    label: str
    classes: tuple[str, ...] | None = None
    over: int | None = None

    def of(self, selection: Mapping[str, Any], names: Sequence[str]) -> float:
        """In percent, NaN when the run does not score all its classes.

        Args:
            selection: of loaded scores.
            names: of the run's classes.
        """
        if self.classes is not None:
            return self.of_classes(selection["iou"])
        found = protocols(selection["confusion"], names, [self.key], selection["others"])
        return found.get(self.key, math.nan)

    def of_classes(self, iou: Mapping[str, float]) -> float:
        """From the classes' IoU alone."""
        values = [iou.get(name, math.nan) for name in self.members()]
        if not values or any(math.isnan(value) for value in values):
            return math.nan
        return sum(values) / self.over if self.over else mean(np.array(values))

    def members(self) -> Sequence[str]:
        return self.classes if self.classes is not None else SUBSETS.get(self.key, ())


@dataclass(frozen=True)
class Published:
    """What a paper says of one row."""

    iou: Mapping[str, Value]
    means: Mapping[str, Value]
    oracle: Value

    def mean(self, key: str) -> Value:
        return self.means.get(key, NOTHING)

    def of_class(self, name: str) -> Value:
        return self.iou.get(name, NOTHING)

    def values(self) -> list[Value]:
        return [*self.means.values(), *self.iou.values(), self.oracle]


UNPUBLISHED = Published({}, {}, NOTHING)


def columns_of(table: Mapping[str, Any]) -> list[Mean]:
    """The means a table shows, the most important first.

    Raises:
        ConfigError: there is none, or no such mean.
    """
    own = table.get("means") or {}
    known = [*own, *SUBSETS, *GROUPS]
    found = []
    for key in table["columns"]:
        if key not in known:
            hint = f"{suggest(show(key), known)}choose from {', '.join(known)}"
            raise ConfigError(f"table.columns: {show(key)} unknown, {hint}")
        if key in own:
            entry = own[key]
            found.append(Mean(key, entry["label"], tuple(entry["classes"]), entry.get("over")))
        else:
            found.append(Mean(key, PROTOCOLS[key]))
    if not found:
        raise ConfigError("table.columns: is empty; name the means to show, say miou_19")
    return found


def published_of(
    row: str, entry: Mapping[str, Any], table: Mapping[str, Any], classes: Sequence[str]
) -> Published:
    """What stands under `published:` of a row; nothing is known where nothing stands.

    Raises:
        ConfigError: a number without an origin, an origin without its source, or a wrong key.
    """
    node = dict(entry.get("published") or {})
    where, sources = f"table.rows.{row}.published", table.get("sources") or {}
    default = {key: node.pop(key) for key in ("origin", "certainty", "source") if key in node}
    columns = columns_of(table)
    allowed = ["iou", ORACLE, *(column.key for column in columns)]
    for key in node:
        if key not in allowed:
            hint = f"{suggest(str(key), allowed)}choose from {', '.join(allowed)}"
            raise ConfigError(f"{where}.{key}: unknown key, {hint}")
    iou = _classes(f"{where}.iou", node.get("iou"), default, sources, classes)
    numbers = {name: value.number for name, value in iou.items()}
    means = {}
    for column in columns:
        value = _value(f"{where}.{column.key}", node.get(column.key), default, sources)
        computed = column.of_classes(numbers)
        if not value.known and not math.isnan(computed):
            value = Value(computed, Origin("computed"))
        means[column.key] = value
    oracle = _value(f"{where}.{ORACLE}", node.get(ORACLE), default, sources)
    return Published(iou, means, oracle)


def _classes(
    where: str,
    node: Any,
    default: Mapping[str, Any],
    sources: Mapping[str, str],
    classes: Sequence[str],
) -> dict[str, Value]:
    own = node if isinstance(node, Mapping) else {"value": node}
    listed = own.get("value")
    if listed is None:
        return dict.fromkeys(classes, NOTHING)
    if not isinstance(listed, list) or len(listed) != len(classes):
        raise ConfigError(
            f"{where}: must be a list with one number for each of the {len(classes)} classes "
            f"{', '.join(classes)}; null where it is unknown"
        )
    rest = {**default, **{key: child for key, child in own.items() if key != "value"}}
    return {
        name: _value(f"{where}.{name}", number, rest, sources)
        for name, number in zip(classes, listed, strict=True)
    }


def _value(where: str, node: Any, default: Mapping[str, Any], sources: Mapping[str, str]) -> Value:
    if isinstance(node, Mapping):
        default = {key: child for key, child in node.items() if key != "value"}
        node = node.get("value")
    if node is None:
        return NOTHING
    if isinstance(node, bool) or not isinstance(node, int | float) or not 0 <= node <= 100:
        raise ConfigError(f"{where}: {show(node)} is no number of percent")
    return Value(float(node), _origin(where, default, sources))


def _origin(where: str, said: Mapping[str, Any], sources: Mapping[str, str]) -> Origin:
    kind, certainty = said.get("origin"), said.get("certainty")
    if kind not in ("read", "recalled"):
        raise ConfigError(
            f"{where}: a number needs an origin, read or recalled; {show(kind)} is none, and what "
            "is unknown is null"
        )
    if kind == "recalled" and certainty not in CERTAINTIES:
        known = ", ".join(CERTAINTIES)
        raise ConfigError(f"{where}: what is recalled needs a certainty, one of {known}")
    if kind == "recalled":
        return Origin(kind, certainty)
    named = said.get("source")
    names = [named] if isinstance(named, str) else list(named or ())
    for name in names or ["?"]:
        if name not in sources:
            hint = f"{suggest(str(name), sources)}choose from {', '.join(sources) or 'none'}"
            raise ConfigError(f"{where}: what is read needs a source of table.sources; {hint}")
    return Origin(kind, None, tuple(str(sources[name]) for name in names))
