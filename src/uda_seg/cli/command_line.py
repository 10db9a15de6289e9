"""The command line, checked as a whole before anything is built, heavy or written.

Hydra's grammar is kept, with three restrictions: `+key=` adds keys only below an existing mapping,
`~key` is refused (everything in the YAML is needed), and several values for a key need `-m`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException
from omegaconf import DictConfig

from uda_seg.cli import dataset_lists, help_text
from uda_seg.cli.checked_config import Composition
from uda_seg.cli.composed import compose
from uda_seg.cli.overrides import parsed, syntax_complaint, values_of
from uda_seg.config import conf_folder
from uda_seg.errors import show, suggest, together
from uda_seg.experiments.launchers import launcher_for, sweeper_complaints
from uda_seg.runs import yaml_errors

MOST_COMBINATIONS = 200
"""Of the groups' choices in a sweep; those beyond are checked only when their job begins."""


@dataclass
class Checked:
    """A command line without mistakes.

    Attributes:
        config: what it composes to (the first job's in a sweep), with the `hydra` node.
        plain: what it composes to without that node, resolved, for each choice of groups.
        overrides: the overrides to hand to Hydra.
        constant: keys that are given and have the same value in all jobs.
        swept: the others, with their values as they were given.
        own_folder: YAML files of the user's own.
    """

    config: DictConfig
    plain: list[dict[str, Any]]
    overrides: list[str]
    constant: list[str]
    swept: dict[str, str]
    own_folder: Path | None


def check(
    verb: str, arguments: list[str], multirun: bool = False, own_folder: Path | None = None
) -> Checked:
    """
    Args:
        verb: the command; its keys stand in conf/VERB.yaml.
        arguments: key=value, in Hydra's grammar.
        multirun: whether keys may have several values.
        own_folder: YAML files of the user's own.

    Raises:
        ConfigError: all mistakes at once.
    """
    line = CommandLine(verb, multirun, own_folder)
    for argument in arguments:
        line.read(argument)
    line.read_sweep()
    compositions = [line.composition(groups) for groups in line.combinations()]
    first, devices = compositions[0], max(one.devices for one in compositions)
    everything = [*line.groups, *line.followed, *line.values]
    several = [o for o in everything if o.is_sweep_override()]
    mistakes = [*line.mistakes, *(m for one in compositions for m in one.mistakes)]
    if multirun and not mistakes:
        hydra, resume = first.config.hydra, first.resolved.get("resume")
        mistakes += sweeper_complaints(hydra, several, resume)
    if mistakes:
        raise together(mistakes)
    swept = {place_of(o): str(o.input_line).partition("=")[2] for o in several}
    lines = _lines([*line.groups, *line.followed, *first.values, *line.hydra])
    lines += launcher_for(first.config.hydra, devices) if multirun else []
    differing = {o.key_or_group for o in several}  # Hydra names jobs by this part of a place alone
    return Checked(
        first.config,
        [one.resolved for one in compositions],
        lines,
        [o.key_or_group for o in everything if o.key_or_group not in differing],
        swept,
        own_folder,
    )


