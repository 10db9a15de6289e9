"""One composed config, judged by the YAML files it comes from.

A key exists if it stands in a YAML file, and its type is the type of the value it has there.
"""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from uda_seg.cli import dataset_lists, help_text, own_keys, relations, targets
from uda_seg.cli.composed import composed, state_of
from uda_seg.cli.rules import Rule
from uda_seg.cli.tree import (
    at,
    exists,
    index_in,
    parent_of,
    plain_run,
    resolved,
    rule_of,
    select,
    unresolved,
    without_hydra,
)  # fmt: skip
from uda_seg.cli.unknown_keys import leaves, unknown_key
from uda_seg.config import conf_folder, with_home
from uda_seg.errors import ConfigError, show
from uda_seg.experiments import launchers
from uda_seg.runs import cluster, run_folder, yaml_errors
from uda_seg.runs.identity import device_count
from uda_seg.runs.quoting import typed


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
        resolved: what a run reads of it, in plain containers, once all overrides are in place.
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
        self.resolved: dict[str, Any] = {}
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
            if self.own_folder is not None:
                choices = self.config.hydra.runtime.choices
                self.mistakes += yaml_errors.not_mappings(choices, self.own_folder)
                if self.mistakes:
                    self.config = OmegaConf.create()
                    return
            self.base = self._without_experiment()
        except yaml_errors.RAISED as error:
            folders = [*filter(None, [self.own_folder]), conf_folder()]
            self.mistakes.append(launchers.explained(yaml_errors.explain(error, folders)))
            self.config = OmegaConf.create()
        if "checkpoint" in self.base.keys():  # noqa: SIM118 (??? counts)
            offered = {"source", "target"} & help_text.groups_of(self.verb).keys()
            self.stored = {side for side in offered if self.base.get(side) is None}

    def _composed(self, overrides: list[str]) -> DictConfig:
        state = () if self.own_folder is None else state_of(self.own_folder)
        if self.own_folder is not None:
            overrides = [*overrides, f"hydra.searchpath=['file://{self.own_folder.resolve()}']"]
        config: DictConfig = pickle.loads(composed(self.verb, tuple(overrides), state))
        config.hydra.runtime.cwd = os.getcwd()
        return config

    def _without_experiment(self) -> DictConfig:
        """An experiment file is a list of overrides too, and may set only what exists."""
        chosen = self.config.hydra.runtime.choices
        if chosen.get("experiment") is None:
            return without_hydra(self.config)
        # Hydra does not say what was chosen for groups with a list, such as logger.
        lists = {group for group in help_text.groups_of(self.verb) if group not in chosen}
        groups = {g: chosen[g] for g in help_text.groups_of(self.verb) if g not in lists}
        groups.pop("sweep", None)  # it sets nothing of a run
        name = groups.pop("experiment")
        for group in sorted(lists & set(dataset_lists.groups())):
            self.mistakes.append(f"experiment={show(name)}: {dataset_lists.in_a_file(group)}")
        lines = [*(f"{g}={show(c)}" for g, c in groups.items()), *self.lists]
        shipped = self._composed(lines)
        known = shipped.hydra.runtime.choices
        own = [f"+{g}={show(c)}" for g, c in chosen.items() if "@" in g and g not in known]
        base = without_hydra(self._composed([*lines, *own]) if own else shipped)
        raw, plain = unresolved(without_hydra(self.config)), unresolved(base)
        for key in leaves(raw):
            if key.partition(".")[0] in lists:
                continue
            if key.startswith("experiment."):
                header = "needs `# @package _global_` in its first line"
                self.mistakes.append(f"experiment={show(name)}: {header}")
                break
            if not exists(base, key):
                line = unknown_key(key, plain, self.verb)
                self.mistakes.append(f"experiment={show(name)}: {line}")
            elif at(raw, key) != at(plain, key):
                value = unresolved(select(self.config, key))
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
        if override.is_sweep_override() and not self.multirun:
            self.mistakes.append(self._several_values(key, str(given)))
            return
        values = [with_home(value) for value in values]
        if top in self.stored and self.base.get(top) is None:
            return  # the run's config.yaml is gone; the command will look into the checkpoint
        there = exists(self.base, key)
        if own_keys.applies(self.base, key):
            for value in reversed(values):
                self.mistakes += own_keys.put(self.base, self.config, key, value)
        elif override.is_add() and there:
            self.mistakes.append(f"{given}: {key} exists, drop the +")
        elif not there and override.type is not OverrideType.CHANGE:
            self._add(key, values[0], str(given))
        else:
            for value in reversed(values):
                self._set(key, value)
        if key == "checkpoint" and self.stored:
            self._use_stored(values[0])

    def _several_values(self, key: str, given: str) -> str:
        """What is wrong with `key=a,b` where there is one run."""
        if not exists(self.base, key) and key.partition(".")[0] not in self.stored:
            return unknown_key(key, unresolved(self.base), self.verb)
        text = given.partition("=")[2]
        cure = "add -m"
        default = rule_of(self.base, key).default if exists(self.base, key) else ""
        if isinstance(default, list):
            cure = f"a list goes in brackets: {key}=[{text}]"
        elif default is None or isinstance(default, str):
            cure += f"; a comma in one text needs quotes within quotes: {typed(key, text)}"
        return f"{given}: several values are several runs: {cure}"

    def _use_stored(self, checkpoint: Any) -> None:
        """Lets `target.root=` alone be judged: the run's config.yaml tells the rest."""
        stored = run_folder.stored_config(run_folder.folder_of(Path(str(checkpoint)))) or {}
        for tree in (self.base, self.config):
            with open_dict(tree):
                for side in self.stored:
                    tree[side] = stored.get(side)

    def _set(self, key: str, value: Any) -> None:
        if not exists(self.base, key):
            self.mistakes.append(unknown_key(key, unresolved(self.base), self.verb))
        elif isinstance(value, dict) and select(self.base, key) == {}:
            OmegaConf.update(self.config, key, value, force_add=True)  # it is there to be filled
            self.new.add(key)
        elif isinstance(value, dict) and isinstance(select(self.base, key), DictConfig):
            for name, child in value.items():
                self._set(f"{key}.{name}", child)
        else:
            parent = unresolved(parent_of(self.config, key))
            before = parent[index_in(parent, key)]
            if isinstance(parent, dict) and isinstance(index_in(parent, key), int):
                self.new.add(key)
            if isinstance(before, dict) and not isinstance(value, dict | str | None):
                self.mistakes += rule_of(self.base, key).complaints(key, value)
                return  # it would not even be taken
            OmegaConf.update(self.config, key, value, force_add=key in self.new)
            try:
                value = unresolved(OmegaConf.select(self.config, key))
            except OmegaConfBaseException:
                return  # an interpolation that leads nowhere is told at the end
            complaints = list(rule_of(self.base, key).complaints(key, value))
            self.mistakes += complaints
            if complaints:
                OmegaConf.update(self.config, key, before)

    def _add(self, key: str, value: Any, given: str) -> None:
        parent = key.rpartition(".")[0]
        node = select(self.base, parent) if parent else None
        if not isinstance(node, DictConfig):
            cure = "+ adds keys only below an existing mapping, such as method.weights"
            self.mistakes.append(f"{given}: {cure}")
        elif not targets.takes_any_key(unresolved(self.base), parent):
            line = unknown_key(key, unresolved(self.base), self.verb)
            self.mistakes.append(f"{line}; + adds none here")
        else:
            OmegaConf.update(self.config, key, value, force_add=True)

    def finish(self) -> None:
        """What can be said only when all overrides are in place."""
        self.mistakes += self._unresolved()
        for group in set(dataset_lists.groups()) - self.unknown:
            self.mistakes += dataset_lists.complaints(group, unresolved(self.config.get(group)))
        if not self.unknown:
            self.mistakes += targets.complaints(plain_run(self.config))
        if self.own_folder is not None:
            self.mistakes += targets.unknown_settings(plain_run(self.config))
        if not self.mistakes:
            self.mistakes += relations.complaints(self.verb, self.resolved, self.tried)
            self.mistakes += self._paths()
        if self.config.get("trainer") and not self.mistakes:
            self.mistakes += self._devices()

    def _devices(self) -> Iterator[str]:
        settings = self.config.trainer
        tried = [n for n in self.tried.get("trainer.devices", []) if isinstance(n, int | list)]
        self.most_devices = max(map(device_count, [*tried, settings.devices]))
        if self.multirun:
            hydra, given = self.config.hydra, self.launcher_given
            nodes = settings.num_nodes
            yield from launchers.device_complaints(hydra, self.most_devices, nodes, given)
        elif self.verb == "train" and (
            line := cluster.complaint(device_count(settings.devices), settings.num_nodes)
        ):
            yield line

    def _unresolved(self) -> Iterator[str]:
        """Keys without a value that need one, interpolations that lead nowhere, and numbers out of
        their bounds, wherever they were written.
        """
        tree, told = plain_run(self.config), set()
        self.resolved = plain_run(self.config)
        # Others may refer to the key that is wrong: the outermost is told, once.
        for key in sorted(leaves(tree), key=lambda key: key.count(".")):
            value = at(tree, key)
            if value == "???":
                if key not in self.tried:
                    yield f"{key}: missing, add {key}=…"
                continue
            if "${" in str(value):
                if self.unknown:
                    continue
                try:
                    value = resolved(OmegaConf.select(self.config, key))
                except OmegaConfBaseException as error:
                    reason = str(error).partition("\n")[0].rpartition("interpolation: ")[2]
                    if reason not in told:
                        yield f"{key}={value}: {reason.strip(chr(34))}"
                    told.add(reason)
                    continue
            if with_home(value) != value:
                value = with_home(value)
                OmegaConf.update(self.config, key, value)
            if isinstance(holder := at(self.resolved, key.rpartition(".")[0]), dict):
                holder[index_in(holder, key)] = value
            if value is not None:
                rule = Rule.of_whole(key, at(tree, key.rpartition(".")[0]))
                yield from rule.outside_bounds(key, value)

    def _paths(self) -> Iterator[str]:
        """Checkpoints that are named but not there."""
        # What a run began with need not be there when it goes on.
        keys = ["resume", "checkpoint", "compare"]
        keys += ["initial"] if self.config.get("resume") is None else []
        for key in keys:
            value = self.config.get(key)
            if key == "resume" and (self.multirun or value == "auto"):
                continue
            for path in value if isinstance(value, ListConfig) else [value]:
                try:
                    if path is not None:
                        run_folder.checkpoint_at(path, key)
                except ConfigError as error:
                    yield str(error)
