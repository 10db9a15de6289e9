"""One composed config, judged by the YAML files it comes from.

A key exists if it stands in a YAML file, and its type is the type of the value it has there.
"""

import os
import pickle
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from uda_seg import cluster, contradictions, dataset_lists, help, run_folder
from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError
from uda_seg.mistakes import Rule, key_in, leaves, show, unknown_key
from uda_seg.sweeps import launchers


class Composition:
    """
    Args:
        verb: the command; its keys stand in conf/VERB.yaml.
        multirun: whether this is one of several jobs.
        own_folder: YAML files of the user's own.
        unknown: groups whose choice does not exist; what is said about them is passed over.

    Attributes:
        mistakes: what was found so far, one line each.
        config: with the overrides that are right, and with the `hydra` node; empty when the
            files do not compose.
        stored: of source and target, those of the run `checkpoint=` names, no group's choice.
        new: keys that are right, but that Hydra has to be told to add.
        most_devices: of a run, one of several values included.
        launcher_given: whether hydra/launcher is on the command line.
    """

    def __init__(
        self, verb: str, multirun: bool, own_folder: Path | None, unknown: set[str]
    ) -> None:
        self.verb, self.multirun, self.own_folder = verb, multirun, own_folder
        self.unknown = unknown
        self.mistakes: list[str] = []
        self.config, self.base = OmegaConf.create(), OmegaConf.create()
        self.stored: set[str] = set()
        self.tried: dict[str, list[Any]] = {}
        self.most_devices = 1
        self.launcher_given = False
        self.lists: list[str] = []
        self.new: set[str] = set()

    def compose(self, groups: list[str], hydra: list[str]) -> None:
        """Composes the groups' files, without any value given on the command line."""
        self.launcher_given = any(line.startswith("hydra/launcher=") for line in hydra)
        self.lists = [line for line in groups if "@" in line or "." in line.partition("=")[0]]
        try:
            self.config = self._composed([*groups, *hydra])
            self.base = self._without_experiment()
        except (HydraException, OmegaConfBaseException) as error:
            text = " ".join(str(error).strip().split("\n")[:2]) or repr(error)
            self.mistakes.append(launchers.explained(text))
            self.config = OmegaConf.create()
        if "checkpoint" in self.base.keys():  # noqa: SIM118 (??? counts)
            offered = {"source", "target"} & help.groups_of(self.verb).keys()
            self.stored = {side for side in offered if self.base.get(side) is None}

    def _composed(self, overrides: list[str]) -> DictConfig:
        state = () if self.own_folder is None else _state(self.own_folder)
        if self.own_folder is not None:
            overrides = [*overrides, f"hydra.searchpath=['file://{self.own_folder.resolve()}']"]
        config: DictConfig = pickle.loads(_composed(self.verb, tuple(overrides), state))
        config.hydra.runtime.cwd = os.getcwd()
        return config

    def _without_experiment(self) -> DictConfig:
        """An experiment file is a list of overrides too, and may set only what exists."""
        chosen = self.config.hydra.runtime.choices
        if chosen.get("experiment") is None:
            return without_hydra(self.config)
        # Hydra does not say what was chosen for groups with a list, such as logger.
        lists = {group for group in help.groups_of(self.verb) if group not in chosen}
        groups = {g: chosen[g] for g in help.groups_of(self.verb) if g not in lists}
        groups.pop("sweep", None)  # it sets nothing of a run
        name = groups.pop("experiment")
        for group in sorted(lists & set(dataset_lists.groups())):
            self.mistakes.append(f"experiment={show(name)}: {dataset_lists.in_a_file(group)}")
        lines = [*(f"{g}={show(c)}" for g, c in groups.items()), *self.lists]
        composed = self._composed(lines)
        known = composed.hydra.runtime.choices
        own = [f"+{g}={show(c)}" for g, c in chosen.items() if "@" in g and g not in known]
        base = without_hydra(self._composed([*lines, *own]) if own else composed)
        raw, plain = _plain(without_hydra(self.config)), _plain(base)
        for key in leaves(raw):
            if key.partition(".")[0] in lists:
                continue
            if not exists(base, key):
                line = unknown_key(key, plain, self.verb)
                self.mistakes.append(f"experiment={show(name)}: {line}")
            elif _at(raw, key) != _at(plain, key):
                value = _plain(_select(self.config, key))
                complaints = rule_of(base, key).complaints(key, value)
                self.mistakes += [f"experiment={show(name)}: {line}" for line in complaints]
        return base

    def override(self, override: Override, values: list[Any]) -> None:
        """Applies an override's first value, and complains about all that are wrong."""
        key = override.key_or_group.replace("[", ".").replace("]", "")
        top, given = key.partition(".")[0], override.input_line
        self.tried[key] = values
        if top in self.unknown:
            return
        if top in self.stored and self.base.get(top) is None:
            return  # the run's config.yaml is gone; the command will look into the checkpoint
        there = exists(self.base, key)
        if override.is_add() and there:
            self.mistakes.append(f"{given}: {key} exists, drop the +")
        elif not there and override.type is not OverrideType.CHANGE:
            self._add(key, values[0], str(given))
        else:
            for value in reversed(values):
                self._set(key, value)
        if key == "checkpoint" and self.stored:
            self._use_stored(values[0])

    def _use_stored(self, checkpoint: Any) -> None:
        """Lets `target.root=` alone be judged: the run's config.yaml tells the rest."""
        stored = run_folder.stored_config(run_folder.folder_of(Path(str(checkpoint)))) or {}
        for tree in (self.base, self.config):
            with open_dict(tree):
                for side in self.stored:
                    tree[side] = stored.get(side)

    def _set(self, key: str, value: Any) -> None:
        if not exists(self.base, key):
            self.mistakes.append(unknown_key(key, _plain(self.base), self.verb))
        elif isinstance(value, dict) and _select(self.base, key) == {}:
            OmegaConf.update(self.config, key, value, force_add=True)  # it is there to be filled
            self.new.add(key)
        elif isinstance(value, dict) and isinstance(_select(self.base, key), DictConfig):
            for name, child in value.items():
                self._set(f"{key}.{name}", child)
        else:
            parent = _plain(_parent(self.config, key))
            before = parent[_index(parent, key)]
            if isinstance(parent, dict) and isinstance(_index(parent, key), int):
                self.new.add(key)
            if isinstance(before, dict) and not isinstance(value, dict | str | None):
                self.mistakes += rule_of(self.base, key).complaints(key, value)
                return  # it would not even be taken
            OmegaConf.update(self.config, key, value, force_add=key in self.new)
            try:
                value = _plain(OmegaConf.select(self.config, key))
            except OmegaConfBaseException:
                return  # an interpolation that leads nowhere is told at the end
            complaints = list(rule_of(self.base, key).complaints(key, value))
            self.mistakes += complaints
            if complaints:
                OmegaConf.update(self.config, key, before)

    def _add(self, key: str, value: Any, given: str) -> None:
        parent = key.rpartition(".")[0]
        if parent and isinstance(_select(self.base, parent), DictConfig):
            OmegaConf.update(self.config, key, value, force_add=True)
        else:
            cure = "+ adds keys only below an existing mapping, such as method.weights"
            self.mistakes.append(f"{given}: {cure}")

    def finish(self) -> None:
        """What can be said only when all overrides are in place."""
        self.mistakes += self._unresolved()
        for group in set(dataset_lists.groups()) - self.unknown:
            self.mistakes += dataset_lists.complaints(group, _plain(self.config.get(group)))
        if not self.mistakes:
            self.mistakes += self._paths()
        if self.config.get("trainer") and not self.mistakes:
            plain: Any = OmegaConf.to_container(self.config.trainer, resolve=True)
            self.mistakes += [*contradictions.complaints(plain, self.tried), *self._devices()]

    def _devices(self) -> Iterator[str]:
        settings = self.config.trainer
        tried = [n for n in self.tried.get("trainer.devices", []) if isinstance(n, int)]
        self.most_devices = max([*tried, settings.devices])
        if self.multirun:
            hydra, given = self.config.hydra, self.launcher_given
            nodes = settings.num_nodes
            yield from launchers.device_complaints(hydra, self.most_devices, nodes, given)
        elif self.verb == "train" and (
            line := cluster.complaint(settings.devices, settings.num_nodes)
        ):
            yield line

    def _unresolved(self) -> Iterator[str]:
        """Keys without a value that need one, and interpolations that lead nowhere."""
        tree, told = _plain(self.config), set()
        tree.pop("hydra", None)
        # Others may refer to the key that is wrong: the outermost is told, once.
        for key in sorted(leaves(tree), key=lambda key: key.count(".")):
            value = _at(tree, key)
            if value == "???":
                if key not in self.tried:
                    yield f"{key}: missing, add {key}=…"
            elif isinstance(value, str) and "${" in value and not self.unknown:
                try:
                    OmegaConf.select(self.config, key)
                except OmegaConfBaseException as error:
                    reason = str(error).partition("\n")[0].rpartition("interpolation: ")[2]
                    if reason not in told:
                        yield f"{key}={value}: {reason.strip(chr(34))}"
                    told.add(reason)

    def _paths(self) -> Iterator[str]:
        """Checkpoints that are named but not there."""
        tree = self.config
        # What a run began with need not be there when it goes on.
        for key in ("resume", "checkpoint", *(["initial"] if tree.get("resume") is None else [])):
            if tree.get(key) not in (None, "auto") and not (self.multirun and key == "resume"):
                try:
                    run_folder.checkpoint_at(tree[key], key)
                except ConfigError as error:
                    yield str(error)


