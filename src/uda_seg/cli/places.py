"""Whether the files and folders that a command line names are there, and what it writes can be."""

import glob
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError, UserError, suggest
from uda_seg.runs import run_folder

LONGEST_NAME = 255
"""Bytes of a file's name, on all usual file systems."""
OPENS_NO_DATASET = ("data_draw", "data_classes")
WORDS_FOR_WEIGHTS = ("hub", "package", "none")


def complaints(verb: str, config: Mapping[str, Any], folder: str, key: str) -> Iterator[str]:
    """
    Args:
        verb: the command.
        config: resolved, in plain containers, without the `hydra` node.
        folder: that the command writes its files to.
        key: where that folder was given, for the message.
    """
    if not folder:
        yield f"{key}=: must be the path of a folder"
    elif complaint := unwritable(Path(folder)):
        yield f"{key}={folder}: {complaint}"
    for name in ("cache_root", "output"):
        is_folder = verb != "report"
        if config.get(name) and (complaint := unwritable(Path(config[name]), is_folder)):
            yield f"{name}={config[name]}: {complaint}"
    if verb not in OPENS_NO_DATASET:
        for side in ("source", "target"):
            yield from datasets(config.get(side), side)
    backbone = config.get("backbone")
    goes_on = config.get("resume") not in (None, "auto")  # then all weights are in the checkpoint
    if isinstance(backbone, Mapping) and "pretrained" in backbone and not goes_on:
        yield from _weights(backbone["pretrained"])
    if verb == "predict":
        yield from _prediction(config["input"], Path(config["output"]))
    if verb == "report":
        yield from _report(config)
    if config.get("scores") and not Path(config["scores"]).exists():
        yield f"scores={config['scores']}: is not there; give a scores.json, or a folder with one"
    if verb in ("export", "data_draw"):
        yield from _occupied(config, "output" if verb == "export" else "root")


def checkpoints(config: Mapping[str, Any], multirun: bool) -> Iterator[str]:
    """Runs that are named but not there."""
    # What a run began with need not be there when it goes on.
    keys = ["resume", "checkpoint", "compare"]
    keys += ["initial"] if config.get("resume") is None else []
    for key in keys:
        value = config.get(key)
        if key == "resume" and (multirun or value == "auto"):
            continue
        for path in value if isinstance(value, list) else [value]:
            try:
                if path is not None:
                    run_folder.checkpoint_at(path, key)
            except ConfigError as error:
                yield str(error)


def unwritable(path: Path, itself: bool = True) -> str | None:
    """Why nothing can be written below a path (or to it); None where it can.

    Args:
        path: of a folder, which need not exist.
        itself: whether it must not be a file.
    """
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        return f"the name is longer than {LONGEST_NAME} bytes"
    if "\0" in str(path):
        return "a path has no NUL character"
    above = path if itself else path.parent
    while not above.exists() and above != above.parent:
        if above.is_symlink():
            return f"{above} is a link that leads nowhere"
        above = above.parent
    if not above.is_dir():
        return f"{'' if above == path else f'{above} '}is a file; give a folder"
    if not os.access(above, os.W_OK | os.X_OK):
        return f"{above} cannot be written to"
    return None


def datasets(node: Any, side: str) -> Iterator[str]:
    """Roots that are not there.

    Args:
        node: a composed `source:` or `target:`.
        side: which of them.
    """
    members = node.get("datasets") if isinstance(node, Mapping) else None
    if isinstance(members, Mapping):
        for name, member in members.items():
            yield from datasets(member, f"{side}.datasets.{name}")
        return
    root = node.get("root") if isinstance(node, Mapping) else None
    if isinstance(root, str) and not Path(root).exists():
        yield (
            f"{side}.root={root}: is not there, {_near(Path(root))}set {side}.root= or data_root= "
            "(docs/datasets.md says what lies there)"
        )


def _near(path: Path) -> str:
    """A folder beside it whose name is nearly the same."""
    try:
        beside = [name for name in os.listdir(path.parent) if name != path.name]
    except OSError:
        return ""
    near = suggest(path.name, beside)
    return near.replace("did you mean ", f"did you mean {path.parent}/") if near else ""


def _weights(origin: Any) -> Iterator[str]:
    if origin is None or origin in WORDS_FOR_WEIGHTS or Path(str(origin)).is_file():
        return
    yield (
        f"backbone.pretrained={origin}: is not there; give the path of a .pth or .safetensors "
        f"file, or one of {', '.join(WORDS_FOR_WEIGHTS)}"
    )


def _occupied(config: Mapping[str, Any], key: str) -> Iterator[str]:
    path = Path(config[key])
    if path.is_dir() and any(path.iterdir()):
        yield f"{key}={path}: is there already, and not empty; give another one, or remove it first"
    elif complaint := unwritable(path):
        yield f"{key}={path}: {complaint}"


def _prediction(wanted: str, output: Path) -> Iterator[str]:
    from uda_seg.prediction.inputs import find
    from uda_seg.prediction.store import check_folder

    logging.disable(logging.WARNING)  # remarks on the inputs come when they are read
    try:
        check_folder(output)
        find(wanted, output)
    except UserError as error:
        yield str(error)
    finally:
        logging.disable(logging.NOTSET)


def _report(config: Mapping[str, Any]) -> Iterator[str]:
    runs = config["runs"] if isinstance(config["runs"], list) else [config["runs"]]
    for pattern in map(str, runs):
        if not Path(pattern).exists() and next(glob.iglob(pattern, recursive=True), None) is None:
            yield f"runs={pattern}: is not there; give run folders, or folders of such"
    published = config["published"]
    if published and not Path(published).is_file() and published not in _names("table"):
        hint = suggest(published, _names("table"))
        yield (
            f"published={published}: is not there, neither as a file nor as a table of that name, "
            f"{hint}choose from {', '.join(_names('table'))}"
        )
    if Path(config["output"]).is_dir():
        yield f"output={config['output']}: is a folder; give a file, like report.html"


def _names(*groups: str) -> list[str]:
    """Names of the shipped files in some groups."""
    return sorted({path.stem for group in groups for path in conf_folder().glob(f"{group}/*.yaml")})
