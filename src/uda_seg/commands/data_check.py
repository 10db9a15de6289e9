"""Look at source and target before training, and find what would break a run."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from uda_seg.batch import IGNORE
from uda_seg.data.checking.class_overlap import names_of
from uda_seg.data.checking.pair_check import conclude
from uda_seg.data.checking.split_check import SplitCheck, look_at_all, open_all, use_one_thread
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.few_samples import evenly_spaced
from uda_seg.data.datasets.labels import UNNAMED, LabelMapper, LabelSpace
from uda_seg.data.datasets.leaving_out import read_names
from uda_seg.errors import CheckError
from uda_seg.images import pictures
from uda_seg.images.contact_sheet import Shown, contact_sheet
from uda_seg.report import data_check as report
from uda_seg.runs import files, run_folder

log = logging.getLogger(__name__)


def run(config: dict[str, Any], folder: Path) -> None:
    """
    Raises:
        CheckError: something would break training; all of it is printed and written before.
    """
    run_folder.open_run(config, folder)
    checks = open_all(config)
    with use_one_thread():
        look_at_all(checks, config)
        found = conclude(checks, config)
        draw(checks, found, config["pictures"], folder)
    tell(found, folder, list(write_lists(checks, config, folder)))


def draw(checks: Sequence[SplitCheck], found: Mapping[str, Any], count: int, folder: Path) -> None:
    """classes.svg, and source.png and target.png: a few samples of each split with their labels."""
    if any(found["amounts"].values()):
        files.write_text(folder / "classes.svg", report.chart(found))
    for domain in ("source", "target") if count else ():
        own = [(c, c.dataset) for c in checks if c.domain == domain and c.dataset is not None]
        every = [name for _, dataset in own for name in names_of(dataset, LabelSpace(())).values()]
        space = LabelSpace(tuple(found["classes"] or dict.fromkeys(every)))
        groups = [(heading(c), samples(c, dataset, space, count)) for c, dataset in own]
        if any(group for _, group in groups):
            title = f"{domain}: {found[domain]}"
            pictures.save(folder / f"{domain}.png", contact_sheet(title, groups, space.classes))


def heading(check: SplitCheck) -> str:
    return check.split if "label" in check.fields else f"{check.split} (labels are not opened)"


def samples(check: SplitCheck, dataset: Dataset, space: LabelSpace, count: int) -> list[Shown]:
    """Evenly spread over those that can be read; ids without a name stay bare."""
    shown = []
    good = [finding.index for finding in check.findings if finding.problem is None]
    encode = LabelMapper(space, dataset)
    for place in evenly_spaced(len(good), count):
        sample = dataset.read(good[place], check.fields - {"depth"})
        label = None if sample.label is None else encode.looked_up(sample.label)
        if label is not None:
            label[label == UNNAMED] = IGNORE
        shown.append(Shown(sample.name, sample.image, label))
    return shown


def write_lists(
    checks: Sequence[SplitCheck], config: Mapping[str, Any], folder: Path
) -> Iterator[str]:
    """leave_out_source.txt and leave_out_target.txt: names of the samples with problems, and of
    those that are left out already. Returns the settings that leave them out.

    Where most samples have problems there is no list: it would be no cure.
    """
    for domain in ("source", "target"):
        own = [check for check in checks if check.domain == domain]
        bad = list(dict.fromkeys(name for check in own for name in check.bad))
        if bad and 2 * len(bad) <= sum(len(check.dataset or ()) for check in own):
            path = folder / f"leave_out_{domain}.txt"
            names = dict.fromkeys([*read_names(config[domain].get("leave_out")), *bad])
            files.write_text(path, "\n".join([*names, ""]))
            yield f"{domain}.leave_out={path}"


def tell(found: Mapping[str, Any], folder: Path, cures: Sequence[str]) -> None:
    """Prints what was found, and writes check.json and, when it is long, problems.txt.

    Raises:
        CheckError: a run would break.
    """
    files.write_json(folder / "check.json", found)
    problems = report.all_problems(found)
    if any(len(split["problems"]) > report.SHOWN for split in found["splits"]):
        files.write_text(folder / "problems.txt", "\n".join([*problems, ""]))
    report.print_check(found, Console())
    for cure in cures:
        log.info("to leave the samples with problems out of runs: %s", cure)
    log.info("pictures, check.json and log: %s", folder)
    count = len(found["unfit"]) + sum(
        len(split["problems"]) for split in found["splits"] if split["trained_on"]
    )
    if count:
        words = "1 problem that breaks a run" if count == 1 else f"{count} problems that break runs"
        raise CheckError(f"{words}: listed above and in {folder / 'check.json'}")
