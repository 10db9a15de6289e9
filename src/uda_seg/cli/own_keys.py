"""Mappings whose keys are the user's own, such as a dataset's `classes`: never merged.

`source.classes={0: background, 255: road}` over a YAML with `{0: background, 1: road}` names ids 0
and 255. Hydra would merge the two; it is handed `source.classes=null` first.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from uda_seg.cli.rules import Rule
from uda_seg.cli.tree import at
from uda_seg.config import has_own_keys, shared_words
from uda_seg.errors import show
from uda_seg.runs.quoting import quoted


def mapping_of(tree: Any, key: str) -> str | None:
    """The path of such a mapping that a key is, or stands in; None for any other key."""
    for path in (key, key.rpartition(".")[0]):
        parent = at(tree, path.rpartition(".")[0]) if has_own_keys(path) else None
        if isinstance(parent, Mapping) and path.rpartition(".")[2] in parent:
            return path
    return None


def rule_of_whole(mapping: str) -> Rule:
    """What such a mapping may be as a whole."""
    kinds = shared_words()["_own_keys_"]
    kind = next(pattern for pattern in kinds if fnmatchcase(mapping, pattern))
    return Rule(kinds[kind], nullable=True)


def lines(mapping: str, key: str, line: str) -> list[str]:
    """The overrides that Hydra is handed in place of one.

    Args:
        mapping: the path of such a mapping.
        key: its path, or that of a key in it.
        line: the override as it was given.
    """
    line = line.lstrip("+")
    if key != mapping:
        return [f"++{line}"]
    empty = f"{key}=null"
    return [empty] if line == empty else [empty, f"++{line}"]


def written(value: Any) -> str:
    """In Hydra's grammar."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {written(child)}' for key, child in value.items())}}}"
    return quoted(value) if isinstance(value, str) else show(value)
