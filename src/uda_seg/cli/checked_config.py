"""One config: composed by Hydra, judged by the YAML files it comes from.

base    what the chosen files compose to: a key exists if it stands there, and what it may hold is
        told by the value and the words it has there
config  the same with the values of the command line in it, set by Hydra: what the job runs with
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    Override,
    OverrideType,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uda_seg.cli import dataset_lists, help_text, own_keys, places, relations, targets
from uda_seg.cli.composed import compose, with_values
from uda_seg.cli.overrides import values_of, with_first_value
from uda_seg.cli.rules import Rule
from uda_seg.cli.tree import Tree, at, exists, put, resolved, rule_of, run_of, value_at
from uda_seg.cli.unknown_keys import leaves, unknown_key
from uda_seg.config import conf_folder, with_home
from uda_seg.errors import show
from uda_seg.experiments import launchers
from uda_seg.runs import cluster, run_folder, yaml_errors
from uda_seg.runs.identity import device_count
from uda_seg.runs.quoting import typed


@dataclass
class Composition:
    """
    Attributes:
        verb: the command; its keys stand in conf/VERB.yaml.
        multirun: whether this is one of several jobs.
        own_folder: YAML files of the user's own.
        unknown: groups whose choice does not exist; what is said about them is passed over.
        mistakes: one line each.
        config: with the overrides that are right, and with the `hydra` node; empty when the files
            do not compose.
        resolved: what a run reads of it, in plain containers.
        values: the overrides of values, as Hydra is handed them.
        stored: of source and target, those that the run of `checkpoint=` tells; None if it is lost.
        tried: key to its values on the command line.
        interpolated: keys whose values are judged when all others are in place.
        devices: of a run, the most of several values.
    """

    verb: str
    multirun: bool
    own_folder: Path | None
    unknown: set[str]
    mistakes: list[str] = field(default_factory=list)
    config: DictConfig = field(default_factory=OmegaConf.create)
    resolved: Tree = field(default_factory=dict)
    values: list[Override] = field(default_factory=list)
    stored: Tree = field(default_factory=dict)
    tried: dict[str, list[Any]] = field(default_factory=dict)
    interpolated: list[tuple[str, Rule]] = field(default_factory=list)
    devices: int = 1

    def check(self, groups: list[str], hydra: list[str], values: Sequence[Override]) -> None:
        """
        Args:
            groups: overrides of the files to choose.
            hydra: those of Hydra itself.
            values: those of the run's keys.
        """
        try:
            config = compose(self.verb, [*groups, *hydra], self.own_folder)
            if self.own_folder is not None:
                choices = config.hydra.runtime.choices
                self.mistakes += yaml_errors.not_mappings(choices, self.own_folder)
                if self.mistakes:
                    return
            self.base = self._without_experiment(config, groups)
        except yaml_errors.RAISED as error:
            folders = [*filter(None, [self.own_folder]), conf_folder()]
            self.mistakes.append(launchers.explained(yaml_errors.explain(error, folders)))
            return
        self.tree = run_of(self.base)
        self._take_stored(values)
        for override in values:
            self._take(override)
        first = [with_first_value(override) for override in self.values]
        self.config = with_values(config, first) if first else config
        self._finish()

    def _without_experiment(self, config: DictConfig, lines: list[str]) -> DictConfig:
        """An experiment file is a list of overrides too, and may set only what exists."""
        chosen = config.hydra.runtime.choices
        if chosen.get("experiment") is None:
            return config
        # Hydra does not say what was chosen for groups with a list, such as logger.
        lists = {group for group in help_text.groups_of(self.verb) if group not in chosen}
        groups = {g: chosen[g] for g in help_text.groups_of(self.verb) if g not in lists}
        groups.pop("sweep", None)  # it sets nothing of a run
        name = f"experiment={show(groups.pop('experiment'))}"
        for group in sorted(lists & set(dataset_lists.groups())):
            self.mistakes.append(f"{name}: {dataset_lists.in_a_file(group)}")
        of_lists = [line for line in lines if "@" in line or "." in line.partition("=")[0]]
        lines = [*(f"{g}={show(c)}" for g, c in groups.items()), *of_lists]
        base = compose(self.verb, lines, self.own_folder)
        known = base.hydra.runtime.choices
        own = [
            f"{'' if group in known else '+'}{group}={show(choice)}"
            for group, choice in chosen.items()
            if "@" in group and choice != known.get(group)
        ]
        if own:
            base = compose(self.verb, [*lines, *own], self.own_folder)
        written, tree = run_of(config), run_of(base)
        for key in leaves(written):
            if key.partition(".")[0] in lists:
                continue
            if key.startswith("experiment."):
                self.mistakes.append(f"{name}: needs `# @package _global_` in its first line")
                break
            if own_keys.mapping_of(tree, key):
                continue  # such as a folder's classes
            if not exists(tree, key):
                self.mistakes.append(f"{name}: {unknown_key(key, tree, self.verb)}")
            elif at(written, key) != at(tree, key):
                complaints = rule_of(base, tree, key).complaints(key, value_at(config, key))
                self.mistakes += [f"{name}: {line}" for line in complaints]
        return base

    def _take_stored(self, values: Sequence[Override]) -> None:
        """Lets `target.root=` alone be judged: the config of the run that `checkpoint=` names tells
        the rest.
        """
        if "checkpoint" not in self.tree:
            return
        offered = {"source", "target"} & help_text.groups_of(self.verb).keys()
        sides = [side for side in sorted(offered) if self.tree.get(side) is None]
        given = next((o for o in values if o.key_or_group == "checkpoint"), None)
        checkpoint = None if given is None else with_home(values_of(given)[0])
        folder = None if checkpoint is None else run_folder.folder_of(Path(str(checkpoint)))
        stored = run_folder.stored_config(folder) if folder is not None else None
        self.stored = {side: (stored or {}).get(side) for side in sides}
        self.tree.update(self.stored)

    def _take(self, override: Override) -> None:
        """Into `values`, if nothing is wrong with it."""
        key = override.key_or_group.replace("[", ".").replace("]", "")
        self.tried[key] = values = values_of(override)
        if key.partition(".")[0] in self.unknown:
            return
        complaints = list(self._complaints(override, key, values))
        self.mistakes += complaints
        if not complaints:
            self.values += self._for_hydra(override, key, values)

    def _complaints(self, override: Override, key: str, values: list[Any]) -> Iterator[str]:
        given, there = str(override.input_line), exists(self.tree, key)
        if override.is_sweep_override() and not self.multirun:
            yield self._several_values(key, given.partition("=")[2])
        elif not values:
            yield f"{given}: glob picks among the choices of a group, and {key} is a key"
        elif self.stored.get(key.partition(".")[0], {}) is None:
            return  # the command will look into the checkpoint
        elif mapping := own_keys.mapping_of(self.tree, key):
            for value in values if key == mapping else ():
                yield from own_keys.rule_of_whole(mapping).complaints(key, value)
        elif override.is_add() and there:
            yield f"{given}: {key} exists, drop the +"
        elif not there and override.type is not OverrideType.CHANGE:
            yield from self._cannot_add(key, given)
        else:
            for value in values:
                yield from self._cannot_set(key, value)

    def _several_values(self, key: str, text: str) -> str:
        """What is wrong with `key=a,b` where there is one run."""
        cure, there = "add -m", exists(self.tree, key)
        if not there and key.partition(".")[0] not in self.stored:
            return unknown_key(key, self.tree, self.verb)
        default = rule_of(self.base, self.tree, key).default if there else ""
        if isinstance(default, list):
            cure = f"a list goes in brackets: {key}=[{text}]"
        elif default is None or isinstance(default, str):
            cure += f"; a comma in one text needs quotes within quotes: {typed(key, text)}"
        return f"{key}={text}: several values are several runs: {cure}"

    def _cannot_set(self, key: str, value: Any) -> Iterator[str]:
        before = at(self.tree, key)
        chosen_by = [c for c in self.base.hydra.runtime.choices if c.endswith(f"@{key}")]
        if not exists(self.tree, key):
            yield unknown_key(key, self.tree, self.verb)
        elif chosen_by and isinstance(value, str):
            yield f"{key}={value}: is a choice, {chosen_by[0]}={value}"
        elif isinstance(value, dict) and isinstance(before, dict):
            for name, child in value.items() if before else ():  # {} is there to be filled
                yield from self._cannot_set(f"{key}.{name}", child)
        elif "${" in str(value):
            rule = rule_of(self.base, self.tree, key)
            self.interpolated.append((key, rule))  # judged when all others are in place
        else:
            yield from rule_of(self.base, self.tree, key).complaints(key, with_home(value))

    def _cannot_add(self, key: str, given: str) -> Iterator[str]:
        parent = key.rpartition(".")[0]
        if not parent or not isinstance(at(self.tree, parent), dict):
            yield f"{given}: + adds keys only below an existing mapping, such as method.weights"
        elif not targets.takes_any_key(self.tree, parent):
            yield f"{unknown_key(key, self.tree, self.verb)}; + adds none here"

    def _for_hydra(self, override: Override, key: str, values: list[Any]) -> list[Override]:
        """The overrides that mean the same to Hydra, which refuses keys that it does not see, and
        merges mappings.
        """
        line = str(override.input_line)
        lines = [line]
        if mapping := own_keys.mapping_of(self.tree, key):
            lines = own_keys.lines(mapping, key, line)
            if self._is_stored(key) and key != mapping:  # which is not there for Hydra to add to
                lines = [f"{mapping}={own_keys.written(at(self.tree, mapping) or {})}", *lines]
        elif override.type is OverrideType.CHANGE and not all(
            exists(self.tree, path) for value in values for path in leaves(value, key)
        ):
            lines = [f"++{line.lstrip('+')}"]
        if self._is_stored(key):
            lines = [f"++{line.lstrip('+')}" for line in lines]
        if lines == [line]:
            return [override]
        return list(OverridesParser.create().parse_overrides(lines))

    def _is_stored(self, key: str) -> bool:
        return "." in key and key.partition(".")[0] in self.stored

    def _finish(self) -> None:
        """What can be said only when all overrides are in place."""
        self.resolved = self._resolved()
        for side, stored in self.stored.items():
            both = OmegaConf.merge(stored or {}, self.resolved.get(side) or {})
            self.resolved[side] = OmegaConf.to_container(both) or None
        for key, rule in self.interpolated:
            value = at(self.resolved, key)
            self.mistakes += rule.complaints(key, value) if "${" not in str(value) else ()
        self.mistakes += self._missing_and_out_of_bounds()
        for group in set(dataset_lists.groups()) - self.unknown:
            self.mistakes += dataset_lists.complaints(group, self.resolved.get(group))
        if not self.unknown:
            stored = {side: self.resolved[side] for side in self.stored}
            self.mistakes += targets.complaints(run_of(self.config) | stored)
        if self.own_folder is not None:
            self.mistakes += targets.unknown_settings(self.resolved)
        if not self.mistakes:
            self.mistakes += relations.complaints(self.verb, self.resolved, self.tried)
            self.mistakes += places.checkpoints(self.resolved, self.multirun)
        if self.resolved.get("trainer") and not self.mistakes:
            self.mistakes += self._devices(self.resolved["trainer"])

    def _resolved(self) -> Tree:
        """What a run reads; interpolations that lead nowhere are mistakes, and stay."""
        try:
            return dict(with_home(run_of(self.config, resolve=True)))
        except OmegaConfBaseException:
            tree = run_of(self.config)
        reasons = dict[str, str]()
        # Others may refer to the key that is wrong: the outermost is told, once.
        for key in sorted(leaves(tree), key=lambda key: key.count(".")):
            try:
                value = OmegaConf.select(self.config, key)
            except OmegaConfBaseException as error:
                reason = str(error).partition("\n")[0].rpartition("interpolation: ")[2]
                reasons.setdefault(reason, f"{key}={at(tree, key)}: {reason.strip(chr(34))}")
            else:
                put(tree, key, with_home(resolved(value)))
        self.mistakes += [] if self.unknown else reasons.values()
        return tree

    def _missing_and_out_of_bounds(self) -> Iterator[str]:
        """Keys without a value that need one, and numbers out of their bounds, wherever they were
        written.
        """
        for key in leaves(self.resolved):
            value = at(self.resolved, key)
            if value == "???":
                if key not in self.tried:
                    yield f"{key}: missing, add {key}=…"
            elif value is not None and "${" not in str(value):
                rule = Rule.of_whole(key, at(self.resolved, key.rpartition(".")[0]))
                yield from rule.outside_bounds(key, value)

    def _devices(self, trainer: Tree) -> Iterator[str]:
        nodes, count = trainer["num_nodes"], device_count(trainer["devices"])
        tried = [n for n in self.tried.get("trainer.devices", []) if isinstance(n, int | list)]
        self.devices = max(count, *map(device_count, tried), 0)
        if self.multirun:
            yield from launchers.device_complaints(self.config.hydra, self.devices, nodes)
        elif self.verb == "train" and (line := cluster.complaint(count, nodes)):
            yield line
