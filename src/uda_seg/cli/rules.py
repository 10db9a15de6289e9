"""What a config's keys may hold: by the value in the YAML files, and by the words beside it.

The words stand in `uda_seg/config.py`. For keys that stand in many files, conf/rules.yaml has them
under patterns of paths; what a file says beside its own key goes first.
"""

import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from uda_seg.config import shared_words
from uda_seg.errors import show, suggest

KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}
BOUNDS = {
    "minimum": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "below": ("below", operator.lt),
}
LARGEST = 2**63 - 1
"""The largest whole number that torch and numpy take."""


@dataclass
class Rule:
    """What a key may hold.

    Attributes:
        default: its value in the YAML, or an example where that is null; it tells the kind.
        choices: the only values.
        minimum: the least number, of a list and a mapping each one; and so on.
        length: of a list: a number, or text such as `1+`: at least 1.
        increasing: whether a list's numbers must not fall.
        nullable: whether it may be null.
        single: whether one text does for a list of them.
        listable: whether a list may say which, instead of a number how many.
    """

    default: Any
    choices: list[Any] | None = None
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None
    length: int | str | None = None
    increasing: bool = False
    nullable: bool = False
    single: bool = False
    listable: bool = False

    @classmethod
    def of(cls, path: str, parent: Any, written: Any, default: Any) -> "Rule":
        """
        Args:
            path: the key's, from the root.
            parent: the mapping (or list) that holds the key, with its `_choices_` and so on.
            written: its value in the YAML, which may be an interpolation.
            default: that value, resolved.

        A bound that names a sibling is left to `of_whole`.
        """
        words = _words(path, parent)
        like = words.pop("like", None)
        computed = isinstance(written, str) and "${" in written
        nullable = words.pop("optional", False) or computed or default is None
        if default == "???":
            default, nullable = None, False
        if default is None:
            default, words["single"] = like, _of_texts(like)
        words = {w: bound for w, bound in words.items() if not _names_a_sibling(w, bound)}
        return cls(default, nullable=nullable, **words)

    @classmethod
    def of_whole(cls, path: str, parent: Any) -> "Rule":
        """The bounds of a value in a whole config, those that name a sibling among them."""
        words = {w: bound for w, bound in _words(path, parent).items() if w in WHOLE}
        for word, bound in words.items():
            if _names_a_sibling(word, bound):
                words[word] = parent[bound] if _is_number(parent.get(bound)) else None
        return cls(None, nullable=True, **words)

    def complaints(self, key: str, value: Any) -> Iterator[str]:
        """One line for everything that is wrong with the value; none when it fits."""
        given = f"{key}={show(value)}"
        if value is None and self.nullable:
            return
        if self.listable and isinstance(value, list):
            if not value or any(type(n) is not int or n < 0 or value.count(n) > 1 for n in value):
                yield f"{given}: must be how many, like {self.default}, or a list of which: [0,2]"
            return
        if self.choices is not None:
            if outside := list(self._outside_choices(given, value)):
                yield from outside
                return
        elif expected := self._expected(value):
            yield f"{given}: must be {expected.replace('{key}', key)}"
            return
        yield from self.outside_bounds(key, value)

    def outside_bounds(self, key: str, value: Any) -> Iterator[str]:
        """What is wrong with its numbers and its length, whatever its kind is."""
        given = f"{key}={show(value)}"
        if self.listable and isinstance(value, list):
            return  # its numbers are no amounts
        if wrong := self._wrong_length(value):
            yield f"{given}: must be {wrong}"
            return
        numbers = list(_numbers(value))
        every = [(words, holds, getattr(self, name)) for name, (words, holds) in BOUNDS.items()]
        bounds = [bound for bound in every if bound[-1] is not None]
        named = " and ".join(f"{words} {bound}" for words, _, bound in bounds)
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            yield f"{given}: must be a finite number{self._example()}"
        elif any(isinstance(n, int) and abs(n) > LARGEST for n in numbers):
            yield f"{given}: must be at most {LARGEST}"
        elif bounds and not numbers and value not in ([], {}):
            yield f"{given}: must be a number, {named}"
        elif not all(holds(number, bound) for number in numbers for _, holds, bound in bounds):
            yield f"{given}: must be {named}"
        elif self.increasing and numbers != sorted(numbers):
            yield f"{given}: must begin with the smallest: {show(sorted(numbers))}"

    def _wrong_length(self, value: Any) -> str | None:
        if self.length is None or value is None:
            return None
        least, more = int(str(self.length).rstrip("+")), str(self.length).endswith("+")
        if isinstance(value, list):
            right = len(value) >= least if more else len(value) == least
        else:
            right = more  # a single one, maybe; its kind is judged elsewhere
        if right:
            return None
        size = "that is not empty" if more and least == 1 else f"of {least}"
        return f"a list {size}{' or more' if more and least > 1 else ''}{self._example()}"

    def _outside_choices(self, given: str, value: Any) -> Iterator[str]:
        assert self.choices is not None
        several = isinstance(value, list)
        if isinstance(self.default, list) and not several:
            yield f"{given}: must be a list: [{show(value)}]"
            return
        several = several and isinstance(self.default, list)
        wrong = [v for v in (value if several else [value]) if not _among(v, self.choices)]
        if wrong:
            named = [show(choice) for choice in self.choices]
            yield f"{given}: {suggest(show(wrong[0]), named)}choose from {', '.join(named)}"

    def _expected(self, value: Any) -> str | None:
        """What should have stood there, or None when the value fits."""
        if self.default is None:
            return None if value is not None or self.nullable else "given, not null"
        if _fits(value, self.default):
            if value == "" and self.default:
                return f"text that is not empty{self._example()}"
            return self._wrong_element(value)
        if self.single and isinstance(value, str):
            return None
        if isinstance(self.default, str) and value is not None:
            return f"text{self._example()}; put it in quotes twice: \"{{key}}='{show(value)}'\""
        if isinstance(self.default, dict):
            keys = [str(key) for key in self.default if not str(key).startswith("_")]
            how = f"; give its keys one by one: {', '.join(keys)}" if keys else ""
            return f"a mapping{how}"
        kind = KINDS.get(type(self.default), type(self.default).__name__)
        if self.default == [] and isinstance(value, str):
            return f"{kind}: \"{{key}}=['{value}']\""
        if isinstance(self.default, list) and self.default and _fits(value, self.default[0]):
            pair = isinstance(self.length, int) and self.length > 1
            return f"{kind}{self._example()}" if pair else f"{kind}: [{show(value)}]"
        if isinstance(self.default, int) and isinstance(value, float) and value.is_integer():
            return f"{kind}: write {int(value)}"
        return kind + self._example()

    def _example(self) -> str:
        plain = self.default is not None and not isinstance(self.default, dict)
        return f", like {show(self.default)}" if plain else ""

    def _wrong_element(self, value: Any) -> str | None:
        if not isinstance(value, list) or not isinstance(self.default, list) or not self.default:
            return None
        sizes = {len(example) for example in self.default if isinstance(example, list)}
        for element in value:
            if not any(_fits(element, example) for example in self.default):
                kind = KINDS.get(type(self.default[0]), "such values")
                return f"a list, each element {kind}{self._example()}"
            if len(sizes) == 1 and not {len(element)} <= sizes:
                return f"a list, each element a list of {sizes.pop()}{self._example()}"
        return None


