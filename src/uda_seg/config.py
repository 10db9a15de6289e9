"""Where the YAML files lie, and how a node of them becomes an object.

Keys that begin with `_` speak to this package and never reach a constructor:

    _target_       the dotted path of a class or function
    _partial_      true: build a `functools.partial` of it
    _variants_     {name: overrides} of a method: rows of its paper, for --help and the tests
    _alone_        true: no other method is built on this one
    _choices_      {key: [values]}, the only values of a sibling key; null among them allows null
    _minimum_      {key: number}, the least value of a sibling key (of each element of a list)
    _maximum_, _above_, _below_    the same for the largest value, and for bounds that are left out
    _length_       {key: number} of elements of a sibling list; 1+: at least one
    _increasing_   [keys] whose numbers must not fall
    _like_         {key: example} of what a sibling key holds whose default is null or ???
    _optional_     [keys] that may be null although their default is not
    _listable_     [keys] of how many, that may hold a list of which

A target is given those of its keys that are parameters of it; the others, such as `name`, are read
by this package, or stand in an interpolation.

Those from `_choices_` to `_listable_` also stand in conf/rules.yaml, for keys that many files have;
so does `_own_keys_`, of mappings whose keys are the user's: they are replaced, never merged.
"""

import functools
import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from uda_seg.errors import ConfigError, suggest

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast in C, where it was built; a report reads the configs of many runs."""

TRUSTED = ("uda_seg", "torch", "lightning")
"""A config may build things from these packages only: it may come from someone else's run."""
TRUST_VARIABLE = "UDA_SEG_TRUST"
"""Names further packages, with commas between: the user's own (docs/adding.md)."""

CHECKS = (
    "_choices_", "_minimum_", "_maximum_", "_above_", "_below_", "_length_", "_increasing_",
    "_like_", "_optional_", "_listable_", "_variants_", "_alone_",
)  # fmt: skip
"""Words that no run reads: they are for the check of a command line, and for --help."""


def conf_folder() -> Path:
    """The YAML files: beside the modules in an installed wheel, else at the repository's top."""
    here = Path(__file__).resolve()
    for folder in (here.parent / "conf", here.parents[2] / "conf"):
        if (folder / "train.yaml").is_file():
            return folder
    raise ConfigError(
        f"the config files are missing: neither {here.parent / 'conf'} nor "
        f"{here.parents[2] / 'conf'} holds a train.yaml; install uda_seg again"
    )


def own_folder() -> Path | None:
    """YAML files of the user's own: what `--config-dir` of the command that runs now names."""
    from hydra.core.hydra_config import HydraConfig

    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    own = [source.path for source in sources if source.provider == "command-line"]
    return Path(own[0]).absolute() if own else None


def read_yaml(path: Path) -> Any:
    """
    Raises:
        OSError, ValueError, YAMLError: it cannot be read.
    """
    return yaml.load(path.read_text(encoding="utf-8"), LOADER)


def shipped(group: str, name: str) -> dict[str, Any]:
    """A YAML file of ours as it is written, with those that it builds on; {} if there is none."""
    path = conf_folder() / group / f"{name}.yaml"
    if not path.is_file():
        return {}
    node = read_yaml(path)
    # Other entries are choices, which a command line makes.
    entries = [entry for entry in node.pop("defaults", ()) if isinstance(entry, str)]
    bases = [entry.partition("@")[0] for entry in entries if entry != "_self_"]
    places = [(base.rpartition("/")[0].strip("/") or group, base) for base in bases]
    built_on = [shipped(place, base.rpartition("/")[2]) for place, base in places]
    merged: Any = OmegaConf.to_container(OmegaConf.merge(*built_on, node))
    return merged


_DATASET = "name like size train_split val_split leave_out augment protocols".split()
READ_HERE = {
    "source": _DATASET,
    "target": _DATASET,
    "backbone": ["name", "optimizer", "schedule", "depth_head"],
    "backbone.optimizer": ["encoder_updates", "norm_decay", "layer_decay"],
    "method": ["name", "label", "facts", "depth_head", "rare_classes", "optimizers"],
}
"""Keys that this package reads itself, whether or not a constructor takes them."""


def encoder_name(backbone: Mapping[str, Any]) -> str:
    """What timm calls the encoder of a `backbone:` config; the backbone's own name without one."""
    node = backbone.get("host", backbone)  # HRDA's network is one around another
    return str(node.get("encoder", backbone)["name"])


def unread(node: Mapping[str, Any], path: str) -> list[str]:
    """Keys of a node, which stands at `path`, that neither its target nor this package reads."""
    signature = _signature(locate(node["_target_"]))
    return [
        key
        for key in arguments_of(node)
        if not _takes(signature, key) and key not in READ_HERE.get(path, ())
    ]


