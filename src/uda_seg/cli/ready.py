"""The last look at a command line without mistakes: is all there that its run needs?

Nothing is built and nothing is written, so that whatever is missing is said within a second or two.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uda_seg.cli import help_text, places
from uda_seg.cli.command_line import Checked
from uda_seg.config import conf_folder, with_home
from uda_seg.errors import ConfigError, suggest, together
from uda_seg.experiments import launchers

ELSEWHERE = ("slurm", "submitit_slurm")
"""Launchers whose jobs may see other disks than this machine."""


def check_ready(verb: str, checked: Checked, multirun: bool) -> None:
    """
    Args:
        verb: the command.
        checked: its command line.
        multirun: whether it is several jobs.

    Raises:
        ConfigError: something is missing or in the way; all of it at once.
    """
    plain, hydra = checked.plain[0], checked.config.hydra
    if multirun and launchers.chosen(hydra, "launcher") in ELSEWHERE:
        return
    key = "hydra.sweep.dir" if multirun else "hydra.run.dir"
    try:
        folder = with_home(str(OmegaConf.select(checked.config, key)))
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {str(error).partition(chr(10))[0]}") from error
    if plain.get("outputs") and not any(key in line for line in checked.overrides):
        key = f"outputs={plain['outputs']}: {key}"
    mistakes = list(places.complaints(verb, plain, folder, key))
    for other in checked.plain[1:]:
        mistakes += places.complaints(verb, other, folder, key)
    if verb == "data_draw":
        mistakes += _layout(plain["layout"], checked.own_folder)
    if mistakes:
        raise together(mistakes)
    if verb in ("compare", "table") and not multirun:
        _check_rows(verb, plain, Path(folder), checked.own_folder)


def _layout(name: str, own_folder: Path | None) -> Iterator[str]:
    """Whether `data draw` knows the layout; it says itself which dataset it cannot draw."""
    choices = help_text.choices([conf_folder(), *filter(None, [own_folder])])
    known = sorted({*choices["source"], *choices["target"]})
    if name not in known:
        yield f"layout={name}: unknown, {suggest(name, known)}choose from {', '.join(known)}"


def _check_rows(
    verb: str, config: Mapping[str, Any], folder: Path, own_folder: Path | None
) -> None:
    """The commands of all runs, and of `compare`, which is nothing without one of its rows, what
    they need. A published table says itself what is missing for which row.
    """
    from uda_seg.cli.job_configs import configs
    from uda_seg.experiments.asked_for import asked_for
    from uda_seg.experiments.rows import jobs, wanted_rows

    spec = asked_for(config, verb)
    chosen = wanted_rows(spec, config["rows"])
    every = jobs(spec, config["seeds"], config["overrides"], folder, own_folder)
    for row in dict.fromkeys(job.row for job in every if job.row in chosen):
        made = configs([next(job for job in every if job.row == row)]).get(row)
        if made is None:  # of others together, which are checked themselves
            continue
        sides = () if verb == "table" or config["dry_run"] else ("source", "target")
        if missing := [line for side in sides for line in places.datasets(made[side], side)]:
            raise together(missing)
