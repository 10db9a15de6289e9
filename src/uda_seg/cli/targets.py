"""Whether what a config builds exists, and takes the keys that stand there: seen, not imported."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from uda_seg.cli.signatures import signature
from uda_seg.cli.unknown_keys import key_in
from uda_seg.config import READ_HERE, arguments_of, conf_folder, read_yaml, refusal
from uda_seg.errors import suggest
from uda_seg.runs import older_names

FRAMES = {
    "trainer": ("trainer/auto.yaml",),
    "backbone.schedule": ("backbone/tiny.yaml", "schedule"),
    "source.augment": ("source/toytown.yaml", "augment"),
    "target.augment": ("source/toytown.yaml", "augment"),
}
"""Mappings that no constructor takes as they are, and where all of their keys stand."""
NESTED = r"\.datasets\.\w+$|(\.base)+$"
"""Ends of paths whose mappings are of the kind that stands above: datasets of a list, and what a
method is built on.
"""


def complaints(tree: Any, path: str = "") -> Iterator[str]:
    """Complaints about mappings with a `_target_`; nested ones are judged where theirs exists.

    Args:
        tree: plain containers, interpolations as they are written.
        path: of the tree, dotted.
    """
    for key, child in tree.items() if isinstance(tree, Mapping) else ():
        if isinstance(child, Mapping):
            below = f"{path}.{key}" if path else str(key)
            if isinstance(child.get("_target_"), str):
                yield from _of_node(child, below)
            yield from complaints(child, below)


def _of_node(node: Mapping[str, Any], path: str) -> Iterator[str]:
    target = node["_target_"]
    refused = refusal(target)
    if refused:
        yield f"{path}.{refused}"
        return
    try:
        taken = signature(target)
    except LookupError as error:
        now = older_names.target_now(target)
        why = f"it is called {now} now" if now else str(error)
        yield f"{path}._target_: {target} does not exist ({why})"
        return
    if taken is None or taken.open:
        return
    read = {*taken.names, *READ_HERE.get(re.sub(NESTED, "", path), ())}
    read |= _referred_to(node)
    for key in arguments_of(node):
        if key not in read:
            name, names = target.rpartition(".")[2], ", ".join(sorted(taken.names))
            yield f"{path}.{key}: unknown key, {_meant(key, read)}{name} takes: {names}"


def _referred_to(node: Any) -> set[str]:
    """Names that interpolations in a node speak of, such as `lambda_adv` in `${..lambda_adv}`."""
    if isinstance(node, Mapping):
        return set().union(*map(_referred_to, node.values()))
    return set(re.findall(r"\w+", node)) if isinstance(node, str) and "${" in node else set()


def unknown_settings(tree: Mapping[str, Any]) -> Iterator[str]:
    """Keys that a file of the user's adds to a mapping whose keys are all known; no constructor
    would miss them, and nobody would read them.
    """
    for path, (file, *below) in FRAMES.items():
        node: Any = tree
        for part in path.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        known: Any = read_yaml(conf_folder() / file)
        for part in below:
            known = known[part]
        names = [name for name in known if not name.startswith("_") and name != "defaults"]
        for key in node if isinstance(node, Mapping) else ():
            if key not in names and not str(key).startswith("_"):
                hint = _meant(str(key), names)
                yield f"{path}.{key}: unknown key, {hint}keys of {path}: {', '.join(names)}"


def _meant(key: str, known: Collection[str]) -> str:
    now = older_names.key_now(key)
    return f"it is called {now} now, " if now in known else suggest(key, known)


def takes_any_key(tree: Mapping[str, Any], path: str) -> bool:
    """Whether a mapping is there for keys of any name: one without a `_target_` that is handed to
    a constructor as it is, such as method.weights; or an empty one of the verb's own.
    """
    node: Any = tree
    handed = False
    for part in path.split("."):
        if not isinstance(node, Mapping):
            return False
        target = node.get("_target_")
        if isinstance(target, str):
            try:
                taken = signature(target)
            except LookupError:
                return True
            handed = taken is None or part in taken.names
        node = node[key_in(node, part)]
    return "_target_" in node or handed or ("." not in path and node == {})
