"""`source=[gta5,synthia]`: what a list of datasets means on the command line.

Every member is composed from its own file into `source.datasets.NAME`; conf/source/several.yaml
holds what they have in common. Size and augmentation are those of the first, `source.like`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from uda_seg.config import conf_folder
from uda_seg.errors import show

NAME = "several"


@lru_cache(maxsize=1)
def groups() -> tuple[str, ...]:
    """Those whose choices can be put together."""
    return tuple(sorted(path.parent.name for path in conf_folder().glob(f"*/{NAME}.yaml")))


def written_out(group: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Overrides in Hydra's own grammar: of groups, and the values that follow."""
    if len(names) == 1:
        return [f"{group}={names[0]}"], []
    members = [f"+{group}@{group}.datasets.{name}={name}" for name in names]
    values = [f"{group}.name={'+'.join(names)}", f"{group}.like={names[0]}"]
    return [f"{group}={NAME}", *members], values


def list_complaint(names: Sequence[str], sweep: bool) -> str | None:
    """What is wrong with a list whose names all exist."""
    if sweep:
        return "a list of datasets cannot be one of a sweep's values; start one run for each list"
    if not names:
        return "the list is empty; name the datasets"
    twice = sorted({name for name in names if names.count(name) > 1})
    return f"{', '.join(twice)} stands in the list twice" if twice else None


def complaints(group: str, node: Any) -> Iterator[str]:
    """What is wrong with a composed `source:` or `target:`."""
    if not isinstance(node, Mapping) or "datasets" not in node:
        return
    if not node["datasets"]:
        cure = f"give them as a list: {group}=[camvid,cityscapes]"
        yield f"{group}={node['name']}: has no datasets; {cure}"
    elif node["like"] not in node["datasets"]:
        known = ", ".join(map(str, node["datasets"]))
        yield (
            f"{group}.like={show(node['like'])}: size and augmentation are those of one of the "
            f"datasets; choose from {known}"
        )


def in_a_file(group: str) -> str:
    """Hydra would take the last of a list in a YAML file, without a word."""
    return (
        f"{group}: a list of datasets is for the command line; in a file write, above all "
        f"overrides, '- /{group}@{group}.datasets.gta5: gta5' for each, then "
        f"'- override /{group}: {NAME}', and set {group}.like and {group}.name"
    )
