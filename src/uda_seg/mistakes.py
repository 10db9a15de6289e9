"""What is wrong with one value of a config, in words: the value, the choices, the cure."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from uda_seg.errors import ConfigError

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def together(lines: Iterable[str]) -> ConfigError:
    """One error that shows all mistakes, each once."""
    lines = list(dict.fromkeys(lines))
    count = f"{len(lines)} mistakes" if len(lines) > 1 else "a mistake"
    return ConfigError("\n  ".join([f"{count} in the config:", *lines]))


@dataclass
class Rule:
    """What a key may hold, told by the YAML file it stands in."""

    default: Any
    choices: list[Any] | None = None
    minimum: float | None = None
    nullable: bool = False

    @classmethod
    def of(cls, parent: Any, key: str, default: Any, computed: bool) -> "Rule":
        """
        Args:
            parent: the mapping (or list) that holds the key, with its `_choices_` and so on.
            key: the key in it.
            default: its resolved value in the YAML.
            computed: whether the YAML has an interpolation there.
        """
        if not isinstance(parent, Mapping):
            return cls(default)
        return cls(
            default,
            parent.get("_choices_", {}).get(key),
            parent.get("_minimum_", {}).get(key),
            computed or default is None or key in parent.get("_optional_", ()),
        )

    def complaints(self, key: str, value: Any) -> Iterator[str]:
        """One line for everything that is wrong with the value; none when it fits."""
        given = f"{key}={show(value)}"
        if value is None and self.nullable:
            return
        if self.choices is not None:
            yield from self._outside_choices(given, value)
            return
        expected = self._expected(value)
        if expected is not None:
            yield f"{given}: must be {expected}"
            return
        for element in value if isinstance(value, list) else [value]:
            if self.minimum is not None and not (_number(element) and element >= self.minimum):
                yield f"{given}: must be at least {self.minimum}"
                return

    def _outside_choices(self, given: str, value: Any) -> Iterator[str]:
        assert self.choices is not None
        several = isinstance(value, list) and isinstance(self.default, list)
        wrong = [v for v in (value if several else [value]) if not _among(v, self.choices)]
        if wrong:
            named = [show(choice) for choice in self.choices]
            yield f"{given}: {suggest(show(wrong[0]), named)}choose from {', '.join(named)}"

    def _expected(self, value: Any) -> str | None:
        """What should have stood there, or None when the value fits."""
        if self.default is None or _fits(value, self.default):
            return self._wrong_element(value)
        example = "" if isinstance(self.default, dict) else f", like {show(self.default)}"
        if isinstance(self.default, str) and isinstance(value, int | float):
            return f"text{example}; put it in quotes twice: \"'{show(value)}'\""
        if isinstance(self.default, dict):
            keys = [str(key) for key in self.default if not str(key).startswith("_")]
            how = f"; give its keys one by one: {', '.join(keys)}" if keys else ""
            return f"a mapping{how}"
        return KINDS.get(type(self.default), type(self.default).__name__) + example

    def _wrong_element(self, value: Any) -> str | None:
        if not isinstance(value, list) or not isinstance(self.default, list) or not self.default:
            return None
        for element in value:
            if not any(_fits(element, example) for example in self.default):
                kind = KINDS.get(type(self.default[0]), "such values")
                return f"a list, each element {kind}, like {show(self.default)}"
        return None


def _fits(value: Any, default: Any) -> bool:
    """By type; a whole number does for a number, true and false never do."""
    if isinstance(default, float):
        return _number(value)
    return type(value) is type(default)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _among(value: Any, choices: list[Any]) -> bool:
    """Equal and of one type: 1 is not true."""
    return any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool)
        for choice in choices
    )


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


def unknown_key(key: str, tree: Mapping[str, Any], verb: str) -> str:
    """Names the nearest key that exists, and the neighbours of the one that does not."""
    parts, depth = key.split("."), 0
    node: Any = tree
    while isinstance(node, Mapping) and depth < len(parts) and key_in(node, parts[depth]) in node:
        node = node[key_in(node, parts[depth])]
        depth += 1
    where = ".".join(parts[:depth])
    if not isinstance(node, Mapping):
        return f"{key}: unknown key, {where} holds a single value ({show(node)})"
    siblings = [str(name) for name in node if not str(name).startswith("_")]
    near = difflib.get_close_matches(parts[depth], siblings, n=1, cutoff=0.6)
    meant: str | None
    if near:
        meant = ".".join([*parts[:depth], near[0], *parts[depth + 1 :]])
    else:
        meant = _elsewhere(parts[-1], tree)
    hint = f"did you mean {meant}? " if meant else ""
    place = f"keys of {where}" if where else f"keys of {verb}"
    return f"{key}: unknown key, {hint}{place}: {', '.join(siblings) or 'none'}"


def _elsewhere(name: str, tree: Mapping[str, Any]) -> str | None:
    """The path of a key of (nearly) that name anywhere in the tree, the shortest one."""
    paths = sorted(leaves(tree), key=lambda path: (path.count("."), path))
    names = [path.rpartition(".")[2] for path in paths]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
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