NUMERIC = [*BOUNDS, "length", "increasing"]
WHOLE = [*NUMERIC, "listable"]
"""What is judged again in a whole config."""
WORDS = [*WHOLE, "choices", "like", "optional"]
"""What may stand beside a key, in underscores: `_choices_`."""


def _words(path: str, parent: Any) -> dict[str, Any]:
    """What the words beside a key and in conf/rules.yaml say of it."""
    words, key = dict(_shared(path)), path.rpartition(".")[2]
    for word in WORDS if isinstance(parent, Mapping) else ():
        keys = parent.get(f"_{word}_", ())
        if key in keys:
            words[word] = keys[key] if isinstance(keys, Mapping) else True
    return words


@lru_cache(maxsize=4096)
def _shared(path: str) -> dict[str, Any]:
    """What conf/rules.yaml says of a key."""
    words = {}
    for word in WORDS:
        patterns = shared_words().get(f"_{word}_", ())
        for pattern in patterns:
            if fnmatchcase(path, pattern):
                words[word] = patterns[pattern] if isinstance(patterns, Mapping) else True
    return words


def _names_a_sibling(word: str, bound: Any) -> bool:
    return word in NUMERIC and word != "length" and isinstance(bound, str)


def _of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(element, str) for element in value)


def _fits(value: Any, default: Any) -> bool:
    """By type; a whole number does for a number, true and false never do."""
    if isinstance(default, float):
        return _is_number(value)
    return type(value) is type(default)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(value: Any) -> Iterator[float]:
    """All in it, however deep; ids of a mapping are not among them."""
    if _is_number(value):
        yield value
    elif isinstance(value, list | Mapping):
        for child in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(child)


def _among(value: Any, choices: list[Any]) -> bool:
    """Equal and of one type: 1 is not true."""
    return any(
        value == choice and isinstance(value, bool) == isinstance(choice, bool)
        for choice in choices
    )
