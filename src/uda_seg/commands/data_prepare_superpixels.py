"""Divide a target's training images into superpixels, for methods that need them."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.commands.data_prepare import members
from uda_seg.config import build
from uda_seg.data.cache.cached_dataset import Cached
from uda_seg.data.cache.fill_cache import CacheJob, check_room, clear, fill, tell
from uda_seg.data.cache.slic import KIND, WithSuperpixels, with_superpixels
from uda_seg.data.checking.split_check import use_one_thread
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.opening import open_split
from uda_seg.errors import ConfigError, DataError
from uda_seg.images import pictures, scaling

log = logging.getLogger(__name__)

WIDTH = 640
"""Pixels that an image has on the picture at most."""


def run(config: dict[str, Any], folder: Path) -> None:
    """
    Raises:
        CheckError: some images cannot be read; all others are divided and kept.
        ConfigError: there is nothing to prepare, or no room for it.
    """
    if config.get("target") is None:
        raise ConfigError("nothing to prepare: give target=…")
    root = Path(config["cache_root"]).expanduser()
    with use_one_thread():
        divided = list(open_members(config))
        jobs = [cache_job(*one) for one in divided]
        if config["clear"]:
            clear(jobs, KIND)
        elif jobs:
            check_room(jobs, root)
            fill(jobs, config["workers"])
            show([one for _, one in divided], config, root)
            tell(jobs, "train with the same superpixels.*, target.size and cache_root")


def open_members(config: Mapping[str, Any]) -> Iterator[tuple[str, WithSuperpixels]]:
    """The training split, by dataset, with titles; images themselves are not kept."""
    target = config["target"]
    split, size = target["train_split"], target.get("size")
    divide = build(config["superpixels"])
    whole = with_superpixels(open_split(target, split), size, config["cache_root"], divide)
    for name, member in members(whole, target["name"]):
        assert isinstance(member, WithSuperpixels)
        title = f"target {name} {split}, superpixels"
        if isinstance(member.kept, Cached):
            yield title, member
        else:
            log.info("%s: is drawn, not read: they are made while training", title)


def cache_job(title: str, member: WithSuperpixels) -> CacheJob:
    assert isinstance(member.kept, Cached)
    return CacheJob(title, member.kept, member.lacking(), member.prepare, member.weigh)


def show(divided: Sequence[WithSuperpixels], config: Mapping[str, Any], root: Path) -> None:
    """A few images, evenly spread, beside their superpixels and these in their mean colors."""
    places = [(one, i) for one in divided for i in range(len(one))]
    rows = []
    for place in evenly_spaced(len(places), config["pictures"]):
        member, index = places[place]
        try:
            sample = member.read(index, {KIND})
        except DataError:
            continue  # told with the others
        assert sample.superpixels is not None
        height, width = sample.superpixels.shape
        scale = min(1.0, WIDTH / width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        image = scaling.resize_image(sample.image, size)
        ids = scaling.resize_mask(sample.superpixels, size)
        rows.append([image, pictures.boundaries(image, ids), mean_colors(image, ids)])
    if rows:
        path = root / f"superpixels_{config['target']['name']}.png"
        try:
            pictures.save(path, pictures.grid(rows, ["image", "superpixels", "mean colors"]))
            log.info("picture: %s", path)
        except OSError as error:  # a prepared cache may be read-only
            log.warning("%s: cannot be written (%s)", path, error.strerror)


def mean_colors(image: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: each superpixel in its mean color."""
    flat = ids.reshape(-1)
    count = np.maximum(np.bincount(flat), 1)
    sums = [np.bincount(flat, image[..., channel].reshape(-1)) for channel in range(3)]
    return (np.stack(sums, -1) / count[:, None]).round().astype(np.uint8)[ids]
