"""Before a run: are the target's superpixels there? If not, the command that prepares them."""

import logging
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from uda_seg.config import conf_folder
from uda_seg.data.cache.slic import SLIC, members
from uda_seg.data.datasets.base import Dataset
from uda_seg.errors import ConfigError, show
from uda_seg.runs.quoting import where_needed

log = logging.getLogger(__name__)


def check_prepared(
    dataset: Dataset, config: Mapping[str, Any], cache_root: str, divide: SLIC, skip: bool
) -> None:
    """
    Args:
        dataset: of `with_superpixels`.
        config: the `target:` config.
        cache_root: where they are kept.
        divide: makes them.
        skip: whether images that cannot be read are left out. `data prepare` cannot prepare them,
            so a few may lack; what lacks and can be read is then made while training.

    Raises:
        ConfigError: some are not there.
    """
    each = members(dataset)
    count = sum(len(member.lacking()) for member in each)
    total = sum(len(member) for member in each)
    if not count:
        return
    line = preparing(config, cache_root, divide)
    if skip and count < total:
        log.warning("target: %d of %d images have no superpixels yet; run: %s", count, total, line)
        return
    raise ConfigError(
        f"method: needs target.superpixels, which {config['name']} has not prepared "
        f"({count} of {total} images): run\n  {line}"
    )


def preparing(config: Mapping[str, Any], cache_root: str, divide: SLIC) -> str:
    """The command line that prepares them, with all that differs from the shipped YAML files."""
    made = vars(divide)
    settings = _differing(_shipped("superpixels.yaml"), made, "superpixels", list(made))
    words = [*_target(config), f"cache_root={where_needed(cache_root)}", *settings]
    return " ".join(["python -m uda_seg data prepare superpixels", *map(shlex.quote, words)])


def _target(config: Mapping[str, Any]) -> Iterator[str]:
    if "datasets" in config:
        yield f"target={show(list(config['datasets']))}"
        for name, member in config["datasets"].items():
            yield from _keys(member, f"target/{name}.yaml", f"target.datasets.{name}")
        yield from _differing({}, config, "target", ["size"])
        return
    name = config["name"]
    yield f"target={name}"
    yield from _keys(config, f"target/{name}.yaml", "target")
    if not (conf_folder() / f"target/{name}.yaml").is_file():
        yield "--config-dir=…"


def _keys(config: Mapping[str, Any], file: str, place: str) -> Iterator[str]:
    """All keys of a shipped dataset; of a user's own, its file knows the others."""
    known = _shipped(file)
    names = [key for key in known if not key.startswith("_") and key not in _IDLE]
    return _differing(known, config, place, names or ["root", "size"])


_IDLE = ("name", "augment", "protocols", "val_split")
"""Keys of a target that its training images do not depend on."""


def _differing(
    known: Mapping[str, Any], given: Mapping[str, Any], place: str, names: list[str]
) -> Iterator[str]:
    for name in names:
        value = given.get(name)
        if name in given and value != known.get(name) and not isinstance(value, dict):
            text = where_needed(value) if isinstance(value, str) else show(value)
            yield f"{place}.{name}={text}"


def _shipped(file: str) -> dict[str, Any]:
    """A YAML as it is written; empty when it is the user's own."""
    path = conf_folder() / file
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
