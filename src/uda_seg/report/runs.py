"""Finding run folders, and reading what they hold: scores, config, command, progress."""

import csv
import glob
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from uda_seg.config import read_yaml
from uda_seg.errors import ConfigError, DataError
from uda_seg.evaluation import scores
from uda_seg.runs import older_names, run_folder
from uda_seg.runs.files import stored_json

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run folder, finished or not.

    Attributes:
        folder: of the run.
        config: it was started with; empty where it cannot be read.
        overrides: of its command, by key.
        scores: what `scores.load` gives; None before its first validation.
        progress: what it last said of itself: step, steps and so on; empty where it said nothing.
    """

    folder: Path
    config: dict[str, Any]
    overrides: dict[str, str]
    scores: dict[str, Any] | None
    progress: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.scores is not None and bool(self.scores.get("finished", True))

    @property
    def steps(self) -> tuple[int, int | None]:
        """Done, and to be done where that is known."""
        done = self.scores["steps"] if self.scores else 0
        total = (self.config.get("trainer") or {}).get("steps")
        return max(done, int(self.progress.get("step") or 0)), total

    @property
    def row(self) -> str | None:
        """The name of the row that it is a run of, if a table started it."""
        folder = self.folder.resolve()
        return folder.parent.name if (folder / "job.json").is_file() else None

    @property
    def spec(self) -> dict[str, Any]:
        """Of the table that started it, as its YAML has it; empty where that is not known."""
        return (spec_of(self.folder) if self.row else None) or {}

    @property
    def entry(self) -> dict[str, Any]:
        """What the table says of its row."""
        return self.spec["rows"][self.row] if self.spec else {}


def find(patterns: Sequence[str | Path]) -> list[Path]:
    """Run folders, each once, in the order of the patterns.

    Args:
        patterns: run folders; folders that hold some, however deep, such as a table's or a
            sweep's; or patterns of either, such as outputs/adaptseg_*.

    Raises:
        ConfigError: a pattern leads to nothing.
    """
    found: dict[Path, Path] = {}
    for pattern in map(os.path.expanduser, map(str, patterns)):
        places = [Path(pattern)] if os.path.isdir(pattern) else []
        places = places or [Path(p) for p in sorted(glob.glob(pattern, recursive=True))]
        folders = [folder for place in places for folder in _below(place)]
        if not folders:
            why = "holds no run (no scores.json)" if places else "is not there"
            raise ConfigError(f"runs={pattern}: {why}; give run folders, or folders of such")
        found |= {folder.resolve(): folder for folder in folders}
    return list(found.values())


def _below(place: Path) -> list[Path]:
    """The place itself if it is a run folder, else those below it; none lies within another."""
    if place.is_file():
        return [place.parent] if place.name in ("scores.json", "config.yaml") else []
    found = []
    for here, folders, files in os.walk(place):
        if "scores.json" in files or {"config.yaml", "environment.json"} <= set(files):
            found.append(Path(here))
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    return found


def read(folder: Path) -> Run:
    """
    Raises:
        DataError: its scores.json is there, and cannot be read.
    """
    there = (folder / "scores.json").is_file()
    config = run_folder.stored_config(folder) or {}
    if "critic" in dict(older_names.renamed(config)):
        log.warning(
            "%s: is of an earlier version: how often its critics were right is left out", folder
        )
    return Run(
        folder=folder,
        config=config,
        overrides=overrides_of(folder),
        scores=scores.load(folder) if there else None,
        progress=stored_json(folder / "progress.json"),
    )


def overrides_of(folder: Path) -> dict[str, str]:
    """What was said on a run's command line, by key; empty where that is not known."""
    job = stored_json(folder / "job.json").get("overrides")
    try:
        lines = job or (folder / "overrides.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.lstrip("+").partition("=") for line in lines if "=" in line)
    return {key: value for key, _, value in pairs}


def spec_of(folder: Path) -> dict[str, Any] | None:
    """The table that a run folder, <table>/<row>/seed<n>, is a part of, as its YAML has it."""
    folder = folder.resolve()
    if len(folder.parents) < 2:
        return None
    path = folder.parents[1] / ".hydra" / "config.yaml"
    try:
        spec = _spec(path, path.stat().st_mtime_ns)
        return spec if folder.parent.name in spec.get("rows", {}) else None
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
        return None


@lru_cache(maxsize=64)
def _spec(path: Path, changed: int) -> dict[str, Any]:
    """Of a file as it was when it changed last: all runs of a table ask for the same."""
    config = read_yaml(path)
    if "comparison" in config:
        log.warning(
            "%s: is of an earlier version, whose tables were called comparison: its rows are named "
            "after their folders", path.parents[1],
        )  # fmt: skip
    return config.get("table") or {}


def metrics(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """(steps done, value) of everything in metrics.csv, by name; empty without the file.

    Raises:
        DataError: the file is there and no table with steps.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    path = folder / "metrics.csv"
    if not path.is_file():
        return found
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                step = row.pop("step")
                for name, value in row.items():
                    if _number(step) and _number(value):  # a running run may be writing this row
                        found.setdefault(name, []).append((float(step) + 1, float(value)))
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of steps ({error})") from error
    return found


def _number(text: str | None) -> bool:
    try:
        return math.isfinite(float(text or "nan"))
    except ValueError:
        return False