@lru_cache(maxsize=256)
def _composed(verb: str, overrides: tuple[str, ...], own_files: tuple[Any, ...]) -> bytes:
    """A composed config, pickled: reading it takes a hundredth of composing it again.

    Args:
        verb: the command.
        overrides: of groups and of Hydra.
        own_files: the state of the user's YAML files, which may change meanwhile.
    """
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        return pickle.dumps(compose(verb, overrides=list(overrides), return_hydra_config=True), -1)


def _state(folder: Path) -> tuple[Any, ...]:
    """Of the YAML files in a folder: changes when one of them does."""
    paths = [path for levels in ("*", "*/*", "hydra/*/*") for path in folder.glob(f"{levels}.yaml")]
    files = [(str(path), path.stat()) for path in sorted(paths) if path.is_file()]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in files)


def exists(config: DictConfig, key: str) -> bool:
    node, name = _parent(config, key), key.rpartition(".")[2]
    if isinstance(node, ListConfig):
        return name.isdigit() and int(name) < len(node)
    return isinstance(node, DictConfig) and key_in(node.keys(), name) in node.keys()  # noqa: SIM118 (null counts)


def rule_of(config: DictConfig, key: str) -> Rule:
    """What a key may hold, by its value in the YAML files and the `_choices_` and so on there."""
    parent = _plain(_parent(config, key))
    written = parent[_index(parent, key)]
    computed = isinstance(written, str) and "${" in written
    default = _plain(_select(config, key)) if computed else written
    return Rule.of(parent, key.rpartition(".")[2], None if default == "???" else default, computed)


def _parent(config: DictConfig, key: str) -> Any:
    path = key.rpartition(".")[0]
    return _select(config, path) if path else config


def _index(parent: Any, key: str) -> Any:
    name = key.rpartition(".")[2]
    return int(name) if isinstance(parent, list | ListConfig) else key_in(parent, name)


def _select(config: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return None


def _at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(tree, dict):
            return None  # a key with a dot in its name, which no path leads to
        tree = tree.get(key_in(tree, part))
    return tree


def _plain(node: Any) -> Any:
    """Interpolations stay as they are written."""
    return OmegaConf.to_container(node, resolve=False) if OmegaConf.is_config(node) else node


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy; OmegaConf's own way of copying takes three times as long."""
    copy: DictConfig = pickle.loads(pickle.dumps(config, -1))
    with open_dict(copy):
        copy.pop("hydra", None)
    return copy
