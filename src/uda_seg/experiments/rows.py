"""The runs behind a table: which there are, which are done, and their commands.

Runs are processes of their own, `python -m uda_seg train …`, so that each is exactly what a user
would start by hand and its command stands in its folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError, show, suggest
from uda_seg.experiments.runner import command_line
from uda_seg.report.spec import is_quoted
from uda_seg.runs import files, run_folder
from uda_seg.runs.quoting import quoted, setting

PLACES = (
    "data_root=", "source.root=", "target.root=", "cache=", "cache_root=",
    "trainer.workers=", "trainer.threads=", "trainer.progress=", "trainer.log_every=",
    "trainer.checkpoint_every=", "trainer.panels=", "trainer.pseudo_labels=", "logger=", "outputs=",
)  # fmt: skip
"""Overrides that say where a run finds its data and how fast, not what it computes: a finished run
stays finished when they change."""


NETWORKS = ("initial=", "method.labellers=", "checkpoint=", "also=")
"""Overrides that name runs of the same table."""
MEANS = ("logits", "probabilities")
"""Of several rows' networks together; `networks.ensemble` has them too, and loads torch."""


@dataclass(frozen=True)
class Job:
    """One row and seed: a run, or what the networks of other rows' runs score together.

    Attributes:
        row: its name.
        seed: of the run.
        steps: it trains.
        folder: of the run.
        overrides: of the command, without folder and resume.
        after: folders of the runs whose networks it needs: to start from, to label its images, or
            to score together.
        cost: how long it takes, in steps of a plain run.
        own_folder: YAML files of the user's own, or None.
        verb: "train", or "evaluate" where it trains nothing.
    """

    row: str
    seed: int
    steps: int
    folder: Path
    overrides: tuple[str, ...]
    after: tuple[Path, ...]
    cost: float
    own_folder: Path | None = None
    verb: str = "train"

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"

    @property
    def done(self) -> bool:
        """Finished, and by this very command."""
        return self._begun and run_folder.finished(self.folder)

    @property
    def _begun(self) -> bool:
        before = files.stored_json(self.folder / "job.json").get("overrides")
        return isinstance(before, list) and _computed(before) == _computed(self.overrides)

    def check_replaced(self) -> str | None:
        """What this job would replace: a run by another command, with results or a checkpoint."""
        there = run_folder.finished(self.folder) or run_folder.begun(self.folder)
        if self._begun or not there:
            return None
        before = files.stored_json(self.folder / "job.json").get("overrides") or []
        old, new = _computed(before), _computed(self.overrides)
        was = [word for word in old if word not in new]
        now = [word for word in new if word not in old]
        return f"{self.name}: had {' '.join(was) or 'less'}, has {' '.join(now) or 'less'}"

    def begin(self) -> list[str]:
        """Notes in the folder what is computed there from now on; the command."""
        command = self.command()
        files.write_json(self.folder / "job.json", {"overrides": list(self.overrides)})
        return command

    def command(self) -> list[str]:
        """Continues the run if there is a checkpoint of the same command."""
        line = command_line(self.verb, self.own_folder)
        line += [*self.overrides, setting("hydra.run.dir", self.folder)]
        if self.verb == "evaluate":
            return line
        line.append("trainer.progress=false")
        if self._begun and run_folder.begun(self.folder):
            line.append("resume=auto")
        return line


def jobs(
    spec: Mapping[str, Any],
    seeds: Sequence[int],
    extra: Sequence[str],
    folder: Path,
    own_folder: Path | None = None,
) -> list[Job]:
    """All runs of a table, seed by seed, in the order of its rows.

    Args:
        spec: a table, with `common` overrides and `rows`; a row that is only quoted is not run.
        seeds: of each row.
        extra: overrides of every run.
        folder: of the table.
        own_folder: see `Job`.
    """
    names = [row for row, entry in spec["rows"].items() if not is_quoted(entry)]
    if twice := sorted({seed for seed in seeds if list(seeds).count(seed) > 1}):
        raise ConfigError(f"seeds: {', '.join(map(str, twice))} is given twice")
    return [_job(spec, row, seed, extra, folder, own_folder) for seed in seeds for row in names]


def wanted_rows(spec: Mapping[str, Any], chosen: Sequence[str] | str | None) -> set[str]:
    """Names of the rows to run: those chosen (None: all), and those they start from."""
    rows = spec["rows"]
    runnable = [name for name, entry in rows.items() if not is_quoted(entry)]
    names = runnable if chosen is None else [chosen] if isinstance(chosen, str) else list(chosen)
    for name in names:
        if name in rows and name not in runnable:
            raise ConfigError(
                f"rows: {name} is quoted from its paper and cannot be run here; "
                f"choose from {', '.join(runnable)}"
            )
        if name not in rows:
            raise ConfigError(
                f"rows: there is no row {name}, {suggest(str(name), runnable)}"
                f"choose from {', '.join(runnable)}"
            )
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names += needed_rows(rows[name])
    return found


