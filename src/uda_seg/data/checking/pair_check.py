"""What was found out about two domains together: the facts that `data check` reports."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from uda_seg.data.checking.class_overlap import amounts, names_of, slips, space_of
from uda_seg.data.checking.examination import NOTES
from uda_seg.data.checking.first_look import LOOKED_AT
from uda_seg.data.checking.numberings import Thirds, thirds
from uda_seg.data.checking.plausibility import (
    members,
    never_held,
    occurrence,
    other_numbering,
    renaming_option,
)
from uda_seg.data.checking.shared_images import shared_images
from uda_seg.data.checking.split_check import SplitCheck
from uda_seg.data.datasets.base import Dataset
from uda_seg.data.datasets.few_samples import evenly_spaced, sample_indices
from uda_seg.data.datasets.labels import LabelSpace
from uda_seg.errors import ConfigError

ODD = 3
"""Odd sizes that are listed."""


def conclude(checks: Sequence[SplitCheck], config: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in check.json, and is all that the report is made of."""
    space, unfit = overlap(checks, config["label_space"])
    known = space or LabelSpace(())
    found: dict[str, Any] = {
        "source": config["source"]["name"],
        "target": config["target"]["name"],
        "classes": None if space is None else list(space.classes),
        "dropped": {"source": [], "target": []},
        "amounts": {"source": {}, "target": {}},
        "labels": {"source": 0, "target": 0},
        "unfit": unfit,
        "splits": [],
    }
    for check in checks:
        side, domain = config[check.domain], check.domain
        if check.split == side["train_split"]:
            check.unfit += sizes_without_a_batch(check, side)
        if check.dataset is not None:
            check.unfit += meaning(check, known)
            names = names_of(check.dataset, known)
            if space is not None:
                dropped = dict.fromkeys(n for n in names.values() if n not in space.classes)
                found["dropped"][domain] = list(dropped)
            labels = [finding.pixels for finding in check.findings if finding.pixels]
            if labels and not found["labels"][domain]:
                held = amounts(labels, names)
                found["amounts"][domain] = {name: asdict(amount) for name, amount in held.items()}
                found["labels"][domain] = len(labels)
        found["splits"].append(facts(check, side, known))
    source_set, target_set = (_dataset(checks, domain) for domain in ("source", "target"))
    if space is not None and source_set is not None and target_set is not None:
        found["splits"][0]["notes"] += slips(space, source_set, target_set)
    opened = {(check.domain, check.split): check.dataset for check in checks}
    target = config["target"]
    found["splits"][-1]["notes"] += shared_images(
        opened.get(("source", config["source"]["train_split"])),
        opened.get(("target", target["train_split"])),
        opened.get(("target", target["val_split"])),
        config,
    )
    return found


def overlap(
    checks: Sequence[SplitCheck], choice: str | list[str] | None
) -> tuple[LabelSpace | None, list[str]]:
    """The classes of the experiment, as far as both datasets could be opened, or why not."""
    source, target = (_dataset(checks, domain) for domain in ("source", "target"))
    if source is None or target is None:
        return None, []
    try:
        return space_of(choice, source, target), []
    except ConfigError as error:
        return None, [str(error)]


def _dataset(checks: Sequence[SplitCheck], domain: str) -> Dataset | None:
    """The first of a domain that could be opened."""
    found = (check.dataset for check in checks if check.domain == domain)
    return next((dataset for dataset in found if dataset is not None), None)


def sizes_without_a_batch(check: SplitCheck, side: Mapping[str, Any]) -> list[str]:
    """Images of several sizes do not make a batch unless something makes them equal."""
    if len(check.sizes()) < 2 or side.get("size") or side["augment"]["crop"]:
        return []
    return [
        f"images have {len(check.sizes())} sizes, which make no batch together: set "
        f"{check.domain}.size=[h,w] or {check.domain}.augment.crop=[h,w] (or train with "
        "trainer.batch_size=1)"
    ]


