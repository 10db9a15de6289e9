"""One override of the command line, as Hydra's grammar reads it."""

from dataclasses import replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, IntervalSweep, Override, ValueType
from hydra.errors import HydraException

from uda_seg.runs.quoting import as_text, typed


def parsed(argument: str, multirun: bool) -> Override:
    """
    Raises:
        HydraException: the argument cannot be read, even with its value as plain text.
    """
    parser = OverridesParser.create()
    try:
        return parser.parse_override(argument)
    except HydraException:
        text = as_text(argument, multirun)
        if text is None:
            raise
        return parser.parse_override(text)


def syntax_complaint(argument: str, error: HydraException) -> str:
    key, equals, value = argument.partition("=")
    if not equals and not argument.startswith("~"):
        return "is not key=value"
    reason = str(error).partition("\n")[0]
    return (
        f"cannot be read ({reason}); if it is meant as one text, type it in quotes within quotes: "
        f"{typed(key, value)}"
    )


def values_of(override: Override, known: list[str] | None = None) -> list[Any]:
    """The one value of an override, or all of a sweep's; `known` is what a glob picks from."""
    value = override.value()
    if not override.is_sweep_override():
        return [value]
    if isinstance(value, IntervalSweep):
        return [value.start, value.end]
    if isinstance(value, Glob):
        return list(value.filter(known or []))
    return [Override._convert_value(element) for element in override.sweep_iterator()]


def with_first_value(override: Override) -> Override:
    """The override with its first value alone, so that one config can be looked at."""
    if not override.is_sweep_override():
        return override
    return replace(override, value_type=ValueType.ELEMENT, _value=values_of(override)[0])