@dataclass
class CommandLine:
    """Overrides sorted by what they set: a group, a value, or Hydra itself."""

    verb: str
    multirun: bool
    own_folder: Path | None
    mistakes: list[str] = field(default_factory=list)
    groups: list[Override] = field(default_factory=list)
    values: list[Override] = field(default_factory=list)
    hydra: list[Override] = field(default_factory=list)
    followed: list[Override] = field(default_factory=list)
    """Values that follow from groups; what is given comes after them, and wins."""
    unknown: set[str] = field(default_factory=set)
    """Groups whose choice does not exist, so that nothing below them can be judged."""

    def __post_init__(self) -> None:
        self.offered = help_text.groups_of(self.verb)
        self.choices = help_text.choices([conf_folder(), *filter(None, [self.own_folder])])

    def read(self, argument: str) -> None:
        try:
            override = parsed(argument, self.multirun)
        except HydraException as error:
            self.mistakes.append(f"{argument}: {syntax_complaint(argument, error)}")
            return
        key = override.key_or_group
        if key.startswith(("hydra.", "hydra/")):
            self.hydra.append(override)
        elif override.is_delete():
            self.mistakes.append(f"{argument}: every key is needed; try null, or logger=none")
        elif key in self.choices or key in self.offered:
            self._read_group(override)
        else:
            self.values.append(override)

    def read_sweep(self) -> None:
        """What `sweep=` sweeps, but for the keys that were given; those win."""
        if not self.multirun or "sweep" not in self.offered:
            return
        # What lies at a key of a chosen file may wait for what the sweep chooses.
        chosen = [line for line in next(self.combinations()) if "@" not in line]
        lines = [*chosen, *_lines(self.hydra)]
        try:
            config = compose(self.verb, lines, self.own_folder)
        except yaml_errors.RAISED:
            return  # it is told when all is composed
        given = {place_of(o) for o in [*self.groups, *self.values]} | self.unknown
        for key, values in (config.hydra.sweeper.get("params") or {}).items():
            if key not in given:
                self.read(f"{key}={values}")

    def _read_group(self, override: Override) -> None:
        group, given = override.key_or_group, override.input_line
        if group not in self.offered:
            known = ", ".join(self.offered) or "none"
            self.mistakes.append(f"{given}: {self.verb} has no such group; its groups: {known}")
        elif override.is_sweep_override() and not self.multirun:
            values = show(values_of(override))
            listed = f", or one list: {group}={values}" if self._takes_lists(group) else ""
            self.mistakes.append(f"{given}: several values are several runs: add -m{listed}")
        elif override.package is not None:
            self._read_member(override)
        elif any(group == o.key_or_group and o.package is None for o in self.groups):
            self.mistakes.append(f"{given}: {group} is given twice")
        elif any(isinstance(value, dict) for value in values_of(override)):
            self.mistakes.append(f"{given}: give the keys one by one: {group}.key=value")
        elif isinstance(override.value(), list) and not self._takes_lists(group):
            self.mistakes.append(f"{given}: {group} is one choice; several are several runs: -m")
        elif group == "sweep" and override.is_sweep_override():
            self.mistakes.append(f"{given}: one sweep at a time")
        elif override.type is not OverrideType.CHANGE:
            self.mistakes.append(f"{given}: drop the +, {group} has one choice already")
        else:
            self._read_choice(override)

    def _takes_lists(self, group: str) -> bool:
        return group in dataset_lists.groups() or "[" in (self.offered[group] or "")

    def _read_choice(self, override: Override) -> None:
        group, known = override.key_or_group, self.choices.get(override.key_or_group, [])
        if override.value() is None and self.offered[group] is None:
            return  # null is what it is anyway, and Hydra does not take it
        listed = group in dataset_lists.groups() and any(
            isinstance(v, list) for v in values_of(override)
        )
        if listed:
            known = [name for name in known if name != dataset_lists.NAME]
        wrong = []
        for value in values_of(override, known):
            names = value if isinstance(value, list) else [value]
            wrong += [n for n in map(show, names) if n.removesuffix(".yaml") not in known]
        for name in wrong:
            hint = f"{suggest(name, known)}choose from {', '.join(known)}"
            self.mistakes.append(f"{group}={name}: unknown, {hint}")
        if wrong:
            self.unknown.add(group)
        elif listed:
            self._read_several(override)
        else:
            self.groups.append(override)

    def _read_several(self, override: Override) -> None:
        """`source=[a,b]`, which Hydra does not know, is written out in its own grammar."""
        group, given = override.key_or_group, override.input_line
        value = override.value()
        listed = value if isinstance(value, list) else []
        names = [show(name).removesuffix(".yaml") for name in listed]
        complaint = dataset_lists.list_complaint(names, override.is_sweep_override())
        if complaint:
            self.mistakes.append(f"{given}: {complaint}")
            self.unknown.add(group)
            return
        groups, values = dataset_lists.written_out(group, names)
        parser = OverridesParser.create()
        self.groups += parser.parse_overrides(groups)
        self.followed += parser.parse_overrides(values)

    def _read_member(self, override: Override) -> None:
        """`method@method.base=dacs`, what a method is built on; `+source@source.datasets.a=a`: the
        grammar of a list, as a run's overrides.txt has it.
        """
        group, given, place = override.key_or_group, override.input_line, place_of(override)
        known = [name for name in self.choices.get(group, []) if name != dataset_lists.NAME]
        of_a_list = group in dataset_lists.groups()
        wrong = [v for v in map(show, values_of(override, known)) if v not in known]
        if override.type is not (OverrideType.ADD if of_a_list else OverrideType.CHANGE):
            hint = "a list: source=[a,b]" if of_a_list else f"drop the +: {str(given).lstrip('+')}"
            self.mistakes.append(f"{given}: no choice can be put elsewhere; {hint}")
        elif not of_a_list and any(place == place_of(o) for o in self.groups):
            self.mistakes.append(f"{given}: {place} is given twice")
        elif wrong:
            hint = f"{suggest(wrong[0], known)}choose from {', '.join(known)}"
            self.mistakes.append(f"{place}={wrong[0]}: unknown, {hint}")
            self.unknown.add(group)
        else:
            self.groups.append(override)

    def combinations(self) -> Iterator[list[str]]:
        """The groups' choices, with what follows; value overrides can be judged one by one."""
        each = []
        for override in [*self.groups, *self.followed]:
            lines = _lines([override])
            if override.is_sweep_override():
                values = values_of(override, self.choices.get(override.key_or_group, []))
                lines = [f"{place_of(override)}={show(value)}" for value in values]
            each.append(lines)
        return itertools.islice(map(list, itertools.product(*each)), MOST_COMBINATIONS)

    def composition(self, groups: list[str]) -> Composition:
        composition = Composition(self.verb, self.multirun, self.own_folder, self.unknown)
        composition.check(groups, _lines(self.hydra), self.values)
        return composition


def place_of(override: Override) -> str:
    """What it sets: a key, a group, or `group@key` for a group's choice that lies at that key."""
    package = "" if override.package is None else f"@{override.package}"
    return f"{override.key_or_group}{package}"


def _lines(overrides: list[Override]) -> list[str]:
    return [str(override.input_line) for override in overrides]
