"""What one key cannot be judged for alone: keys that only make sense together."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath, PureWindowsPath
from typing import Any

from uda_seg.cli.tree import exists
from uda_seg.config import arguments_of, shipped
from uda_seg.data.datasets.classes import SPACES
from uda_seg.errors import show, suggest
from uda_seg.runs.identity import device_count

Tried = Mapping[str, Sequence[Any]]


def complaints(verb: str, config: Mapping[str, Any], tried: Tried) -> Iterator[str]:
    """
    Args:
        verb: the command.
        config: resolved, in plain containers, without the `hydra` node.
        tried: all values of the keys on the command line, of which a sweep gives several.
    """
    yield from _accumulate(config.get("trainer"), tried)
    yield from _limit_val_images(config.get("trainer"), tried)
    yield from _run_name(config)
    yield from _inference(config.get("inference"), tried)
    yield from _schedule(config)
    yield from _base(config.get("method"))
    yield from _facts(config.get("method"))
    yield from _rare_classes(config.get("rare_classes"))
    yield from _label_space(config.get("label_space"))
    if verb.startswith("data_prepare") and not (config.get("source") or config.get("target")):
        sides = "target=…" if verb == "data_prepare_superpixels" else "source=… or target=…"
        yield f"nothing to prepare: give {sides}"
    if verb == "predict":
        yield from _size(config["size"])
    for key, side in (("split", "target"), ("source_split", "source"), ("target_split", "target")):
        yield from _split(config, key, side)
    for key in ("runs", "rows", "label_space", "write", "formats"):
        yield from _twice(key, config.get(key))


def _facts(method: Any) -> Iterator[str]:
    """What scores.json is to record of a method, but stands nowhere."""
    for key in method.get("facts") or () if isinstance(method, Mapping) else ():
        if not exists(method, str(key)):
            hint = suggest(str(key), [name for name in method if not name.startswith("_")])
            yield f"method.facts: {key} is no key of method={method['name']}; {hint}".rstrip("; ")
    if isinstance(method, Mapping) and "base" in method:
        yield from _facts(method["base"])


def _base(method: Any, place: str = "method", above: tuple[str, ...] = ()) -> Iterator[str]:
    """What a method cannot be built on: the oracle, and itself."""
    base = method.get("base") if isinstance(method, Mapping) else None
    if not isinstance(base, Mapping):
        return
    place, above = f"{place}.base", (*above, method["_target_"])
    if base.get("_alone_") or base["_target_"] in above:
        yield f"method@{place}: {method['name']} cannot be built on {base['name']}; choose another"
    else:
        yield from _base(base, place, above)


def _run_name(config: Mapping[str, Any]) -> Iterator[str]:
    """A folder below outputs, never one beside it."""
    name = str(config.get("run_name", "."))
    path = PurePath(name)
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts:
        yield (
            f"run_name={name}: must be the name of a folder below outputs={config['outputs']}; "
            "give outputs= for another place"
        )


def _inference(settings: Any, tried: Tried) -> Iterator[str]:
    if not isinstance(settings, Mapping):
        return
    if settings.get("mode") == "whole":
        # An experiment's windows may stay where it is told to take whole images.
        at_once = [value for value in tried.get("inference", ()) if isinstance(value, Mapping)]
        asked = {
            key: [*tried.get(f"inference.{key}", ()), *(value.get(key) for value in at_once)]
            for key in ("mode", "window", "stride")
        }
        given = [f"inference.{key}" for key in ("window", "stride") if any(asked[key])]
        if given and "slide" not in asked["mode"]:
            words = " and ".join(given)
            yield f"{words}: would do nothing, whole images are scored; add inference.mode=slide"
    if settings.get("mode") != "slide":
        return
    example = "inference.window=[512,512] inference.stride=[384,384]"
    sizes = {}
    for key in ("window", "stride"):
        value = settings.get(key)
        if value is None:
            yield f"inference.mode=slide: needs inference.{key}: {example}"
            continue
        size = [value, value] if isinstance(value, int) else value
        if not isinstance(size, list) or len(size) != 2 or not all(type(n) is int for n in size):
            yield f"inference.{key}={show(value)}: must be height, width: {example}"
        else:
            sizes[key] = size
    if len(sizes) == 2 and any(s > w for s, w in zip(sizes["stride"], sizes["window"])):
        yield (
            f"inference.stride={show(settings['stride'])}: is larger than "
            f"inference.window={show(settings['window'])}, so pixels between windows get no answer"
        )


def _accumulate(trainer: Any, tried: Tried) -> Iterator[str]:
    for size in _values("batch_size", trainer, tried):
        for count in _values("accumulate", trainer, tried):
            if size % count:
                fits = ", ".join(str(n) for n in range(1, size + 1) if size % n == 0)
                yield (
                    f"trainer.accumulate={count}: a batch of trainer.batch_size={size} is not cut "
                    f"into {count} equal pieces; choose one of {fits}, or another batch size"
                )


def _limit_val_images(trainer: Any, tried: Tried) -> Iterator[str]:
    """A process without an image would leave the others waiting for its counts."""
    for limit in _values("limit_val_images", trainer, tried):
        processes = device_count(trainer["devices"]) * trainer["num_nodes"]
        if limit < processes:
            yield (
                f"trainer.limit_val_images={limit}: leaves some of {processes} processes without "
                f"an image; give at least {processes}, or null for all"
            )


def _values(key: str, trainer: Any, tried: Tried) -> list[int]:
    if not isinstance(trainer, Mapping):
        return []
    given = tried.get(f"trainer.{key}") or [trainer.get(key)]
    return [value for value in given if isinstance(value, int)]


def _schedule(config: Mapping[str, Any]) -> Iterator[str]:
    if "trainer" not in config or "schedule" not in config.get("backbone", {}):
        return
    total, steps = config["backbone"]["schedule"].get("total"), config["trainer"]["steps"]
    if total is not None and total < steps:
        yield (
            f"backbone.schedule.total={total}: ends before trainer.steps={steps}; make it null (as "
            "long as the run) or longer"
        )


def _rare_classes(node: Any) -> Iterator[str]:
    """Its numbers are judged by conf/rules.yaml."""
    if node is None:
        return
    shape = "{temperature: 0.01, pixels: 3000, ratio: 0.5, tries: 10}"
    keys = arguments_of(node) if isinstance(node, Mapping) else None
    known = ("temperature", "pixels", "ratio", "tries")
    if keys is None or not keys:
        yield f"rare_classes={show(node)}: must be null or all of {shape}"
        return
    for key in keys:
        if key not in known:
            hint = suggest(str(key), known)
            yield f"rare_classes.{key}: unknown key, {hint}it needs all of {shape}"
    for key in known:
        if not isinstance(keys.get(key), int | float):
            yield f"rare_classes.{key}: must be a number; it needs all of {shape}"


def _size(size: Any) -> Iterator[str]:
    """What is wrong with the sizes of predict."""
    pair = isinstance(size, list) and len(size) == 2
    if size in (None, "own") or (pair and all(type(n) is int and n >= 1 for n in size)):
        return
    yield f"size={show(size)}: must be height, width, like [512,1024], or own"


def _split(config: Mapping[str, Any], key: str, side: str) -> Iterator[str]:
    """A split that the chosen dataset does not have; that of a run's own is known by its name."""
    node, split = config.get(side), config.get(key)
    if split is None or not isinstance(node, Mapping):
        return
    choices = node.get("_choices_") or shipped(side, str(node.get("name"))).get("_choices_", {})
    known = sorted({*choices.get("train_split", ()), *choices.get("val_split", ())})
    if known and split not in known:
        yield f"{key}={split}: {suggest(split, known)}choose from {', '.join(known)}"


def _label_space(choice: Any) -> Iterator[str]:
    if isinstance(choice, str) and choice not in SPACES:
        hint = f"{suggest(choice, SPACES)}choose from {', '.join(SPACES)}"
        yield f"label_space={choice}: unknown, {hint}, or list classes: label_space=[road,sky]"


def _twice(key: str, values: Any) -> Iterator[str]:
    listed = [str(value) for value in _listed(values)]
    if twice := sorted({value for value in listed if listed.count(value) > 1}):
        yield f"{key}={show(values)}: {', '.join(twice)} is given twice"


def _listed(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []
