"""A split looked at as a whole: what is there, what is wrong, how fast it can be read."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2

from uda_seg.data.checking.examination import Finding, examine, unnamed_ids
from uda_seg.data.checking.statistics import Records, examine_all
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.opening import open_split
from uda_seg.errors import UserError
from uda_seg.runs.bars import Bars

log = logging.getLogger(__name__)

ALONE, ALONE_SECONDS = 16, 2.0
"""Samples, and seconds at most, that this process reads alone to learn its speed."""
AGAIN = 4
"""Samples a process opens again, for the speed, when all are known to be good."""
EXAMPLES = 3
"""Samples named for a note or an odd size."""
USUAL = 0.8
"""Share of images that must have one size for the others to be called odd."""


@dataclass
class SplitCheck:
    """What was found out about one split."""

    domain: str
    """"source" or "target"."""
    name: str
    """The name in the dataset's YAML."""
    split: str
    fields: frozenset[str]
    """What is opened."""
    trained_on: bool
    """Whether a run reads it: its problems would break one."""
    dataset: Dataset | None = None
    """None when it could not be opened."""
    findings: list[Finding] = field(default_factory=list)
    remembered: int = 0
    """Findings that were kept from an earlier look."""
    missing: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)
    """Names of the samples that these three speak of."""
    unfit: list[str] = field(default_factory=list)
    """What is wrong with the split as a whole."""
    speeds: dict[int, float | None] = field(default_factory=dict)
    """Processes -> images a second."""

    @property
    def problems(self) -> list[str]:
        return [*self.unfit, *self.missing, *self.unusable, *self.unnamed]

    def pixels(self) -> Counter[int]:
        """Raw id -> pixels of all labels that were opened."""
        counts: Counter[int] = Counter()
        for finding in self.findings:
            counts.update(finding.pixels)
        return counts

    def sizes(self) -> Counter[tuple[int, int]]:
        """(height, width) -> images."""
        return Counter(finding.size for finding in self.findings if finding.size is not None)

    def odd_sizes(self) -> list[str]:
        """Sizes other than the usual one, with examples; none where there is no usual one."""
        sizes = self.sizes()
        if self.dataset is None or not sizes:
            return []
        usual, count = sizes.most_common(1)[0]
        if count < USUAL * sizes.total():
            return []
        return [
            self._examples(f"{width}x{height}", [f for f in self.findings if f.size == size])
            for size in sorted(sizes.keys() - {usual})
            for height, width in [size]
        ]

    def notes(self) -> dict[str, str]:
        """Key of `examination.NOTES` -> how many samples, with examples."""
        kinds = sorted({kind for finding in self.findings for kind in finding.notes})
        return {k: self._examples("", [f for f in self.findings if k in f.notes]) for k in kinds}

    def _examples(self, what: str, findings: Sequence[Finding]) -> str:
        assert self.dataset is not None
        names = ", ".join(self.dataset.name(f.index) for f in findings[:EXAMPLES])
        more = ", …" if len(findings) > EXAMPLES else ""
        return f"{what} {len(findings)} ({names}{more})".strip()


def open_check(
    domain: str, config: Mapping[str, Any], split: str, fields: Collection[str], trained_on: bool
) -> SplitCheck:
    """Opens the dataset and lists what is missing; no image is opened."""
    check = SplitCheck(domain, config["name"], split, frozenset(fields), trained_on)
    try:
        check.dataset = dataset = open_split(config, split)
        if not dataset.has_labels:
            check.fields -= {"label"}
        if "depth" in fields and not dataset.has_depth:
            check.unfit.append(f"{domain}={check.name}: has no depth, but depth=true asks for it")
            check.fields -= {"depth"}
        if domain == "source" and trained_on and not dataset.has_labels:
            check.unfit.append(
                f"source={check.name}: has no labels at split {split}, and a run learns from the "
                "source's; choose another source, or another source.train_split"
            )
        check.missing = list(dict.fromkeys(dataset.missing(check.fields)))
        check.bad = list(dataset.incomplete(check.fields))
    except UserError as error:
        check.unfit.append(str(error))
    except OSError as error:
        check.unfit.append(
            f"{error.filename}: cannot be opened ({error.strerror}); give yourself the right: "
            "chmod -R u+rX"
        )
    return check


def indices_to_open(check: SplitCheck, limit: int | None) -> list[int]:
    """Indices of the samples to open, evenly spread; all without a limit."""
    if check.dataset is None:
        return []
    length = len(check.dataset)
    return evenly_spaced(length, length if limit is None else limit)