def build(node: Any, **extra: Any) -> Any:
    """The object that a node with `_target_` describes, and those nested in it.

    Args:
        node: plain containers or a DictConfig; interpolations are resolved.
        extra: further arguments of the outermost target, built objects as a rule.
    """
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(f"nothing can be built from {node!r}: it has no _target_")
    return _make(node, extra)


def _make(node: Mapping[str, Any], extra: Mapping[str, Any]) -> Any:
    """
    Raises:
        ConfigError: a parameter has no key.
    """
    target, keys = locate(node["_target_"]), arguments_of(node)
    signature = _signature(target)
    arguments = {key: _built(keys[key]) for key in keys if _takes(signature, key)} | dict(extra)
    if signature is not None:
        try:
            (signature.bind_partial if node.get("_partial_") else signature.bind)(**arguments)
        except TypeError as error:
            name = str(error).partition("'")[2].rstrip("'")
            hint = suggest(name, keys.keys() - arguments.keys()).strip()
            raise ConfigError(
                f"_target_: {node['_target_']}: {error} among its keys{hint and f'; {hint}'}"
            ) from error
    if node.get("_partial_"):
        return functools.partial(target, **arguments)
    return target(**arguments)


def _signature(target: Callable[..., Any]) -> inspect.Signature | None:
    """None of what is written in C."""
    try:
        return inspect.signature(target)
    except ValueError:
        return None


def _takes(signature: inspect.Signature | None, key: str) -> bool:
    if signature is None or key in signature.parameters:
        return True
    return any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())


def _built(node: Any) -> Any:
    if isinstance(node, Mapping):
        if "_target_" in node:
            return _make(node, {})
        return {key: _built(child) for key, child in arguments_of(node).items()}
    if isinstance(node, list):
        return [_built(child) for child in node]
    return node


def needed_by(method: Mapping[str, Any]) -> frozenset[str]:
    """Optional fields of the batch that a `method:` reads, or the one that it is built on."""
    method_class: Any = locate(method["_target_"])
    base = method.get("base")
    needs: frozenset[str] = method_class.needed(method)
    return needs | needed_by(base) if isinstance(base, Mapping) else needs


def optimizers_of(method: Mapping[str, Any]) -> dict[str, Any]:
    """By player, as they are written, of a `method:` and of the one that it is built on."""
    base = optimizers_of(method["base"]) if "base" in method else {}
    return {**base, **method["optimizers"]}


def arguments_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a node that may reach its constructor: those without an underscore."""
    return {key: child for key, child in node.items() if not str(key).startswith("_")}


def locate(path: str) -> Callable[..., Any]:
    """The class or function that a dotted path names; packages we do not trust are refused."""
    if refused := refusal(path):
        raise ConfigError(refused)
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"_target_: {path} does not exist ({error})") from error


def refusal(path: str) -> str | None:
    """Why nothing is built from a dotted path; None where its package is trusted."""
    own = [name.strip() for name in os.environ.get(TRUST_VARIABLE, "").split(",")]
    packages = [*TRUSTED, *filter(None, own)]
    if path.startswith(tuple(f"{package}." for package in packages)):
        return None
    return (
        f"_target_: {path} is refused: a config builds things from {', '.join(packages)} only; "
        f"if {path.partition('.')[0]} is your own package, set {TRUST_VARIABLE}="
        f"{','.join([*filter(None, own), path.partition('.')[0]])}"
    )


def with_home(value: Any) -> Any:
    """A value with ~ and ~user at the beginning of each text in it as a shell expands them."""
    if isinstance(value, str):
        return os.path.expanduser(value) if value.startswith("~") else value
    if isinstance(value, list):
        return [with_home(child) for child in value]
    if isinstance(value, Mapping):
        return {key: with_home(child) for key, child in value.items()}
    return value


def plain(config: Any) -> Any:
    """Resolved, in plain containers, without what only the check reads: for files and loggers."""
    if isinstance(config, DictConfig):
        config = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    if isinstance(config, Mapping):
        # Ids are whole numbers in a YAML, but text on a command line: as keys they are text here.
        return {str(key): plain(child) for key, child in config.items() if key not in CHECKS}
    if isinstance(config, list):
        return [plain(child) for child in config]
    return config


@lru_cache(maxsize=1)
def shared_words() -> dict[str, Any]:
    """Of conf/rules.yaml: a word to what it says, by patterns of paths."""
    return dict(read_yaml(conf_folder() / "rules.yaml"))


def has_own_keys(path: str) -> bool:
    """Whether conf/rules.yaml calls a key such a mapping."""
    return any(fnmatchcase(path, pattern) for pattern in shared_words()["_own_keys_"])
