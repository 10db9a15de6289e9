"""`scores.json`: the numbers of a run that outlive it, and all that reports read.

    {"schema": 1, "run_name", "method": {"name", "label", its facts …}, "source", "target",
     "backbone", "seed", "steps", "batch_norm", "classes": [names], "protocols": [keys of
     `measures`], "finished", …,
     "other_classes": [names that only the target's labels have],
     "scored_images": 8, "split_images": 100, where not all images of the split were scored,
     "selections": {"last": {"step", "confusion": [[int]], "other_confusion": [[int]], "miou",
                             "miou_over": classes in the mean, "caveat": what to know of it,
                             "fwiou", "iou": {class: percent}}, …},
     "history": [{"step", "miou", "information_maximisation", "entropy",
                  "soft_neighbourhood_density", "loss": {name: value}}]}

A confusion matrix has the label's classes as rows and the predicted ones as columns; the other one
has a row for each of the other classes. Only these two are read back: "miou", "fwiou" and "iou"
(percent, two decimals, null where a class never occurs) stand in the file for human readers, and
are worked out anew on load. mIoU in the history is in percent too.
"""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from uda_seg.errors import DataError
from uda_seg.evaluation import measures
from uda_seg.runs.files import read_json, write_json

SCHEMA = 1
SELECTIONS = {
    "last": "last step",
    "oracle_best": "best on target labels (an oracle's choice)",
    "label_free": "chosen without labels",
}
"""What a run may be scored at, and what readers are told about it."""

REQUIRED: dict[str, type | tuple[type, ...]] = {
    "run_name": str,
    "method": dict,
    "source": str,
    "target": str,
    "backbone": str,
    "seed": int,
    "steps": int,
    "batch_norm": str,
    "classes": list,
    "selections": dict,
    "history": list,
}


def selection_of(checkpoint: Path) -> str:
    """By the file's name, so that an oracle's choice stays marked as one."""
    return checkpoint.stem if checkpoint.stem in SELECTIONS else "last"


def method_facts(method: Mapping[str, Any]) -> dict[str, Any]:
    """A `method:` config's name and label, and the keys that it lists as its `facts`; then those
    of the method that it is built on, as `base.name` and so on.
    """
    facts = {
        key: functools.reduce(lambda node, name: node[name], key.split("."), method)
        for key in method.get("facts", ())
    }
    base = method_facts(method["base"]) if "base" in method else {}
    facts |= {f"base.{key}": value for key, value in base.items()}
    return {"name": method["name"], "label": method_label(method), **facts}


def method_label(method: Mapping[str, Any]) -> str:
    """What readers call the method of a config or of scores; older ones have its name alone."""
    return str(method.get("label") or method["name"].replace("_", " "))


def part_of_split(scores: Mapping[str, Any]) -> str:
    """How many of the split's images were scored, where not all were; else nothing."""
    if "scored_images" not in scores:
        return ""
    return f"{scores['scored_images']} of {scores['split_images']} images"


def split_scored(scores: Mapping[str, Any]) -> str | None:
    """The split, and how much of it where that is a part; None in older files."""
    split, part = scores.get("split"), part_of_split(scores)
    return f"{split}, {part}" if part else split


def save(path: Path, scores: Mapping[str, Any]) -> None:
    """Writes the file as a whole, with derived values filled in.

    Raises:
        DataError: `scores` would not be accepted by `load`.
    """
    complete = _derive(Path(path), dict(scores))
    for selection in complete["selections"].values():
        selection |= {key: _rounded(selection[key]) for key in ("miou", "fwiou")}
        selection["iou"] = {name: _rounded(value) for name, value in selection["iou"].items()}
    write_json(Path(path), _without_nan(complete))


