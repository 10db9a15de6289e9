"""`memory=8gb`: how a recipe is run on a card of that size, and what of it is kept.

Tried in this order, until the estimate fits: the recipe as it is; `trainer.checkpointing`, which
changes no number; bfloat16 where it asks for 32 bits; pieces of a batch, fewest first. The images a
step, their size and crop, the rates and the steps stay the paper's.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from uda_seg.methods.base import Method
from uda_seg.training.memory import GIB, Need, estimate, say_need, wanted

log = logging.getLogger(__name__)

MARGIN, OWN = 1.15, 0.6 * GIB
"""By how much a GPU's allocator held more than was computed (docs/self_training.md: up to 15 %),
and bytes of a card that CUDA and cuDNN keep for themselves."""
MEANING = {
    "checkpointing": "the same numbers, about a quarter more time",
    "precision": "products in bfloat16, weights in 32 bits: numbers differ in their rounding",
    "accumulate": "the same images a step; batch norm's statistics, and means over labelled "
    "pixels, are those of a piece",
}


def settings_that_fit(method: Method, config: dict[str, Any]) -> dict[str, Any]:
    """Those of `trainer`, as `memory` asks for; says what a step needs, where that is wanted."""
    if config.get("memory") is not None:
        settings: dict[str, Any] = fit(config, partial(estimate, method))["trainer"]
        return settings
    if config.get("dry_run") or wanted(config["trainer"]):
        say_need(method, config)
    return config["trainer"]


def how_it_fits(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """For `scores.json`: what the preset changed; {} without one."""
    own = config["trainer"]
    changed = {key: value for key, value in settings.items() if own.get(key) != value}
    preset = config.get("memory")
    return {} if preset is None else {"memory": {"preset": preset, "changed": changed}}


def fit(config: Mapping[str, Any], needed: Callable[[dict[str, Any]], Need]) -> dict[str, Any]:
    """The config as it is run: with `trainer` keys that make it fit `memory`, which the log names.

    Args:
        config: of the run, resolved; without `memory` it stays as it is.
        needed: what a step of a config needs.
    """
    preset = config.get("memory")
    if preset is None:
        return dict(config)
    room = (int(preset.removesuffix("gb")) * GIB - OWN) / MARGIN
    own, best, least = config["trainer"], dict(config), None
    for settings in ways(own):
        tried = dict(config) | {"trainer": {**own, **settings}}
        need = needed(tried)
        if least is None or need.most < least.most:
            best, least = tried, need
        if need.most <= room:
            break
    assert least is not None
    _say(preset, own, best["trainer"], least, least.most <= room)
    return best


def ways(own: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings of `trainer` to try, those that change least first."""
    settings: dict[str, Any] = {}
    yield settings
    for key, value in (("checkpointing", True), ("precision", "bf16-mixed")):
        if own.get(key) in (False, "32-true"):
            settings = settings | {key: value}
            yield settings
    size = own["batch_size"]
    for count in range(own["accumulate"] + 1, size + 1):
        if size % count == 0:
            yield settings | {"accumulate": count}


def _say(
    preset: str, own: Mapping[str, Any], chosen: Mapping[str, Any], need: Need, fits: bool
) -> None:
    changed = {key: value for key, value in chosen.items() if own.get(key) != value}
    for key, value in changed.items():
        log.info("memory=%s: trainer.%s=%s (%s)", preset, key, value, MEANING[key])
    kept = "nothing was changed" if not changed else "all else is the recipe's"
    log.info("memory=%s: a step needs %s; %s", preset, need, kept)
    if not fits:
        log.warning(
            "memory=%s: that may not fit, and what is left changes the recipe: smaller crops "
            "(source.augment.crop, target.augment.crop), a smaller trainer.batch_size, or another "
            "backbone; the crop is part of every recipe here, so it was not touched",
            preset,
        )
