"""Mistakes in a config, in words: the value as it is written, what was meant, the cure."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from uda_seg.errors import show
from uda_seg.runs import older_names


def unknown_key(key: str, tree: Mapping[str, Any], verb: str) -> str:
    """Names the nearest key that exists, and the neighbors of the one that does not."""
    if now := older_names.key_now(key):
        return f"{key}: unknown key, it is called {now} now"
    if key in older_names.REPLACED:
        return f"{key}: unknown key, {older_names.REPLACED[key]}"
    parts, depth = key.split("."), 0
    node: Any = tree
    while isinstance(node, Mapping) and depth < len(parts) and key_in(node, parts[depth]) in node:
        node = node[key_in(node, parts[depth])]
        depth += 1
    where = ".".join(parts[:depth])
    if not isinstance(node, Mapping):
        words = f"{key}: unknown key, {where} holds a single value ({show(node)})"
        other = re.fullmatch(r"\$\{oc\.select:([\w.]+),.*\}", str(node))
        if other is None:
            return words
        there = ".".join([other[1], *parts[depth:]])
        return f"{words}; give {where} as a whole, or set {there} if there is one"
    siblings = [str(name) for name in node if not str(name).startswith("_")]
    near = difflib.get_close_matches(parts[depth], siblings, n=1, cutoff=0.6)
    below = [path for path in leaves(node) if f".{path}".endswith("." + ".".join(parts[depth:]))]
    meant: str | None
    if below:
        meant = ".".join([*parts[:depth], min(below, key=len)])
    elif near:
        meant = ".".join([*parts[:depth], near[0], *parts[depth + 1 :]])
    else:
        meant = _elsewhere(parts, tree)
    hint = f"did you mean {meant}? " if meant else ""
    place = f"keys of {where}" if where else f"keys of {verb}"
    return f"{key}: unknown key, {hint}{place}: {', '.join(siblings) or 'none'}"


def _elsewhere(parts: list[str], tree: Mapping[str, Any]) -> str | None:
    """The path of a key of (nearly) that name anywhere in the tree: the one that is most like the
    path that was given, or the shortest.
    """

    def unlike(path: str) -> tuple[int, int, str]:
        others = path.split(".")
        return -sum(part in others for part in parts), len(others), path

    paths = sorted(leaves(tree), key=unlike)
    names = [path.rpartition(".")[2] for path in paths]
    near = difflib.get_close_matches(parts[-1], names, n=1, cutoff=0.8)
    return paths[names.index(near[0])] if near else None


def key_in(node: Any, name: str) -> Any:
    """The key that a part of a dotted path means: in a YAML it may be a whole number."""
    numbered = name not in node and name.isdecimal() and int(name) in node
    return int(name) if numbered else name


def leaves(node: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of all values; what begins with `_` is left out."""
    if not isinstance(node, Mapping) or not node:
        if path:
            yield path
        return
    for key, child in node.items():
        if not str(key).startswith("_"):
            yield from leaves(child, f"{path}.{key}" if path else str(key))
