"""Overrides as text that Hydra reads back as they were meant, whatever signs are in them."""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException


def quoted(text: str | Path) -> str:
    return QuotedString(str(text), Quote.single).with_quotes()


def where_needed(text: str | Path) -> str:
    """As it is where Hydra reads the very same text without quotes, else in quotes."""
    try:
        read = OverridesParser.create().parse_override(f"key={text}").value()
    except HydraException:
        return quoted(text)
    return str(text) if read == str(text) else quoted(text)


def setting(key: str, text: str | Path) -> str:
    return f"{key}={quoted(text)}"


def typed(key: str, text: str) -> str:
    """What to type in a shell."""
    line = setting(key, text)
    return '"' + "".join(f"\\{sign}" if sign in '\\"$`' else sign for sign in line) + '"'


def as_text(argument: str, multirun: bool) -> str | None:
    """An override that Hydra's grammar cannot read, such as root=~/pics or root=/bücher, with its
    value (or the elements of its list) in quotes; None where it was not meant as text.

    Args:
        argument: key=value.
        multirun: whether commas part several values.
    """
    key, equals, value = argument.partition("=")
    if not equals or not re.fullmatch(r"[+~]{0,2}[\w./@]+", key) or "${" in value:
        return None
    if value.startswith("[") and value.endswith("]") and not re.search(r"[\[\]{}'\"]", value[1:-1]):
        return f"{key}=[{','.join(_element(part) for part in value[1:-1].split(','))}]"
    if not value or value[0] in "[{'\"(" or (multirun and re.fullmatch(r"\w+\(.*\)", value)):
        return None
    parts = value.split(",") if multirun else [value]
    return f"{key}={','.join(map(_element, parts))}"


def _element(text: str) -> str:
    """In quotes, unless it is a number or a word that means itself."""
    text = text.strip()
    return text if re.fullmatch(r"[\w./+-]+", text, re.ASCII) else quoted(text)