def needed_rows(entry: Mapping[str, Any]) -> list[str]:
    """Names of the rows whose networks a row needs: the one it starts from first."""
    others = (name for key in ("labelled_by", "together") for name in entry.get(key) or ())
    return [*([entry["after"]] if entry.get("after") else []), *others]


def check_replaced(wanted: Sequence[Job], folder: Path) -> None:
    """
    Raises:
        ConfigError: runs of other settings lie in the folder, and would be replaced.
    """
    lines = [line for job in wanted if (line := job.check_replaced())]
    if lines:
        more = [f"and {len(lines) - 5} more"] if len(lines) > 5 else []
        raise ConfigError(
            "\n  ".join([f"{folder}: holds runs of other settings:", *lines[:5], *more])
            + "\nname another folder (run_name=…), or remove this one"
        )


def _job(
    spec: Mapping[str, Any],
    row: str,
    seed: int,
    extra: Sequence[str],
    folder: Path,
    own_folder: Path | None,
) -> Job:
    entry = spec["rows"][row]
    if mistake := next(_mistakes(row, spec["rows"]), None):
        raise ConfigError(f"table.rows.{row}.{mistake}")
    needed = [folder.absolute() / other / f"seed{seed}" for other in needed_rows(entry)]
    here = folder.absolute() / row / f"seed{seed}"
    if entry.get("together"):
        words = _together(entry, needed, extra)
        return Job(row, seed, 0, here, words, tuple(needed), 0.0, own_folder, "evaluate")
    steps = entry.get("steps", spec.get("steps"))
    if not isinstance(steps, int):
        raise ConfigError(f"rows.{row}.steps: is missing; write how many steps the row trains")
    overrides = [*spec["common"], *entry["overrides"], f"trainer.steps={steps}"]
    overrides += [*extra, f"seed={seed}"]
    given = [word.partition("=")[2] for word in overrides if word.startswith("trainer.steps=")]
    steps = int(given[-1]) if given[-1].isdecimal() else steps
    if entry.get("after"):
        overrides.append(setting("initial", needed[0]))
    if labellers := needed[1:] if entry.get("after") else needed:
        overrides.append(f"method.labellers=[{','.join(map(quoted, labellers))}]")
    cost = steps * entry.get("cost", 1.0)
    chosen = tuple(_chosen(overrides))
    return Job(row, seed, steps, here, chosen, tuple(needed), cost, own_folder)


def _chosen(overrides: Sequence[str]) -> Iterator[str]:
    """Of choices of one group the last alone: a command line takes no second one."""
    for place, word in enumerate(overrides, 1):
        group = word.partition("=")[0]
        is_key = "." in group and "@" not in group
        if is_key or not any(later.startswith(f"{group}=") for later in overrides[place:]):
            yield word


def _mistakes(row: str, rows: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the rows that a row needs, and how it asks them together."""
    entry = rows[row]
    for key in ("after", "labelled_by", "together"):
        named = entry.get(key) or ()
        for other in [named] if isinstance(named, str) else named:
            if other not in rows:
                yield f"{key}: there is no row {other!r}; there are {', '.join(rows)}"
            elif rows[other].get("overrides") is None:
                yield f"{key}: {other} trains no network; name rows with overrides"
    together, shares = entry.get("together"), entry.get("shares")
    if not together:
        return
    if isinstance(together, str) or len(together) < 2:
        yield f"together={show(together)}: must be a list of two rows or more"
    if given := [key for key in ("overrides", "after", "labelled_by", "steps") if key in entry]:
        yield f"{given[0]}: a row of others together trains nothing; leave it out"
    if entry.get("mean_of") not in MEANS:
        yield f"mean_of={show(entry.get('mean_of'))}: choose from {', '.join(MEANS)}"
    if shares is not None and len(shares) != len(together):
        yield f"shares={show(shares)}: must be {len(together)} numbers, one for each of together"


def _together(
    entry: Mapping[str, Any], networks: Sequence[Path], extra: Sequence[str]
) -> tuple[str, ...]:
    """Overrides of `evaluate`; of those of every run, it takes where the target lies."""
    words = [setting("checkpoint", networks[0])]
    words.append(f"also=[{','.join(map(quoted, networks[1:]))}]")
    words.append(f"mean_of={entry['mean_of']}")
    words += [f"shares={json.dumps(entry['shares'])}"] if entry.get("shares") else []
    return (*words, *(word for word in extra if word.startswith("target.root=")))


def _computed(overrides: Sequence[str]) -> list[str]:
    """Of the runs it needs, row and seed count: a table's folder may have been moved."""
    kept = [override for override in overrides if not override.startswith(PLACES)]
    return [_rows_named(word) if word.startswith(NETWORKS) else word for word in kept]


def _rows_named(override: str) -> str:
    paths = override.partition("=")[2].strip("[]").split(",")
    return ",".join("/".join(path.strip("'").split("/")[-2:]) for path in paths)