def look(
    check: SplitCheck,
    indices: Sequence[int],
    workers: int,
    cache_root: str,
    refresh: bool,
    told: Callable[[], Any],
) -> None:
    """Opens the samples in parallel and sorts what was found.

    Args:
        check: is filled.
        indices: of the samples.
        workers: processes that read; 0 reads in this one.
        cache_root: folder of `Records`.
        refresh: open what is known to be good, too.
        told: called after every sample.
    """
    dataset = check.dataset
    assert dataset is not None
    records = Records(dataset, check.fields, cache_root)
    found = {} if refresh else {i: f for i in indices if (f := records.known(i)) is not None}
    check.remembered = len(found)
    unknown = [index for index in indices if index not in found]
    again = indices[: AGAIN * (workers + 1)] if not unknown else []
    for _ in range(len(found) - len(again)):
        told()
    few = min(ALONE, -(-len(unknown) // (workers + 1)))  # leaves some for the others
    alone = _alone(check, unknown[:few] or again[:AGAIN], records, told)
    rest = [index for index in unknown or again if index not in alone]
    together = {}
    for finding in examine_all(dataset, rest, check.fields, workers, records):
        together[finding.index] = finding
        told()
    check.findings = [{**found, **alone, **together}[index] for index in indices]
    check.speeds = {1: _speed(alone.values(), 1)}
    if workers > 1:
        check.speeds[workers] = _speed(together.values(), min(workers, len(rest)))
    _sort(check, dataset)


def _sort(check: SplitCheck, dataset: Dataset) -> None:
    """Problems of samples; what the listing found missing is not told twice."""
    missing = set(check.missing)
    for finding in check.findings:
        if finding.problem is not None and finding.problem not in missing:
            check.unusable.append(finding.problem)
        strange = unnamed_ids(dataset, finding) if finding.pixels else None
        if strange is not None:
            check.unnamed.append(strange)
        if strange is not None or finding.problem is not None:
            check.bad.append(dataset.name(finding.index))


def _alone(
    check: SplitCheck, indices: Sequence[int], records: Records, told: Callable[[], Any]
) -> dict[int, Finding]:
    """Index -> finding of the first of the samples, read by this process while no other reads."""
    assert check.dataset is not None
    found: dict[int, Finding] = {}
    end = time.monotonic() + ALONE_SECONDS
    for index in indices:
        if time.monotonic() > end:
            break
        records.known(index)
        found[index] = examine(check.dataset, index, check.fields)
        records.add(found[index])
        told()
    return found


def _speed(findings: Iterable[Finding], processes: int) -> float | None:
    """Images a second that so many processes read; None when none was read whole.

    The first of each process waits for modules to be imported, and is left out.
    """
    seconds = [finding.seconds for finding in findings if finding.problem is None]
    seconds = seconds[processes:] if len(seconds) > 2 * processes else seconds
    return processes * len(seconds) / sum(seconds) if seconds else None


def open_all(config: Mapping[str, Any]) -> list[SplitCheck]:
    """Training and validation split of both sides; the target's training labels stay closed."""
    checks = []
    for domain in ("source", "target"):
        side = config[domain]
        label = {"image", "label"}
        depth = {"depth"} if domain == "source" and config["depth"] else set()
        training = (label | depth) if domain == "source" else {"image"}
        if side["train_split"] == side["val_split"]:
            checks.append(open_check(domain, side, side["train_split"], label | depth, True))
        else:
            checks.append(open_check(domain, side, side["train_split"], training, True))
            read = domain == "target"  # the source's is offered, but no run reads it
            checks.append(open_check(domain, side, side["val_split"], label, read))
    return checks


def look_at_all(checks: Sequence[SplitCheck], config: Mapping[str, Any]) -> None:
    with Bars("bar", "count", "left") as bars:
        for check in checks:
            indices = indices_to_open(check, config["limit"])
            if check.dataset is None:
                continue
            count = bars.counter(f"{check.domain} {check.name} {check.split}", len(indices))
            look(check, indices, config["workers"], config["cache_root"], config["refresh"], count)
    kept = [f"{c.domain} {c.name} {c.split} {c.remembered}" for c in checks if c.remembered]
    if kept:
        log.info(
            "class statistics and findings kept from an earlier check, for samples whose files "
            "have not changed: %s (refresh=true opens them again)", ", ".join(kept),
        )  # fmt: skip


@contextmanager
def use_one_thread() -> Iterator[None]:
    """OpenCV in one thread, so that a process is a core, and one that is forked cannot wait for
    threads that it does not have.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
