"""Whether two configs are one experiment: which keys count, and what differs between them."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uda_seg.errors import show

NOT_THE_EXPERIMENT = ("run_name", "outputs", "resume")
"""Top keys that say where a run's files go, not what is computed."""

PLACES = (
    *NOT_THE_EXPERIMENT,
    *"data_root cache cache_root logger on_bad_image dry_run".split(),
)
"""Top keys that may be different each time a run is started: a node has paths of its own."""

HARDWARE = (
    "accelerator devices strategy num_nodes workers threads progress log_every panels "
    "pseudo_labels checkpointing estimate tf32 fused compile".split()
)
"""Keys of `trainer` that a run may change when it is continued."""

INTERVALS = ("validate_every", "checkpoint_every", "deterministic")
"""Further ones; the steps that were scored may be others then, the training is the same."""

TOLD = (
    "on_bad_image trainer.accelerator trainer.devices trainer.num_nodes trainer.batch_size "
    "trainer.accumulate trainer.steps trainer.validate_every trainer.deterministic trainer.tf32 "
    "trainer.fused trainer.compile backbone.channels_last backbone.host.channels_last"
).split()
"""Keys whose change is allowed but has an effect from then on."""

WORDS = ("label", "facts")
"""Keys of `method` that say what a run is called and what it records."""

BEFORE_THE_KEY = {
    "backbone.schedule.rise": "linear",
    "backbone.optimizer.encoder_updates": 1,
    "backbone.optimizer.norm_decay": True,
    "backbone.optimizer.layer_decay": 1.0,
    "inference.mean_of": "logits",
    "trainer.limit_val_images": None,
}
"""What a config computes that lacks a key; the default of today's files may be another."""

LEFT_OUT = ("root", "channels_last")
"""Keys anywhere: a path, a layout of memory."""
FREE_KEYS = ("classes", "void", "colors", "void_colors", "weights", "shares", "datasets")
"""Mappings whose keys are the user's own: one that is missing there is a difference."""
WEIGHTS = (".pth", ".pt", ".ckpt", ".safetensors")
MOST_SHOWN = 12


@dataclass(frozen=True)
class Difference:
    """A key and its two values; None also where a config lacks the key."""

    key: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: was {show(self.was)}, is {show(self.now)}"


