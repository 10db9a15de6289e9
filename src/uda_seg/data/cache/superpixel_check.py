"""Before a run: are the target's superpixels there? If not, the command that prepares them."""

import logging
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from uda_seg.config import shipped
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
    settings = _differing(shipped("", "superpixels"), made, "superpixels", list(made))
    words = [*_target(config), f"cache_root={where_needed(cache_root)}", *settings]
    return " ".join(["python -m uda_seg data prepare superpixels", *map(shlex.quote, words)])


def _target(config: Mapping[str, Any]) -> Iterator[str]:
    if "datasets" in config:
        yield f"target={show(list(config['datasets']))}"
        for name, member in config["datasets"].items():
            yield from _keys(member, name, f"target.datasets.{name}")
        yield from _differing({}, config, "target", ["size"])
        return
    name = config["name"]
    yield f"target={name}"
    yield from _keys(config, name, "target")
    if not shipped("target", name):
        yield "--config-dir=…"


def _keys(config: Mapping[str, Any], name: str, place: str) -> Iterator[str]:
    """All keys of a shipped dataset; of a user's own, its file knows the others."""
    known = shipped("target", name)
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
