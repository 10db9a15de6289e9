"""Fill the disk cache, so that training with cache=disk is fast from its first step."""

import logging
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from uda_seg.data.cache.cached_dataset import Cached, cached
from uda_seg.data.cache.fill_cache import CacheJob, check_room, clear, fill, tell
from uda_seg.data.checking.split_check import use_one_thread
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.merged import MergedDataset
from uda_seg.data.datasets.opening import open_split
from uda_seg.errors import ConfigError

log = logging.getLogger(__name__)


def run(config: dict[str, Any], folder: Path) -> None:
    """
    Raises:
        CheckError: some samples cannot be read; all others are kept.
        ConfigError: there is nothing to prepare, or no room for it.
    """
    if config.get("source") is None and config.get("target") is None:
        raise ConfigError("nothing to prepare: give source=… or target=…, or both")
    with use_one_thread():
        jobs = list(open_parts(config))
        if config["clear"]:
            clear(jobs, "*")
        elif jobs:
            check_room(jobs, Path(config["cache_root"]).expanduser())
            fill(jobs, config["workers"])
            tell(jobs, "train with cache=disk")


def open_parts(config: Mapping[str, Any]) -> Iterator[CacheJob]:
    """What training reads: both training splits, without the target's labels, and the target's
    validation split, with labels at their own size. The source's is read by no run.
    """
    source, target = config.get("source"), config.get("target")
    wanted = []
    if source is not None:
        fields = {"label", "depth"} if config["depth"] else {"label"}
        wanted.append(("source", source, source["train_split"], fields, False))
    if target is not None:
        wanted.append(("target", target, target["train_split"], set(), False))
        wanted.append(("target", target, target["val_split"], {"label"}, True))
    for domain, side, split, fields, own_labels in wanted:
        whole = open_split(side, split)
        dataset = cached(whole, side.get("size"), "disk", config["cache_root"], own_labels)
        for name, member in members(dataset, side["name"]):
            title = f"{domain} {name} {split}"
            if not isinstance(member, Cached) or member.recipe(0) is not None:
                log.info("%s: is drawn, not read: nothing to keep", title)
                continue
            has = {"label": member.has_labels, "depth": member.has_depth}
            own = {"image", *(field for field in fields if has[field])}
            lacking = [i for i in range(len(member)) if member.lacks(i, own)]
            make, weigh = partial(member.read, fields=own), partial(member.weigh, fields=own)
            yield CacheJob(title, member, lacking, make, weigh)


def members(dataset: Dataset, name: str) -> list[tuple[str, Dataset]]:
    return (
        list(dataset.datasets.items()) if isinstance(dataset, MergedDataset) else [(name, dataset)]
    )
