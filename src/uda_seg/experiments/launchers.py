"""Which launcher and sweeper do for what a command line asks, judged before anything begins."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override
from omegaconf import ListConfig

from uda_seg.errors import show, suggest
from uda_seg.experiments import sweep_folder
from uda_seg.runs import cluster

EXTRA = "pip install 'uda-seg[sweep]'"
OF_SLURM = ("slurm", "submitit_slurm")
SAMPLERS = ("tpe", "random", "gp")


def explained(error: str) -> str:
    """Hydra's complaint about a file it does not find, with the cure if a plugin would bring it."""
    found = re.search(r"hydra/launcher[/=](joblib|submitit_\w+)", error)
    return f"hydra/launcher={found[1]}: needs an extra: {EXTRA}" if found else error


def chosen(hydra: Any, what: str) -> str:
    """The choice of `hydra/launcher` or `hydra/sweeper`."""
    return str(hydra.runtime.choices.get(f"hydra/{what}"))


def launcher_for(hydra: Any, devices: int) -> list[str]:
    """Overrides that make several devices a run possible, where nobody chose a launcher."""
    wanted = devices > 1 and chosen(hydra, "launcher") == "basic" and not _is_given(hydra)
    return ["hydra/launcher=processes"] if wanted else []


def _is_given(hydra: Any) -> bool:
    """Whether the launcher stands on the command line."""
    return any(line.startswith("hydra/launcher=") for line in hydra.overrides.hydra)


def device_complaints(hydra: Any, devices: int, nodes: int) -> Iterator[str]:
    """Of a sweep's job.

    Lightning starts the other ranks of a run with the whole command line. A sweep's would sweep
    anew; those of a search even with other values (github.com/facebookresearch/hydra/issues/2070).

    Args:
        hydra: the node of the config.
        devices: of a job, on each node.
        nodes: of a job.
    """
    launcher = chosen(hydra, "launcher")
    if launcher == "processes":
        yield from _of_processes(hydra.launcher, devices)
    if cluster.repeated() > 1:
        yield (
            f"-m: {cluster.repeated()} processes were started with this command line, and each "
            "would sweep; start one, without srun or torchrun; hydra/launcher=slurm starts each "
            "job with srun"
        )
    if launcher in OF_SLURM:
        tasks, on = hydra.launcher.tasks_per_node, hydra.launcher.nodes
        if (tasks, on) != (devices, nodes):
            yield (
                f"hydra.launcher: SLURM starts {tasks} tasks on each of {on} nodes, the job has "
                f"trainer.devices={devices}, trainer.num_nodes={nodes}; add "
                f"hydra.launcher.tasks_per_node={devices} hydra.launcher.nodes={nodes}"
            )
    elif nodes > 1:
        yield (
            f"trainer.num_nodes={nodes}: with -m, jobs of several nodes need hydra/launcher=slurm, "
            "which starts each with srun; or trainer.num_nodes=1"
        )
    elif devices > 1 and launcher != "processes" and (_is_given(hydra) or launcher != "basic"):
        yield (
            f"trainer.devices={devices}: with -m and hydra/launcher={launcher} each job has one "
            "device; choose hydra/launcher=processes, or trainer.devices=1 trainer.strategy=auto"
        )


def _of_processes(settings: Any, devices: int) -> Iterator[str]:
    at_once, gpus = settings.get("at_once"), settings.get("gpus")
    if not isinstance(at_once, int) or at_once < 1:
        yield f"hydra.launcher.at_once={show(at_once)}: must be a whole number, at least 1"
    listed = [gpu for gpu in gpus] if isinstance(gpus, ListConfig) else None
    if gpus is not None and (not listed or not all(type(gpu) is int for gpu in listed)):
        yield f"hydra.launcher.gpus={show(gpus)}: must be a list of numbers, like [0,1]"
    elif listed and len(listed) < devices:
        yield (
            f"hydra.launcher.gpus={show(listed)}: a job has trainer.devices={devices}; name as many"
        )


def sweeper_complaints(hydra: Any, swept: Sequence[Override], resume: Any) -> Iterator[str]:
    """Of what is swept, and by what.

    Args:
        hydra: the node of the config.
        swept: overrides with several values.
        resume: the value of that key, None where there is none.
    """
    intervals = [o for o in swept if isinstance(o.value(), IntervalSweep)]
    if resume not in (None, "auto") and not sweep_folder.read(Path(str(resume))):
        yield f"resume={resume}: with -m, auto or the folder of a sweep (one with a sweep.json)"
    if chosen(hydra, "sweeper") != "optuna":
        for override in intervals:
            yield (
                f"{override.input_line}: only a search takes an interval; add hydra/sweeper=optuna"
            )
        return
    if importlib.util.find_spec("optuna") is None:
        yield f"hydra/sweeper=optuna: needs an extra: {EXTRA}"
    if not swept:
        yield (
            "hydra/sweeper=optuna: nothing to search; give a key an interval, such as "
            "'method.lambda_adv=tag(log, interval(1e-4, 1e-2))'"
        )
    if any(override.key_or_group == "seed" for override in swept):
        yield (
            "seed: a search would pick the luckiest; search with one seed, then run the best value "
            "with several (sweep=seeds)"
        )
    settings = hydra.sweeper
    for key, known in (("sampler", SAMPLERS), ("objective", sweep_folder.OBJECTIVES)):
        value = show(settings[key])
        if value not in known:
            hint = suggest(value, known)
            yield f"hydra.sweeper.{key}={value}: {hint}choose from {', '.join(known)}"
    for key in ("n_trials", "n_jobs"):
        if not isinstance(settings[key], int) or settings[key] < 1:
            yield f"hydra.sweeper.{key}={show(settings[key])}: must be a whole number, at least 1"
