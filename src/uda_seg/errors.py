"""Mistakes a user can mend: shown as one message, exit code 2, no traceback."""

import difflib
from collections.abc import Iterable
from typing import Any


class UserError(Exception):
    """Names the file or key, the value, the choices and the cure."""

    exit_code = 2


class ConfigError(UserError):
    """All complaints about a config, one a line, each with the key to mend."""


class DataError(UserError):
    """A file or folder that cannot be used as it lies on disk."""


class WeightsError(UserError):
    """Pretrained weights that are missing or do not fit the network."""


class CheckError(UserError):
    """What was looked at is not in order; the details stand above."""

    exit_code = 1


def together(lines: Iterable[str]) -> ConfigError:
    """One error that shows all mistakes, each once."""
    lines = list(dict.fromkeys(lines))
    count = f"{len(lines)} mistakes" if len(lines) > 1 else "a mistake"
    return ConfigError("\n  ".join([f"{count} in the config:", *lines]))


def show(value: Any) -> str:
    """As it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(show, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}: {show(child)}' for key, child in value.items())}}}"
    return str(value)


def suggest(wrong: str, known: Iterable[str]) -> str:
    """`did you mean …? ` or nothing."""
    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}? " if close else ""
