"""The folder of a sweep: what is written there, and how a later start finds it and its jobs again.

SWEEP/sweep.json       what is swept; by it, `resume=auto` knows the sweep again
SWEEP/JOB/             run folders, one a job
SWEEP/JOB/failed.json  why the job's last attempt failed; gone once it succeeds
"""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uda_seg.config import plain
from uda_seg.runs import files, run_folder
from uda_seg.runs.identity import experiment, same_experiment

NAME = "sweep.json"
FAILED = "failed.json"
OBJECTIVES = ("miou", "information_maximisation")
"""Scores of a run's last step that a search may maximise."""


def begin(folder: Path, facts: Mapping[str, Any]) -> None:
    """Writes sweep.json; `facts` are what `read` gives back."""
    files.write_json(folder / NAME, dict(facts))


def gave_up(folder: Path, why: str) -> None:
    """Notes that a launcher raised, so that jobs may not even have been begun."""
    begin(folder, read(folder) | {"gave_up": why})


def read(folder: Path) -> dict[str, Any]:
    """The facts of a sweep; empty when the folder is none."""
    return files.stored_json(folder / NAME)


def identity(config: Mapping[str, Any], swept: Sequence[str], sweeper: str) -> str:
    """The same for two sweeps over the same keys of the same experiment, whatever the values are.

    Args:
        config: of one job, its interpolations as they are written: others may refer to swept keys.
        swept: keys, dotted; a group's choice takes all keys below it along. `group@key` is a choice
            that lies at that key.
        sweeper: grid or search.
    """
    kept = json.loads(json.dumps(experiment(config), default=str))
    for key in swept:
        node, (*path, last) = kept, key.rpartition("@")[2].split(".")
        for part in path:
            node = node.get(part, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node.pop(last, None)
    text = json.dumps([kept, sorted(swept), sweeper], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def newest(beside: Path, wanted: str) -> Path | None:
    """The sweep that was begun last, of those with an identity, in the folder of this one."""
    found = [path for path in beside.parent.glob(f"*/{NAME}")]
    same = [path for path in found if files.stored_json(path).get("identity") == wanted]
    return max(same, key=lambda path: path.stat().st_mtime).parent if same else None


def jobs(folder: Path) -> list[Path]:
    """Folders of the jobs that were begun, in the order of their numbers."""
    began = {path.parent for name in (FAILED, "config.yaml") for path in folder.glob(f"*/{name}")}
    began |= {path.parent.parent for path in folder.glob("*/.hydra/overrides.yaml")}
    return sorted(began - {folder / ".hydra"}, key=_number)


def _number(folder: Path) -> tuple[float, str]:
    digits = folder.name.partition("_")[0]
    return (int(digits) if digits.isdecimal() else math.inf, folder.name)


def earlier(own: Path, config: Any) -> Path | None:
    """The run of this sweep that computed, or began to compute, just what a job is to compute.

    Args:
        own: folder of the job, which may be new.
        config: of the job, resolved.
    """
    if _same(own, config):
        return own
    others = [path.parent for path in sorted(own.parent.glob("*/config.yaml"))]
    useful = [
        folder for folder in others if run_folder.finished(folder) or run_folder.begun(folder)
    ]
    same = [folder for folder in useful if folder != own and _same(folder, config)]
    return next((folder for folder in same if run_folder.finished(folder)), next(iter(same), None))


def _same(folder: Path, config: Any) -> bool:
    return same_experiment(run_folder.stored_config(folder), plain(config))


def discard(folder: Path) -> None:
    """Removes a job's folder that turned out not to be needed; never one that holds anything."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    log = folder / "train.log"
    if names <= {".hydra", "train.log"} and not (log.is_file() and log.stat().st_size):
        shutil.rmtree(folder, ignore_errors=True)


def failed(folder: Path, code: int, message: str) -> None:
    files.write_json(folder / FAILED, {"exit_code": code, "message": message})


def failure(folder: Path) -> dict[str, Any]:
    """What `failed` wrote; empty when the last attempt did not fail."""
    return files.stored_json(folder / FAILED)


def is_job(folder: Path) -> bool:
    """Whether a run is one of a sweep."""
    return (folder.parent / NAME).is_file()


def outcome(folder: Path, objective: str) -> float:
    """The score of a job that is done; NaN, which is a failure, of any other."""
    return score(folder, objective) if run_folder.finished(folder) else math.nan


def score(folder: Path, objective: str = "miou") -> float:
    """The score at the last step of a finished run, NaN where it has none.

    Args:
        folder: of the run.
        objective: one of `OBJECTIVES`. `miou`, in percent, looks at target labels;
            `information_maximisation`, in nats, does not.
    """
    history = files.stored_json(folder / "scores.json").get("history") or [{}]
    value = history[-1].get(objective)
    return math.nan if value is None else float(value)
