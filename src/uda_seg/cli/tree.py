"""A config by dotted paths: what stands there, and what may."""

import pickle
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from uda_seg.cli.rules import Rule
from uda_seg.cli.unknown_keys import key_in


def exists(config: DictConfig, key: str) -> bool:
    node, name = parent_of(config, key), key.rpartition(".")[2]
    if isinstance(node, ListConfig):
        return name.isdigit() and int(name) < len(node)
    return isinstance(node, DictConfig) and key_in(node.keys(), name) in node.keys()  # noqa: SIM118 (null counts)


def rule_of(config: DictConfig, key: str) -> Rule:
    """What a key may hold, by its value in the YAML files and the `_choices_` and so on there."""
    parent = unresolved(parent_of(config, key))
    written = parent[index_in(parent, key)]
    computed = isinstance(written, str) and "${" in written
    return Rule.of(key, parent, written, unresolved(select(config, key)) if computed else written)


def parent_of(config: DictConfig, key: str) -> Any:
    path = key.rpartition(".")[0]
    return select(config, path) if path else config


def index_in(parent: Any, key: str) -> Any:
    name = key.rpartition(".")[2]
    return int(name) if isinstance(parent, list | ListConfig) else key_in(parent, name)


def select(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def at(tree: Any, key: str) -> Any:
    for part in key.split(".") if key else ():
        if not isinstance(tree, dict):
            return None  # a key with a dot in its name, which no path leads to
        tree = tree.get(key_in(tree, part))
    return tree


def unresolved(node: Any) -> Any:
    """Interpolations stay as they are written. OmegaConf's own way takes fifteen times as long."""
    return _written(node) if OmegaConf.is_config(node) else node


def _written(node: Any) -> Any:
    value = node._value()
    if isinstance(value, dict):
        return {key: _written(child) for key, child in value.items()}
    return [_written(child) for child in value] if isinstance(value, list) else value


def resolved(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def plain_run(config: DictConfig) -> dict[str, Any]:
    """What a run reads, interpolations as they are written."""
    tree: dict[str, Any] = unresolved(config)
    tree.pop("hydra", None)
    return tree


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy; OmegaConf's own way of copying takes three times as long."""
    copy: DictConfig = pickle.loads(pickle.dumps(config, -1))
    with open_dict(copy):
        copy.pop("hydra", None)
    return copy
