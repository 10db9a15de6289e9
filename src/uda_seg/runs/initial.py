"""The network that a run starts from: another run's, or a file of plain tensors with its names.

What depends on the classes, the last layer of each head, is taken over class by class, by name.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uda_seg.config import build
from uda_seg.errors import ConfigError, UserError
from uda_seg.runs import run_folder, weights

log = logging.getLogger(__name__)

State = Mapping[str, Tensor]
DEPTH = "depth_head."
"""A run without depth may be what a run with depth starts from, and the other way round."""


@dataclass(frozen=True)
class Initial:
    """
    Attributes:
        path: of the file.
        state: of the network.
        classes: its run's; None where the file does not say.
    """

    path: Path
    state: State
    classes: list[str] | None


def read_initial(initial: str) -> Initial:
    """
    Args:
        initial: a run folder, its .ckpt file, or a file of tensors.

    Raises:
        ConfigError: there is none.
        WeightsError: it cannot be used.
    """
    path = run_folder.checkpoint_at(initial, "initial")
    content = weights.read_tensors(path, "initial")
    if isinstance(content, Mapping) and "hyper_parameters" in content:
        content = weights.read_checkpoint(path, "initial")
        classes = list(content["hyper_parameters"]["classes"])
        return Initial(path, weights.network_state(content), classes)
    return Initial(path, weights.plain_state(content), None)


def check_initial(config: Mapping[str, Any]) -> None:
    """Before anything is built: that the file can be read and is of such a backbone.

    Raises:
        UserError: it cannot, or is not.
    """
    if config["initial"] is None:
        return
    found = read_initial(config["initial"])
    count = len(found.classes) if found.classes else 19
    own = _shapes(config["backbone"], count)
    per_class = class_dimensions(config["backbone"], count)
    if own is not None:
        fresh = per_class if config["initial_heads"] == "new" or not found.classes else {}
        _check_fit(found, own, fresh, config)


def start(
    network: nn.Module, config: Mapping[str, Any], classes: Sequence[str], role: str = "network"
) -> str | None:
    """Loads what `initial=` names into a network with these classes.

    Args:
        network: built as `config` says.
        config: of the run.
        classes: of the run.
        role: what the network is, for the log.

    Returns:
        The file; None where a run starts from nothing.

    Raises:
        UserError: it does not fit.
    """
    if config["initial"] is None:
        return None
    found, own = read_initial(config["initial"]), network.state_dict()
    per_class = class_dimensions(config["backbone"], len(classes))
    state, words = _heads(found, own, classes, per_class, config["initial_heads"] == "new")
    fitting = Initial(found.path, state, found.classes)
    _check_fit(fitting, {key: value.shape for key, value in own.items()}, {}, config)
    new_depth = [key for key in own if key.startswith(DEPTH) and key not in state]
    network.load_state_dict({key: state.get(key, own[key]) for key in own})
    words += ["its depth head at random"] if new_depth else []
    log.info("%s", "; ".join([f"{role} starts from {found.path}", *words]))
    return str(found.path)


def check_labellers(config: Mapping[str, Any]) -> None:
    """As `check_initial`, of the runs in `method.labellers`."""
    if (config["method"].get("base") or {}).get("labellers"):
        raise ConfigError(
            "method.base.labellers: a later round of FDA has no other method on top of it; leave "
            "them out, or choose method=fda"
        )
    for path in config["method"].get("labellers") or ():
        with _as_labeller():
            check_initial({**config, "initial": path})


def start_labellers(
    networks: Iterable[nn.Module], config: Mapping[str, Any], classes: Sequence[str]
) -> None:
    """Loads the runs of `method.labellers`, one into each network.

    Raises:
        UserError: one does not fit.
    """
    for network, path in zip(networks, config["method"]["labellers"], strict=True):
        with _as_labeller():
            start(
                network,
                {**config, "initial": path, "initial_heads": "by_name"},
                classes,
                "labeller",
            )


@contextmanager
def _as_labeller() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise type(error)(str(error).replace("initial=", "method.labellers=")) from error


def _heads(
    found: Initial, own: State, classes: Sequence[str], per_class: Mapping[str, int], new: bool
) -> tuple[State, list[str]]:
    """The file's weights with rows of this run's classes, and what was done."""
    if new:
        return {**found.state, **{key: own[key] for key in per_class}}, ["its heads at random"]
    theirs = found.classes
    if theirs is None:
        same = all(found.state[k].shape == own[k].shape for k in per_class if k in found.state)
        if same:
            return found.state, ["the file names no classes: its heads are taken as they are"]
        raise ConfigError(
            f"initial={found.path}: its heads are not of {len(classes)} classes, and it does not "
            "say which they are of; initial_heads=new starts the heads at random"
        )
    if list(classes) == theirs:
        return found.state, []
    kept = [name for name in classes if name in theirs]
    if not kept:
        raise ConfigError(
            f"initial={found.path}: none of its classes ({', '.join(theirs)}) is one of this run "
            f"({', '.join(classes)}); initial_heads=new starts the heads at random"
        )
    state = dict(found.state)
    for key, dimension in per_class.items():
        if key in state and dimension >= 0:
            rows = own[key].clone()
            for place, name in enumerate(classes):
                if name in kept:
                    row = state[key].select(dimension, theirs.index(name))
                    rows.select(dimension, place).copy_(row)
            state[key] = rows
        else:
            state[key] = own[key]
    fresh = [name for name in classes if name not in theirs]
    left = [name for name in theirs if name not in classes]
    words = [f"heads: {len(kept)} of {len(classes)} classes by name"]
    words += [f"at random: {', '.join(fresh)}"] if fresh else []
    words += [f"left out: {', '.join(left)}"] if left else []
    return state, words


def class_dimensions(backbone: Mapping[str, Any], count: int) -> dict[str, int]:
    """Weights that depend on the number of classes, with the dimension that counts them.

    -1 where there is no such one. Found by building the network, without memory, for one more.
    """
    before, after = _shapes(backbone, count), _shapes(backbone, count + 1)
    if before is None or after is None:
        return {}
    found = {}
    for key, shape in before.items():
        if shape != after[key]:
            changed = [i for i, (a, b) in enumerate(zip(shape, after[key], strict=True)) if a != b]
            one = len(changed) == 1 and shape[changed[0]] == count
            found[key] = changed[0] if one else -1
    return found


def _shapes(backbone: Mapping[str, Any], count: int) -> dict[str, torch.Size] | None:
    """None for a network that cannot be built without memory."""
    node = dict(backbone)
    if "pretrained" in node:
        node["pretrained"] = "none"
    try:
        with torch.device("meta"):
            network = build(node, classes=count)
    except (NotImplementedError, RuntimeError):
        return None
    return {key: value.shape for key, value in network.state_dict().items()}


def _check_fit(
    found: Initial,
    own: Mapping[str, torch.Size],
    fresh: Mapping[str, int],
    config: Mapping[str, Any],
) -> None:
    """All weights but those of the depth head, and those that start at random anyway."""
    theirs = {key: value.shape for key, value in found.state.items()}
    keys = [k for k in own.keys() | theirs.keys() if k not in fresh and not k.startswith(DEPTH)]
    odd = sorted(key for key in keys if own.get(key) != theirs.get(key))
    if not odd:
        return
    name, shown = config["backbone"]["name"], []
    for key in odd[:3]:
        sizes = [list(shapes[key]) if key in shapes else "nothing" for shapes in (theirs, own)]
        shown.append(f"{key} {sizes[0]} instead of {sizes[1]}")
    cure = (
        "; weights of an encoder alone are taken by backbone.pretrained=FILE"
        if "pretrained" in config["backbone"]
        else ""
    )
    raise ConfigError(
        f"initial={found.path}: does not fit backbone={name}: {len(odd)} of {len(keys)} weights "
        f"differ ({'; '.join(shown)}{'; …' if len(odd) > 3 else ''}){cure}"
    )