def load(path: Path) -> dict[str, Any]:
    """The scores in a file, or in a run folder.

    Each selection has `confusion` as (C, C) int64 array, `miou`, `fwiou`, `accuracy`,
    `mean_accuracy`, `iou` (class name to percent), `protocols` (`miou_16`, … to percent) and
    `others` (class to counts, None in older files); NaN where a class never occurs. `folder` is
    where the file lies.

    Raises:
        DataError: there is no such file, or it is not what this module writes.
    """
    path = Path(path)
    path = path / "scores.json" if path.is_dir() else path
    scores = read_json(path, "a run writes it after its first validation")
    derived = _derive(path, scores)
    wanted = derived.get("protocols", measures.DEFAULT)
    for selection in derived["selections"].values():
        counts = selection["confusion"] = np.asarray(selection["confusion"], np.int64)
        selection["accuracy"] = measures.accuracy(counts)
        selection["mean_accuracy"] = measures.mean_accuracy(counts)
        others = selection["others"] = _others(path, derived, selection)
        selection["protocols"] = measures.protocols(counts, derived["classes"], wanted, others)
    return derived | {"folder": path.parent}


def select(scores: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One selection of loaded scores.

    Raises:
        DataError: the run has none of that name.
    """
    try:
        return scores["selections"][name]
    except KeyError as error:
        raise DataError(
            f"{scores.get('folder', scores['run_name'])}: has no selection {name!r}; "
            f"there are {', '.join(scores['selections'])}"
        ) from error


def _derive(path: Path, scores: Any) -> dict[str, Any]:
    """A checked copy, whose selections have `miou`, `fwiou` and `iou`."""
    _check(path, scores)
    classes = scores["classes"]
    selections = {}
    for name, selection in scores["selections"].items():
        counts = _matrix(path, name, selection, len(classes))
        selections[name] = {
            **selection,
            "confusion": counts.tolist(),
            "miou": measures.miou(counts),
            "fwiou": measures.fwiou(counts),
            "miou_over": int(np.isfinite(measures.iou(counts)).sum()),
            "caveat": _caveat(scores, counts),
            "iou": dict(zip(classes, measures.iou(counts).tolist(), strict=True)),
        }
    return {**scores, "selections": selections}


def _caveat(scores: Mapping[str, Any], counts: np.ndarray) -> str | None:
    part = part_of_split(scores)
    words = [part and f"scored on {part}", measures.caveat(counts, scores["classes"])]
    return "; ".join(filter(None, words)) or None


def _check(path: Path, scores: Any) -> None:
    if not isinstance(scores, dict) or "schema" not in scores:
        raise DataError(f"{path}: is no scores.json of this package, it has no schema")
    if scores["schema"] != SCHEMA:
        raise DataError(
            f"{path}: has schema {scores['schema']}, this version reads {SCHEMA}; "
            "score the run again with python -m uda_seg evaluate checkpoint=…"
        )
    wrong = [
        f"{key} must be a {kind.__name__}" if key in scores else f"{key} is missing"
        for key, kind in REQUIRED.items()
        if not isinstance(scores.get(key), kind) or isinstance(scores.get(key), bool)
    ]
    if not wrong and not isinstance(scores["method"].get("name"), str):
        wrong = ["method.name is missing"]
    if not wrong and (not scores["classes"] or not scores["selections"]):
        wrong = ["classes and selections must not be empty"]
    if not wrong and not all(_is_entry(entry) for entry in scores["history"]):
        wrong = ["each entry of history needs numbers for step and miou"]
    if wrong:
        raise DataError(f"{path}: {'; '.join(wrong)}")


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("step"), int)
        and isinstance(entry.get("miou"), int | float | None)
    )


def _matrix(path: Path, name: str, selection: Any, classes: int) -> np.ndarray:
    try:
        step, counts = selection["step"], measures.checked(np.asarray(selection["confusion"]))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: selections.{name} needs a step and a confusion matrix of whole numbers "
            f"({error})"
        ) from error
    if not isinstance(step, int) or len(counts) != classes:
        raise DataError(
            f"{path}: selections.{name} has a {len(counts)}x{len(counts)} matrix at step {step!r}, "
            f"but there are {classes} classes"
        )
    return counts


def _others(
    path: Path, scores: Mapping[str, Any], selection: Mapping[str, Any]
) -> dict[str, np.ndarray] | None:
    """By class, what its pixels were taken for; None when that was not kept."""
    names, counts = scores.get("other_classes"), selection.get("other_confusion")
    if names is None or counts is None:
        return None
    try:
        rows = np.asarray(counts, np.int64).reshape(len(names), len(scores["classes"]))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: other_confusion needs a row for each of other_classes ({error})"
        ) from error
    return dict(zip(names, rows, strict=True))


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(child) for child in value]
    return value
