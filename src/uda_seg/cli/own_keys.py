"""Mappings whose keys are the user's own, such as a dataset's `classes`: never merged.

`source.classes={0: background, 255: road}` over a YAML with `{0: background, 1: road}` names ids 0
and 255. Hydra would merge the two; it is handed `source.classes=null` first.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig, OmegaConf

from uda_seg.cli.rules import Rule
from uda_seg.cli.tree import parent_of, select, unresolved
from uda_seg.config import shared_words
from uda_seg.errors import show
from uda_seg.runs.quoting import quoted


def rule_of_whole(config: DictConfig, key: str) -> Rule | None:
    """What such a mapping may be as a whole; None for any other key."""
    kinds = shared_words()["_own_keys_"]
    kind = next((pattern for pattern in kinds if fnmatchcase(key, pattern)), None)
    parent = unresolved(parent_of(config, key)) if kind else None
    there = isinstance(parent, Mapping) and key.rpartition(".")[2] in parent
    return Rule(kinds[kind], nullable=True) if there else None


def applies(config: DictConfig, key: str) -> bool:
    """Whether a key is such a mapping, or stands in one."""
    return any(rule_of_whole(config, one) for one in (key, key.rpartition(".")[0]) if one)


def put(base: DictConfig, config: DictConfig, key: str, value: Any) -> list[str]:
    """Sets it as Hydra does with `lines`; what is wrong with the value instead, if something is.

    Args:
        base: the YAML files' config.
        config: is changed.
        key: a mapping, or a key in one.
        value: of it.
    """
    whole, parent = rule_of_whole(base, key), key.rpartition(".")[0]
    if whole is not None:
        if complaints := list(whole.complaints(key, value)):
            return complaints
        OmegaConf.update(config, key, None)
    elif select(config, parent) is None:
        OmegaConf.update(config, parent, {}, force_add=True)
    if whole is None or value is not None:
        OmegaConf.update(config, key, value, force_add=True)
    return []


def lines(base: DictConfig, key: str, line: str) -> list[str]:
    """The overrides that Hydra is handed in place of one."""
    line = line.lstrip("+")
    if rule_of_whole(base, key) is None:
        return [f"++{line}"]
    empty = f"{key}=null"
    return [empty] if line == empty else [empty, f"++{line}"]


def whole(base: DictConfig, config: DictConfig, key: str) -> list[str]:
    """The same for a side that a checkpoint's run tells, which is not there for Hydra to merge
    with: the mapping as it ends up.
    """
    key = key if rule_of_whole(base, key) else key.rpartition(".")[0]
    return [f"++{key}=null", f"++{key}={_written(unresolved(select(config, key)))}"]


def _written(value: Any) -> str:
    """In Hydra's grammar."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {_written(child)}' for key, child in value.items())}}}"
    return quoted(value) if isinstance(value, str) else show(value)
