"""Print what the classes of a source and a target become, and what is dropped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from uda_seg.batch import IGNORE
from uda_seg.config import locate
from uda_seg.data.checking.class_overlap import did_you_mean, misspelt
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.classes import canonical
from uda_seg.data.datasets.labels import LabelSpace, label_space
from uda_seg.data.datasets.opening import open_split
from uda_seg.evaluation.measures import PROTOCOLS, customary, is_plain, possible


@dataclass
class Words:
    """What a dataset calls its ids."""

    classes: Mapping[int, str]
    void: Mapping[int, str]
    shown: Mapping[int, str]
    """Each class's id and own word, as readers see them."""


def run(config: dict[str, Any], folder: Path) -> None:
    source, target = words_of(config["source"]), words_of(config["target"])
    theirs = target.classes or source.classes
    space = label_space(config["label_space"], source.classes.values(), theirs.values())
    console = Console()
    names = config["source"]["name"], config["target"]["name"]
    console.print(f"\n{names[0]} → {names[1]}: {len(space)} classes", style="bold", markup=False)
    console.print(mapping(space, source, target, names))
    for name, words in zip(names, (source, target), strict=True):
        console.print(f"dropped from {name}: {_listed(dropped(space, words))}", markup=False)
        console.print(f"void in {name}: {_listed(words.void.values())}", style="dim", markup=False)
    for slip in misspelt(source.classes.values(), theirs.values(), space):
        console.print(did_you_mean(*slip), style="yellow", markup=False, soft_wrap=True)
    if not target.classes:
        console.print(f"{names[1]} has no labels: nothing can be scored on it", style="dim")
    others = [name for name in map(canonical, theirs.values()) if space.place(name) == IGNORE]
    asked = possible(customary(config["target"]), space.classes, others)
    own = [PROTOCOLS[key] for key in asked if not is_plain(key, space.classes)]
    heads = [f"mIoU {'' if len(own) < len(asked) else 'of these '}{len(space)}", *own]
    console.print(f"reported, from one confusion matrix: {_listed(heads)}")


def words_of(domain: Mapping[str, Any]) -> Words:
    """From the dataset's class where that knows them, so that no file needs to be there."""
    if "datasets" in domain:
        return together({name: words_of(one) for name, one in domain["datasets"].items()})
    dataset: type[Dataset] | Dataset = locate(domain["_target_"])  # type: ignore[assignment]
    if not isinstance(getattr(dataset, "classes", None), Mapping):
        dataset = open_split(domain, domain["train_split"])
    elif isinstance(dataset, type):
        dataset = dataset.release(domain)
    shown = {i: f"{i} {dataset.own_names.get(i, name)}" for i, name in dataset.classes.items()}
    return Words(dataset.classes, dataset.void, shown)


def together(members: Mapping[str, Words]) -> Words:
    """The classes of several datasets as one; ids are numbers of no meaning."""
    classes: dict[int, str] = {}
    void: dict[int, str] = {}
    shown: dict[int, str] = {}
    for member, words in members.items():
        for identifier, name in words.classes.items():
            number = len(classes)
            classes[number], shown[number] = name, f"{member} {words.shown[identifier]}"
        void |= {len(void) + i: f"{member} {name}" for i, name in enumerate(words.void.values())}
    return Words(classes, void, shown)


def mapping(space: LabelSpace, source: Words, target: Words, names: Sequence[str]) -> Table:
    """A row a class: its id and name here, and what both sides call it."""
    table = Table()
    for head in ("id", "class", *names):
        table.add_column(head, overflow="fold")
    for place, name in enumerate(space.classes):
        sides = [_listed(members(space, words, place)) for words in (source, target)]
        table.add_row(str(place), name, *sides)
    return table


def members(space: LabelSpace, words: Words, place: int) -> list[str]:
    """A dataset's ids that become a class."""
    return [words.shown[i] for i, n in sorted(words.classes.items()) if space.place(n) == place]


def dropped(space: LabelSpace, words: Words) -> list[str]:
    """A dataset's ids that count in the dataset, but not in this pair."""
    return members(space, words, IGNORE)


def _listed(words: Any) -> str:
    return ", ".join(words) or "–"
