"""Which of many runs differ in their seed alone, and which of those count."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uda_seg.report.runs import Run, spec_of
from uda_seg.report.spec import roles_of
from uda_seg.runs import run_folder
from uda_seg.runs.identity import HARDWARE, NOT_THE_EXPERIMENT

PLACES = ("data_root", "cache", "cache_root", "logger", "on_bad_image", "device", "workers")
"""Top keys that say where things lie and how much is said, not what is computed."""


@dataclass
class Group:
    """Runs that differ in their seed alone.

    Attributes:
        runs: by seed; those without scores come first.
        name: of its row, if a table's YAML made it.
        label: of its row, if that table is known.
        shown: whether the table shows it.
        roles: role to name of a row, as the table has them.
        order: tables' rows come first, in theirs.
    """

    runs: list[Run]
    name: str | None = None
    label: str | None = None
    shown: bool = True
    roles: dict[str, str] = field(default_factory=dict)
    order: tuple[bool, str, int] = (True, "", 0)

    @property
    def scores(self) -> dict[str, Any]:
        """Of its first run that has some; empty if none has."""
        return next((run.scores for run in self.runs if run.scores is not None), {})

    @property
    def method(self) -> str:
        return str(self.scores["method"]["name"])

    @property
    def space(self) -> tuple[Any, ...]:
        """What rows must share to stand in one table."""
        pair = (self.scores["source"], self.scores["target"], self.scores.get("split"))
        return (*pair, tuple(self.scores["classes"]))


def grouped(runs: Sequence[Run]) -> list[Group]:
    """In the order of the runs, but a table's rows in the order of the table."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(identity(run), []).append(run)
    made = [_group(runs) for runs in found.values()]
    return sorted(made, key=lambda group: group.order)


def identity(run: Run) -> str:
    """The same for two runs if they differ in their seed alone."""
    if (run.folder / "job.json").is_file() and run.folder.name.startswith("seed"):
        # A table's row; the configs of its older runs may lack keys that came since.
        said = {k: v for k, v in run.overrides.items() if k not in ("seed", "initial")}
        return _text([str(run.folder.resolve().parent), said])
    if run.config:
        return _text(_experiment(run.config))
    known = (
        "method",
        "weights",
        "source",
        "target",
        "backbone",
        "batch_norm",
        "encoder_updates",
        "steps",
    )
    return _text({key: (run.scores or {}).get(key) for key in known} or str(run.folder))


def counted(group: Group, selection: str) -> tuple[list[Run], list[str]]:
    """The runs that a row's numbers are of, and what is to be said about the others.

    Unfinished runs count only where none is finished. Of two runs with one seed the later counts.
    """
    scored = [run for run in group.runs if run.scores is not None]
    able = [run for run in scored if selection in run.scores["selections"]]  # type: ignore[index]
    remarks = [
        f"{short(run.folder)}: has no checkpoint “{selection}”" for run in scored if run not in able
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
        seed = run.scores["seed"]  # type: ignore[index]
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


def _group(runs: list[Run]) -> Group:
    runs = sorted(runs, key=lambda run: run.scores["seed"] if run.scores else -1)
    folder = runs[0].folder.resolve()
    if not (folder / "job.json").is_file():
        return Group(runs)
    spec, name = spec_of(folder), folder.parent.name
    place = str(folder.parents[1])
    if spec is None:
        return Group(runs, name, order=(False, place, 1000))
    entry = spec["rows"][name]
    roles = roles_of(spec).get(entry.get("backbone") or "", {})
    names = [*spec["rows"], roles.get("oracle")]  # an oracle comes last
    return Group(
        runs,
        name,
        entry.get("label"),
        entry.get("shown", True),
        {role: row for role, row in roles.items() if row},
        (False, place, len(names) - 1 - names[::-1].index(name)),
    )


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
