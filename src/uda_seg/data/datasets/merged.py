"""Several datasets as one: the union of their classes, each read as it is."""

import hashlib
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from itertools import accumulate
from math import ceil
from typing import Any

from uda_seg.data.datasets.base import Dataset, Sample
from uda_seg.data.datasets.classes import canonical
from uda_seg.data.datasets.labels import UNNAMED, LabelMapper
from uda_seg.data.datasets.leaving_out import by_member, leave_out, open_dataset, read_names
from uda_seg.errors import ConfigError, DataError

LONGEST = 10_000_000
"""Samples; shares so far apart that it takes more are a mistake."""


class MergedDataset(Dataset):
    """Members of one name share an id; an id that a member has no name for stays an error.

    Has labels, or depth, when all members do; see `labelled`.

    Args:
        datasets: name -> member.
        shares: name -> how often a member's samples come, compared with the others', whatever its
            size: smaller ones are repeated. None: every sample once.
    """

    def __init__(self, datasets: Mapping[str, Dataset], shares: Mapping[str, float] | None) -> None:
        if not datasets:
            raise ConfigError("datasets: there are none; give a list: source=[gta5,synthia]")
        self.datasets = dict(datasets)
        self.has_labels = all(member.has_labels for member in datasets.values())
        self.has_depth = all(member.has_depth for member in datasets.values())
        ids = _ids(self.datasets.values())
        self.classes = {i: name for (counts, name), i in ids.items() if counts}
        self.void = {i: name for (counts, name), i in ids.items() if not counts}
        self.own_names = _own_names(self.datasets.values(), ids)
        self.renumber = {name: Renumber(member, ids) for name, member in datasets.items()}
        self.counts = _counts({name: len(member) for name, member in datasets.items()}, shares)
        self.ends = list(accumulate(self.counts.values()))

    def labelled(self) -> "MergedDataset":
        """The members with labels, every sample once: what can be scored.

        Raises:
            DataError: there are none.
        """
        members = {name: member for name, member in self.datasets.items() if member.has_labels}
        if not members:
            raise DataError(f"{', '.join(self.datasets)}: none of them has labels to score with")
        return MergedDataset(members, None)

    def __len__(self) -> int:
        return self.ends[-1]

    def place(self, index: int) -> tuple[str, int]:
        """The member a sample comes from, and its index there."""
        which = bisect_right(self.ends, index)
        name = list(self.datasets)[which]
        start = self.ends[which] - self.counts[name]
        return name, (index - start) % len(self.datasets[name])

    def read(self, index: int, fields: Collection[str]) -> Sample:
        name, inner = self.place(index)
        member = self.datasets[name]
        for field, there in (("label", member.has_labels), ("depth", member.has_depth)):
            if field in fields and not there:
                raise DataError(f"{self.name(index)}: {name} has no {field}s; leave it out")
        sample = member.read(inner, fields)
        sample.name = self.name(index)
        if sample.label is not None:
            sample.label = self.renumber[name](sample.label, sample.name)
        return sample

    def name(self, index: int) -> str:
        name, inner = self.place(index)
        return f"{name}/{self.datasets[name].name(inner)}"

    def identity(self, index: int) -> str | None:
        """Made of the member's, and of what its ids become here."""
        name, inner = self.place(index)
        identity = self.datasets[name].identity(inner)
        if identity is None:
            return None
        renumber = self.renumber[name]
        numbers = renumber.table.tobytes() + str(renumber.wide).encode()
        return hashlib.sha256(identity.encode() + numbers).hexdigest()

    def missing(self, fields: Collection[str]) -> Iterator[str]:
        for member in self.datasets.values():
            absent = {"label"} if not member.has_labels else set()
            yield from member.missing(set(fields) - absent)

    def incomplete(self, fields: Collection[str]) -> Iterator[str]:
        for name, member in self.datasets.items():
            absent = {"label"} if not member.has_labels else set()
            yield from (f"{name}/{one}" for one in member.incomplete(set(fields) - absent))

    def remarks(self) -> Iterator[str]:
        for name, member in self.datasets.items():
            yield from (f"{name}: {remark}" for remark in member.remarks())

    def real_paths(self) -> list[str]:
        return [path for member in self.datasets.values() for path in member.real_paths()]


class Renumber(LabelMapper):
    """A member's raw ids to those of the whole."""

    def __init__(self, member: Dataset, ids: Mapping[tuple[bool, str], int]) -> None:
        self._number({raw: ids[key] for raw, key in _names_of(member)}, member)


def open_merged(domain: Mapping[str, Any], split: str) -> MergedDataset:
    """The datasets of a `source:` or `target:` config whose `datasets:` are configs themselves.

    Args:
        domain: the config.
        split: "train" and "val" are each member's own `train_split` and `val_split`; any other is
            the members' name of it. Shares are for training: scoring meets every sample once.
    """
    members = {
        name: open_dataset(member, member.get(f"{split}_split", split))
        for name, member in domain["datasets"].items()
    }
    for name, left_out in by_member(read_names(domain.get("leave_out")), members):
        leave_out(members[name], left_out, name)
    return MergedDataset(members, domain["shares"] if split == domain["train_split"] else None)


def _names_of(member: Dataset) -> Iterator[tuple[int, tuple[bool, str]]]:
    """Raw ids with whether they count, and the one name that a class goes by."""
    for counts, names in ((True, member.classes), (False, member.void)):
        for raw, name in names.items():
            yield raw, (counts, canonical(name))


def _ids(members: Collection[Dataset]) -> dict[tuple[bool, str], int]:
    """New ids: what counts comes first."""
    keys = dict.fromkeys(key for member in members for _, key in _names_of(member))
    ordered = sorted(keys, key=lambda key: not key[0])
    if len(ordered) > UNNAMED:
        raise ConfigError(f"datasets: {len(ordered)} names together; more than {UNNAMED}")
    return {key: number for number, key in enumerate(ordered)}


def _own_names(members: Collection[Dataset], ids: Mapping[tuple[bool, str], int]) -> dict[int, str]:
    words: dict[int, dict[str, None]] = {}
    for member in members:
        for raw, key in _names_of(member):
            if raw in member.own_names:
                words.setdefault(ids[key], {})[member.own_names[raw]] = None
    return {number: ", ".join(said) for number, said in words.items()}


def _counts(lengths: Mapping[str, int], shares: Mapping[str, float] | None) -> dict[str, int]:
    """How many samples of each member make one round: at least its length."""
    if shares is None:
        return dict(lengths)
    known = ", ".join(lengths)
    if set(shares) != set(lengths):
        given = ", ".join(map(str, shares)) or "none"
        raise ConfigError(f"shares: give one for each of {known}; given are {given}")
    for name, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1e9:
            raise ConfigError(f"shares.{name}={share}: must be a number greater than 0")
    rounds = max(length / shares[name] for name, length in lengths.items())
    # Rounded first: 0.1 · (100 / 0.1) is a little more than 100.
    counts = {name: ceil(round(shares[name] * rounds, 6)) for name in lengths}
    if sum(counts.values()) > LONGEST:
        raise ConfigError(f"shares: so far apart that {known} would be repeated without end")
    return counts
