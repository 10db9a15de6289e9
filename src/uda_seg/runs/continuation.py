"""What a run goes on from, accepted or refused before anything is written."""

import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from uda_seg.errors import ConfigError, WeightsError
from uda_seg.runs import identity, older_names, place, run_folder, weights

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Continuation:
    """A checkpoint that fits the config of the run that is to go on from it.

    Attributes:
        path: of the file.
        step: it was made at.
        passed_over: complaints about newer files that cannot be used.
        told: settings that may change, and do.
    """

    path: Path
    step: int
    passed_over: list[str]
    told: list[identity.Difference]

    def check_weights(self, module: nn.Module) -> None:
        """
        Raises:
            ConfigError: the run, as it is built, has other parameters than the checkpoint.
        """
        stored = weights.read_checkpoint(self.path, "resume")["state_dict"]
        own = module.state_dict()
        odd = sorted(
            f"{name} {_shape(stored.get(name))} instead of {_shape(own.get(name))}"
            for name in stored.keys() ^ own.keys() | stored.keys() & own.keys()
            if _shape(stored.get(name)) != _shape(own.get(name))
        )
        if odd:
            raise ConfigError(
                f"resume={self.path}: its weights are not those of this run "
                f"({len(odd)} differ: {'; '.join(odd[:3])}); {_cure(self.path)}"
            )

    def say(self) -> None:
        for complaint in self.passed_over:
            log.warning("passed over %s", complaint)
        log.info("continuing from %s, step %d", self.path, self.step)
        for one in self.told:
            log.warning("from step %d on: %s", self.step, one)


def continuation(config: Mapping[str, Any], folder: Path | None) -> Continuation | None:
    """What `resume=` asks for.

    Args:
        config: of the run, plain.
        folder: of the run; None for one that is only to be made.

    Returns:
        None when nothing is to be continued, or `auto` finds nothing.

    Raises:
        WeightsError: the file is no checkpoint that a run can go on from.
        ConfigError: its run was another experiment, or is of an earlier version.
    """
    wanted, passed_over = config["resume"], list[str]()
    if wanted is None:
        return None
    if wanted == "auto" or Path(wanted).is_dir():
        where = folder if wanted == "auto" else Path(wanted)
        path, passed_over = weights.to_continue(where) if where else (None, [])
        if path is None and wanted == "auto":
            return None
        if path is None:
            raise WeightsError(
                "\n".join([*passed_over, f"resume={wanted}: no checkpoint there can be used; "])
                + "train it again without resume="
            )
    else:
        path = Path(wanted)
    content = weights.continuable(path, "resume")
    stored = content["hyper_parameters"]["config"]
    older_names.refuse(stored, path, f"to start a new run from its network: initial={path}")
    step = int(content["global_step"])
    _check_same(path, stored, config, step)
    return Continuation(path, step, passed_over, identity.told(stored, config))


def _check_same(
    path: Path, stored: Mapping[str, Any], config: Mapping[str, Any], step: int
) -> None:
    found = identity.differences(stored, config, _named(run_folder.folder_of(path)))
    steps = config["trainer"]["steps"]
    if any(one.key == "trainer.steps" for one in found):
        why = (
            "\n(the learning rate, or the rounds, are laid over the length of the run: another "
            "length is another run from its first step on)"
        )
    else:
        why = ""
    if found:
        raise ConfigError(
            f"resume={path}: its run had other settings, which cannot change on the way:"
            f"{identity.listed(found)}{why}\n{_cure(path)}"
        )
    if steps < step:
        raise ConfigError(f"resume={path}: trainer.steps={steps}, but it is at step {step} already")


def _cure(path: Path) -> str:
    """The command that does go on."""
    folder = run_folder.folder_of(path)
    words = [word for word in _overrides(folder) if not word.startswith(("resume=", "hydra."))]
    again = shlex.join(["python", "-m", "uda_seg", *words, f"resume={path}"])
    return f"to go on: {again}\nto start a new run from its network: initial={path}"


def _overrides(folder: Path) -> list[str]:
    try:
        text = (folder / "overrides.txt").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return [line for line in text.splitlines() if line]


def _named(folder: Path) -> set[str]:
    """Keys on the command line of the stored run, and on this one's."""
    lines = [*_overrides(folder), *run_folder.given_overrides()]
    return {line.lstrip("+").partition("=")[0].partition("@")[0] for line in lines}


def _shape(value: Any) -> Any:
    return "nothing" if value is None else list(value.shape) if hasattr(value, "shape") else ""


def say_why_anew(config: Mapping[str, Any], folder: Path) -> None:
    """Says what `resume=auto` found, and why it is nothing to go on from."""
    _, damaged = weights.to_continue(folder)
    if damaged:
        log.warning("%s", "\n".join([*damaged, "resume=auto: starting anew"]))
        return
    stored = {path: run_folder.read(path) for path in place.unfinished(config)}
    differing = {path: identity.differences(was, config) for path, was in stored.items()}
    other = next((path for path, found in differing.items() if found), None)
    below = Path(config["outputs"]) / config["run_name"]
    if other is None:  # one without differences was begun by another process this moment
        log.info("resume=auto: no unfinished run below %s; starting anew", below)
        return
    log.warning(
        "resume=auto: starting anew; the unfinished run %s has other settings:%s",
        other, identity.listed(differing[other]),
    )  # fmt: skip
