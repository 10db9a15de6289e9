"""Names for rows nobody has named: the method, and the settings in which it differs from others."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from uda_seg.errors import show
from uda_seg.evaluation.scores import method_label
from uda_seg.report.grouping import PLACES, scores_of
from uda_seg.report.runs import Run
from uda_seg.runs.identity import HARDWARE, NOT_THE_EXPERIMENT

UNTOLD = {
    *("seed", "method", "backbone", "source", "target", "initial", "checkpoint", "sweep"),
    *("trainer.validate_every", "trainer.checkpoint_every", *PLACES),
    *(f"trainer.{name}" for name in HARDWARE),
    *NOT_THE_EXPERIMENT,
}
"""Overrides that no label mentions: they are in a name already, or compute nothing."""
ABSENT = object()


def label(runs: Sequence[Run]) -> list[str]:
    """One for each row of a table, of which one run is given; all different."""
    bases = [run.entry.get("label") or _base(run) for run in runs]
    backbones = [str(scores_of(run)["backbone"]) for run in runs]
    if len(set(backbones)) > 1:
        bases = [f"{base}, {backbone}" for base, backbone in zip(bases, backbones, strict=True)]
    labels = list(bases)
    for base, count in Counter(bases).items():
        if count > 1:
            same = [place for place, one in enumerate(bases) if one == base]
            for place, words in zip(same, _differences([runs[p] for p in same]), strict=True):
                labels[place] = f"{base}, {words}" if words else base
    for text, count in Counter(labels).items():
        if count > 1:
            for number, place in enumerate([p for p, one in enumerate(labels) if one == text]):
                labels[place] = f"{text} #{number + 1}"
    return labels


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted path; ABSENT where there is none."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return ABSENT
        node = node[part]
    return node


def told(overrides: Mapping[str, str]) -> dict[str, str]:
    """The overrides that say what was computed, but for the seed."""
    return {
        key: value
        for key, value in overrides.items()
        if key.partition("@")[0] not in UNTOLD and not key.startswith(("hydra", "logger"))
    }


def _base(run: Run) -> str:
    if run.row is not None:
        return run.row.replace("_", " ")
    name = method_label(scores_of(run)["method"])
    return f"{name}, scored again" if "run" in run.config else name


def _differences(runs: Sequence[Run]) -> list[str]:
    """What tells each from the others, by as few as possible of the overrides that were given.

    A row that a table has named keeps its name.
    """
    told_of = [told(run.overrides) for run in runs]
    keys = sorted(dict.fromkeys(k for said in told_of for k in said), key=_method_first)
    values = {key: [_said(run, key) for run in runs] for key in keys}
    for key in list(reversed(keys)):
        others = [one for one in keys if one != key]
        if _kinds(values, others) == _kinds(values, keys):
            keys = others
    words = []
    for place, run in enumerate(runs):
        pairs = (
            []
            if run.entry.get("label")
            else [(_last(key, keys), values[key][place]) for key in keys]
        )
        words.append(", ".join(f"{name} {value}" for name, value in pairs if value))
    return words


def _kinds(values: Mapping[str, Sequence[str]], keys: Sequence[str]) -> int:
    """How many runs these keys can tell apart."""
    return len(set(zip(*(values[key] for key in keys)))) if keys else 1


def _method_first(key: str) -> bool:
    return not key.startswith("method.")


def _said(run: Run, key: str) -> str:
    """A key's value as its config has it, or as it was given; empty if neither says it."""
    value = value_at(run.config, key)
    if value is ABSENT or isinstance(value, Mapping):
        return run.overrides.get(key, "")
    return show(value)


def _last(key: str, among: Sequence[str]) -> str:
    """The last part of a key, or all of it where another ends in the same."""
    name = key.rpartition(".")[2]
    return key if sum(one.rpartition(".")[2] == name for one in among) > 1 else name
