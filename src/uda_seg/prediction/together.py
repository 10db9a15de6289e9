"""Several checkpoints that answer together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from uda_seg.errors import ConfigError
from uda_seg.networks.ensemble import Ensemble
from uda_seg.runs.trained import Trained, open_trained


def open_together(config: Mapping[str, Any]) -> Trained:
    """`checkpoint`, and with it the networks of `also`: the mean of what they say.

    Raises:
        ConfigError: one is not there, or they do not go together.
        WeightsError: see `open_trained`.
    """
    first = open_trained(config["checkpoint"], device=config["device"])
    if not config["also"]:
        return first
    others = tuple(open_trained(path, "also", config["device"]) for path in config["also"])
    for one in others:
        if one.classes != first.classes:
            raise ConfigError(
                f"also={one.path}: its classes are {', '.join(one.classes)}, those of checkpoint "
                f"{', '.join(first.classes)}; only networks of the same classes have a mean"
            )
    count, shares = 1 + len(others), config["shares"]
    if shares is not None and (len(shares) != count or sum(shares) == 0):
        raise ConfigError(
            f"shares={shares}: must be {count} numbers, one for checkpoint and for each of also, "
            "and not all 0; null: all the same"
        )
    networks = [one.network for one in (first, *others)]
    return replace(first, network=Ensemble(networks, config["mean_of"], shares), others=others)
