"""Which of many runs differ in their seed alone, and which of those count."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.report.runs import Run
from uda_seg.report.spec import roles_of
from uda_seg.runs import run_folder
from uda_seg.runs.identity import HARDWARE, NOT_THE_EXPERIMENT

PLACES = ("data_root", "cache", "cache_root", "logger", "on_bad_image", "device", "workers")
"""Top keys that say where things lie and how much is said, not what is computed."""


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """Runs with scores, those together that differ in their seed alone; a table's in its order."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(identity(run), []).append(run)
    ordered = [sorted(group, key=lambda run: scores_of(run)["seed"]) for group in groups.values()]
    return sorted(ordered, key=lambda group: _order(group[0]))


def scores_of(run: Run) -> dict[str, Any]:
    return run.scores or {}


def table_roles(run: Run) -> dict[str, str]:
    """Role to row beside the run's own, as the table has them that started it."""
    roles = roles_of(run.spec).get(run.entry.get("backbone") or "", {})
    return {role: row for role, row in roles.items() if row}


def _order(run: Run) -> tuple[bool, str, int]:
    """Tables' rows come first, in theirs; an oracle comes last."""
    if run.row is None:
        return (True, "", 0)
    names = [*run.spec.get("rows", {}), table_roles(run).get("oracle")]
    place = names[::-1].index(run.row) if run.spec else 0
    return (False, str(run.folder.resolve().parents[1]), -place)


def identity(run: Run) -> str:
    """The same for two runs if they differ in their seed alone."""
    if (run.folder / "job.json").is_file() and run.folder.name.startswith("seed"):
        # A table's row; the configs of its older runs may lack keys that came since.
        said = {k: v for k, v in run.overrides.items() if k not in ("seed", "initial")}
        return _text([str(run.folder.resolve().parent), said])
    if run.config:
        return _text(_experiment(run.config))
    known = "method weights source target backbone batch_norm encoder_updates steps".split()
    return _text({key: scores_of(run).get(key) for key in known})


def counted(group: Sequence[Run], selection: str) -> tuple[list[Run], list[str]]:
    """The runs that a row's numbers are of, and what is to be said about the others.

    Unfinished runs count only where none is finished. Of two runs with one seed the later counts.
    """
    able = [run for run in group if selection in scores_of(run)["selections"]]
    remarks = [
        f"{short(run.folder)}: has no checkpoint “{selection}”" for run in group if run not in able
    ]
    finished = [run for run in able if run.finished]
    if finished:
        remarks += [
            f"{short(run.folder)}: unfinished ({progress(run)}), and not in its row's mean"
            for run in able
            if not run.finished
        ]
    by_seed: dict[int, Run] = {}
    for run in sorted(finished or able, key=_written):
        seed = scores_of(run)["seed"]
        if seed in by_seed:
            earlier = short(by_seed[seed].folder)
            remarks.append(f"{earlier}: an earlier run of the same config and seed {seed}")
        by_seed[seed] = run
    return [by_seed[seed] for seed in sorted(by_seed)], remarks


def progress(run: Run) -> str:
    done, total = run.steps
    return f"step {done} of {total}" if total else f"step {done}"


def short(folder: Path) -> str:
    """Enough of a run folder's path to find it, and nothing of the machine."""
    return "/".join(folder.resolve().parts[-2:])


def _experiment(config: Mapping[str, Any], depth: int = 0) -> Any:
    """A config without its seed and without what is no part of the experiment."""
    left_out = {"seed", "initial", *PLACES, *NOT_THE_EXPERIMENT}
    kept = {key: value for key, value in config.items() if key not in left_out}
    if isinstance(kept.get("trainer"), Mapping):
        kept["trainer"] = {k: v for k, v in kept["trainer"].items() if k not in HARDWARE}
    if isinstance(kept.get("run"), Mapping):  # of an evaluation
        kept["run"] = _experiment(kept["run"], depth)
        kept["checkpoint"] = Path(str(kept.get("checkpoint"))).name
    if config.get("initial"):
        start = run_folder.folder_of(Path(str(config["initial"])))
        stored = run_folder.stored_config(start) if depth < 3 else None
        kept["initial"] = _experiment(stored, depth + 1) if stored else "elsewhere"
    return kept


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _written(run: Run) -> float:
    return (run.folder / "scores.json").stat().st_mtime
