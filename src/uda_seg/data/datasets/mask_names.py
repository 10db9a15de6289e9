"""What a user's YAML says is in the masks of a folder: ids or colors with their names, checked."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from uda_seg.errors import ConfigError

Names = Mapping[Any, str]
Colors = Mapping[str, Sequence[Any]]


def ignored(given: Names | Sequence[int] | None) -> Names:
    """A list of ids, or one id, needs no names."""
    if given is None:
        return {255: "void"}
    if isinstance(given, Mapping):
        return given
    listed = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    return dict.fromkeys(listed, "void")


def names_of_ids(key: str, given: Names | None) -> dict[int, str]:
    """Ids as whole numbers: on the command line they arrive as text."""
    names = {}
    for identifier, name in (given or {}).items():
        text = str(identifier)
        whole = re.fullmatch(r"-?\d+", text, re.ASCII)
        if not whole or (key != "void" and not 0 <= int(text) < 256):
            raise ConfigError(
                f"{key}: {text!r} is no id; write the masks' whole numbers, 0 to 255, before the "
                f"names: {key}: {{0: road}}"
            )
        names[int(text)] = _name(f"{key}.{text}", name)
    return names


def colors_of_names(key: str, given: Colors | None) -> dict[str, list[tuple[int, int, int]]]:
    """A list for every name: one color is a list of one."""
    found = {}
    for name, colors in (given or {}).items():
        several = _is_list(colors) and colors and all(map(_is_list, colors))
        listed = colors if several else [colors]
        found[_name(key, name)] = [_color(f"{key}.{name}", one) for one in listed]
    return found


def _color(key: str, color: Any) -> tuple[int, int, int]:
    three = _is_list(color) and len(color) == 3
    if not (three and all(type(part) is int and 0 <= part < 256 for part in color)):
        raise ConfigError(
            f"{key}: {color} is no color; write red, green and blue as three whole numbers, 0 to "
            "255: [128, 64, 128], or several such: [[128, 64, 128], [0, 0, 9]]"
        )
    return color[0], color[1], color[2]


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _name(key: str, name: Any) -> str:
    if isinstance(name, str) and name.strip():
        return name
    raise ConfigError(f'{key}: {name!r} is no name; write text, in quotes if need be: "yes"')