def experiment(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config without what is no part of the experiment: places, loggers, hardware, intervals."""
    kept = {key: _cleaned(child) for key, child in config.items() if key not in PLACES}
    if isinstance(kept.get("method"), dict):
        kept["method"] = _without_words(kept["method"])
    trainer = kept.get("trainer")
    if isinstance(trainer, dict):
        kept["trainer"] = {
            k: v for k, v in trainer.items() if k not in HARDWARE and k not in INTERVALS
        }
    if isinstance(kept.get("initial"), str):
        kept["initial"] = _name_of_run(kept["initial"])
    return kept


def _without_words(method: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in method.items() if k not in WORDS}
    if isinstance(kept.get("base"), dict):
        kept["base"] = _without_words(kept["base"])
    return kept


def _cleaned(node: Any) -> Any:
    """Without paths of data, memory layouts, and what only the check of a config reads."""
    if isinstance(node, list):
        return [_cleaned(child) for child in node]
    if not isinstance(node, Mapping):
        return node
    kept = {}
    for key, child in node.items():
        if key == "_target_" and str(child).startswith("uda_seg."):
            child = str(child).rpartition(".")[2]  # a module may move from version to version
        elif key == "pretrained" and Path(str(child)).suffix in WEIGHTS:
            child = Path(str(child)).name
        elif key in LEFT_OUT or (str(key).startswith("_") and key != "_target_"):
            continue
        kept[str(key)] = _cleaned(child)
    return kept


def _name_of_run(initial: str) -> str:
    path = Path(initial).expanduser().absolute()
    if path.parent.name == "checkpoints":
        last = path.name == "last.ckpt"
        path = path.parent.parent if last else path.parent.parent / path.name
    return "/".join(path.parts[-2:])


def same_experiment(was: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Whether a stored config and one that is to be run compute the same, to the same step."""
    return was is not None and _steps(was) == _steps(now) and not differences(was, now)


def _steps(config: Mapping[str, Any]) -> Any:
    return (config.get("trainer") or {}).get("steps")


def differences(
    was: Mapping[str, Any], now: Mapping[str, Any], named: Collection[str] = ()
) -> list[Difference]:
    """What makes two configs two experiments, so that one is no continuation of the other.

    Args:
        was: the stored config, plain.
        now: the other one, plain.
        named: keys given on a command line. One that a config lacks has its default there, as
            after an update of this package, unless it was named; `BEFORE_THE_KEY` says of some
            what that was.
    """
    before, after = (_all_leaves(experiment(config)) for config in (was, now))
    found = []
    for key in [*before, *(key for key in after if key not in before)]:
        both = key in before and key in after
        lacking = after if key in before else before
        if not both and not (_named(key, named) or _is_users_own(key) or _opens(key, lacking)):
            continue
        if before.get(key) != after.get(key):
            found.append(Difference(key, before.get(key), after.get(key)))
    allowed = _allowed(was, now)
    return _outermost([one for one in found if one.key not in allowed], was, now)


def told(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """What may differ, but changes a run from there on."""
    before, after = dict(_leaves(was)), dict(_leaves(now))
    changed = (Difference(key, before[key], after[key]) for key in TOLD if key in before)
    return [one for one in changed if one.key in after and one.was != after[one.key]]


def listed(found: Collection[Difference]) -> str:
    """One line each, not too many."""
    lines = [f"\n  {one}" for one in list(found)[:MOST_SHOWN]]
    return "".join(lines) + (
        f"\n  and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
    )


def device_count(devices: Any) -> int:
    """How many `trainer.devices` asks for: a number, or a list that says which."""
    return int(devices) if isinstance(devices, int | str) else len(devices)


def _allowed(was: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Keys that may differ because what is computed stays the same."""
    allowed = set()
    if _batch(was) is not None and _batch(was) == _batch(now):
        allowed |= {"trainer.batch_size", "trainer.accumulate"}
    total = (was.get("backbone") or {}).get("schedule", {}).get("total")
    if total and not _has_rounds(was.get("method")):  # no rate depends on where the run ends
        allowed.add("trainer.steps")
    return allowed


def _has_rounds(method: Any) -> bool:
    """Whether a method, or the one that it is built on, lays rounds over the whole run."""
    return isinstance(method, Mapping) and bool(
        method.get("rounds") or _has_rounds(method.get("base"))
    )


def _batch(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """Images a step on all devices together, and at once on one, which batch norm sees."""
    try:
        settings = config["trainer"]
        size = settings["batch_size"]
        devices = device_count(settings["devices"]) * settings["num_nodes"]
        return size * devices, size // settings["accumulate"]
    except (KeyError, TypeError, ValueError):
        return None


def _outermost(
    found: list[Difference], was: Mapping[str, Any], now: Mapping[str, Any]
) -> list[Difference]:
    """The differences, of a group with another choice its name alone."""
    groups = {
        group: Difference(group, was[group]["name"], now[group]["name"])
        for group in ("method", "source", "target", "backbone")
        if isinstance(was.get(group), Mapping)
        and isinstance(now.get(group), Mapping)
        and was[group].get("name") != now[group].get("name")
    }
    rest = [one for one in found if one.key.partition(".")[0] not in groups]
    if not any(one.key == "trainer.batch_size" for one in rest):
        rest += _batch_difference(was, now)
    return [*groups.values(), *rest]


def _batch_difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Other devices with the same share each are another batch."""
    before, after = _batch(was), _batch(now)
    if before is None or after is None or before[0] == after[0]:
        return []
    return [Difference("trainer.batch_size times all devices", before[0], after[0])]


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(node, Mapping) or not node:
        yield path, node
        return
    for key, child in node.items():
        yield from _leaves(child, f"{path}.{key}" if path else str(key))


def _all_leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    leaves = dict(_leaves(config))
    return leaves | {k: v for k, v in BEFORE_THE_KEY.items() if k not in leaves}


def _named(key: str, named: Collection[str]) -> bool:
    return any(key == one or key.startswith(f"{one}.") for one in named)


def _opens(key: str, others: Mapping[str, Any]) -> bool:
    """Whether it is null where the others have a mapping, or stands in one that is null there."""
    parts = key.split(".")
    above = {".".join(parts[:length]) for length in range(1, len(parts))}
    return bool(above & others.keys()) or any(o.startswith(f"{key}.") for o in others)


def _is_users_own(key: str) -> bool:
    return any(part in FREE_KEYS for part in key.split(".")[:-1])
