"""A config in plain containers, by dotted paths: what stands there, and what may."""

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uda_seg.cli.rules import Rule
from uda_seg.cli.unknown_keys import key_in

Tree = dict[str, Any]
MISSING = object()


def run_of(config: DictConfig, resolve: bool = False) -> Tree:
    """What a run reads of a composed config.

    Args:
        config: may hold the `hydra` node, which is no part of it.
        resolve: whether interpolations are replaced by what they lead to.

    Raises:
        OmegaConfBaseException: one leads nowhere.
    """
    return {str(key): _plain(config._get_node(key), resolve) for key in config if key != "hydra"}


def resolved(node: Any) -> Any:
    return _plain(node, resolve=True) if OmegaConf.is_config(node) else node


def _plain(node: Any, resolve: bool) -> Any:
    """OmegaConf's own way takes many times as long."""
    value = node._value()
    if resolve and isinstance(value, str) and "${" in value:
        node = node._dereference_node()
        value = node._value()
    if isinstance(value, dict):
        return {key: _plain(child, resolve) for key, child in value.items()}
    return [_plain(child, resolve) for child in value] if isinstance(value, list) else value


def exists(tree: Any, key: str) -> bool:
    return bool(key) and at(tree, key, MISSING) is not MISSING


def at(tree: Any, key: str, default: Any = None) -> Any:
    """What stands at a path."""
    for part in key.split(".") if key else ():
        if isinstance(tree, Mapping):
            tree = tree.get(key_in(tree, part), MISSING)
        elif isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return default
        if tree is MISSING:
            return default
    return tree


def put(tree: Any, key: str, value: Any) -> None:
    """Replaces what stands at a path; nothing for a key with a dot in its name."""
    path, _, name = key.rpartition(".")
    parent = at(tree, path)
    if isinstance(parent, dict):
        parent[key_in(parent, name)] = value


def rule_of(config: DictConfig, tree: Any, key: str) -> Rule:
    """What a key may hold, by its value in the YAML files and the `_choices_` and so on there.

    Args:
        config: what the files compose to.
        tree: the same in plain containers, interpolations as they are written.
        key: one that exists.
    """
    written = at(tree, key)
    computed = isinstance(written, str) and "${" in written
    default = value_at(config, key) if computed else written
    return Rule.of(key, at(tree, key.rpartition(".")[0]), written, default)


def value_at(config: DictConfig, key: str) -> Any:
    """What a key holds, or leads to; None where that is nowhere."""
    try:
        return resolved(OmegaConf.select(config, key))
    except OmegaConfBaseException:
        return None