def facts(check: SplitCheck, side: Mapping[str, Any], space: LabelSpace) -> dict[str, Any]:
    """What check.json holds about one split."""
    dataset, opened = check.dataset, check.dataset is not None
    uses = [use for use in ("train", "val") if side[f"{use}_split"] == check.split]
    labels: str | None = "opened" if "label" in check.fields else "left"
    if dataset is None or not dataset.has_labels:
        labels = "none" if opened else None
    return {
        "domain": check.domain,
        "name": check.name,
        "split": check.split,
        "used_as": " and ".join(uses),
        "trained_on": check.trained_on,
        "labels": labels,
        "samples": None if dataset is None else len(dataset),
        "looked_at": len(check.findings) if opened else None,
        "known_already": check.remembered,
        "sizes": sizes(check),
        "missing": len(check.missing) if opened else None,
        "unusable": len(check.unusable) if opened else None,
        "unnamed": len(check.unnamed) if opened else None,
        "images_per_second": {str(k): v for k, v in check.speeds.items()},
        "notes": list(notes(check, side, space)),
        "problems": check.problems,
    }


def sizes(check: SplitCheck) -> str:
    """The one size, or how many there are and from where to where they go."""
    found = [f"{width}x{height}" for height, width in sorted(check.sizes())]
    if len(found) < 2:
        return found[0] if found else "–"
    return f"{len(found)}: {found[0]} … {found[-1]}"


def meaning(check: SplitCheck, space: LabelSpace) -> Iterator[str]:
    """What the labels hold, where a run would learn or score something else than it says."""
    assert check.dataset is not None
    usable = [f.index for f in check.findings if f.problem is None and f.pixels]
    few = {*usable} & {*sample_indices(check.dataset, LOOKED_AT)}
    few |= {usable[place] for place in evenly_spaced(len(usable), LOOKED_AT)}
    labels = {index: _thirds_of(check.dataset, index) for index in sorted(few)}
    for member, own in members(check.dataset, labels):
        other = other_numbering(member, own, check.domain)
        option = renaming_option(member, sorted(own)) if check.unnamed else None
        if other is not None:
            yield other
            return  # which classes are there follows from it
        if option is not None:
            yield f"the labels hold as many ids as there are names: {option}?"
    message, breaks = absence(check, space)
    if message and breaks:
        yield message


def absence(check: SplitCheck, space: LabelSpace) -> tuple[str, bool]:
    """Classes that no label holds, and whether that breaks a run; "" where all occur.

    What the source never shows cannot be learned; what the target never shows is not scored. A
    class may still lie in labels that were not opened.
    """
    pixels = check.pixels()
    if check.dataset is None or not pixels:
        return "", False
    found = occurrence(check.dataset, space, pixels)
    if not found.absent:
        return "", False
    opened = sum(bool(finding.pixels) for finding in check.findings)
    message = never_held(check.dataset, found, opened, len(check.dataset), check.domain)
    complete = opened == len(check.dataset)
    return message, found.hollow or (complete and check.domain == "source")


def notes(check: SplitCheck, side: Mapping[str, Any], space: LabelSpace) -> Iterator[str]:
    """What is worth knowing and breaks nothing."""
    for kind, examples in check.notes().items():
        yield f"{NOTES[kind]}: {examples}"
    odd = check.odd_sizes()
    if odd:
        more = f", and {len(odd) - ODD} more sizes" if len(odd) > ODD else ""
        yield f"odd sizes: {'; '.join(odd[:ODD])}{more}"
    if check.dataset is None:
        return
    yield from check.dataset.remarks()
    scored_on = check.domain == "target" and check.split == side["val_split"]
    if scored_on and not check.dataset.has_labels:
        yield "has no labels: nothing can be scored on it"
    message, breaks = absence(check, space)
    if message and not breaks:
        yield message


def _thirds_of(dataset: Dataset, index: int) -> Thirds:
    label = dataset.read(index, {"image", "label"}).label
    assert label is not None
    return thirds(label)
