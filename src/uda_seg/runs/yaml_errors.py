"""What is wrong with a YAML file of the user's, as one line with the file and the line in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from uda_seg.errors import suggest

RAISED = (HydraException, OmegaConfBaseException, yaml.YAMLError, ValueError, RecursionError)
"""What Hydra lets through when it puts files together."""
HINTS = {
    r"duplicate key (.+)": "the key {} stands there twice; keep one",
    r"character '\\t'": "a tab; indent with spaces",
    r"mapping values are not allowed": "wrong indentation, or text with a colon that needs quotes",
    r"expected <block end>": "wrong indentation: what belongs together begins in one column",
    r"unexpected end of stream": "a quote is opened and not closed",
    r"undefined alias": "text that begins with * needs quotes",
    r"another document": "--- begins a second document; a file holds one",
    r"expected ',' or '\]'": "a bracket [ is opened and not closed",
    r"expected ',' or '}'": "a brace { is opened and not closed",
}
"""Of PyYAML's problems to what a reader is to do."""


def explain(error: BaseException, folders: Iterable[Path]) -> str:
    """
    Args:
        error: raised while YAML files were read or put together.
        folders: with the files that it may be about, the user's own first.
    """
    if isinstance(error, yaml.MarkedYAMLError):
        return _marked(error)
    folders = list(folders)
    if isinstance(error, UnicodeDecodeError):
        wrong = next(_not_utf8(folders), None)
        return f"{wrong or 'a YAML file'}: is not UTF-8; save it in that encoding"
    if isinstance(error, RecursionError):
        return "defaults: a list leads back to its own file"
    return _of_hydra(_whole_text(error), folders)


def mistake_in(path: Path) -> str | None:
    """Why a YAML file cannot be read; None where it can, or is not there."""
    try:
        yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        return None
    except UnicodeDecodeError:
        return f"{path}: is not UTF-8; save it in that encoding"
    except yaml.YAMLError as error:
        words = explain(error, [])
        return words if str(path) in words else f"{path}{words.partition('>')[2]}"
    return None


def _marked(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem)
    mark = error.problem_mark or error.context_mark
    if "end of stream" in problem:
        mark = error.context_mark or mark
    words = problem
    for pattern, hint in HINTS.items():
        if found := re.search(pattern, problem):
            words = hint.format(*found.groups())
            break
    return f"{mark.name}, line {mark.line + 1}: {words}" if mark else words


def _not_utf8(folders: Iterable[Path]) -> Iterator[str]:
    for folder in folders:
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*/*.yaml")]):
            data = path.read_bytes()
            try:
                data.decode()
            except UnicodeDecodeError as error:
                line = data.count(b"\n", 0, error.start) + 1
                yield f"{path}, line {line}"


def _whole_text(error: BaseException) -> str:
    """The texts of an error and of what caused it."""
    lines = []
    one: BaseException | None = error
    while one is not None:
        told = [line.strip() for line in str(one).split("\n") if line.strip()]
        told = [line for line in told if "object_type" not in line and line not in lines]
        options = [number for number, line in enumerate(told) if "Available options" in line]
        if options:
            told = [told[0], f"choose from {', '.join(told[options[0] + 1 :])}"]
        lines += told[:2]
        one = one.__cause__
    lines = [line for line in lines if not any(line != other and line in other for other in lines)]
    return ": ".join(lines) or repr(error)


def _of_hydra(text: str, folders: list[Path]) -> str:
    """Hydra names configs (`source/mine`), a reader wants files; and what there is to choose."""
    if place := re.search(r"Could not override '([\w/]+)@([\w.]+)'", text):
        return _without_place(place[1], place[2], folders)
    where = re.search(r"^In '([\w/]+)': |defaults list in '([\w/]+)'", text)
    name = (where[1] or where[2]) if where else ""
    file = next((f for f in (folder / f"{name}.yaml" for folder in folders) if f.is_file()), None)
    lost = re.search(r"Could not (?:load|find) '([\w/]+)/([^'/]+)'", text)
    if lost and (file is None or file.parent == folders[-1]):
        file = next(_with_entry(folders[:-1], lost[1], lost[2]), file)
    if file is not None and lost:
        known = sorted({p.stem for folder in folders for p in folder.glob(f"{lost[1]}/*.yaml")})
        line = _line_with(file, lost[2])
        return (
            f"{file}{line}: defaults: there is no {lost[1]}/{lost[2]}, "
            f"{suggest(lost[2], known)}choose from {', '.join(known)}"
        )
    if file is not None and "must be a list" in text:
        return f"{file}{_line_with(file, 'defaults')}: defaults: must be a list, like [folder]"
    if "Cannot merge" in text:
        text = "a list stands where a mapping belongs, or the other way round"
        text = f"In '{name}': {text}" if where else text
    return text if file is None else f"{file}: {text[where.end() :] if where else text}"


def _without_place(group: str, key: str, folders: Iterable[Path]) -> str:
    """A choice of a group was given for a key where what is chosen has none."""
    owner, _, name = key.rpartition(".")
    entry = f"/{group}@{name}:"
    files = sorted(file for folder in folders for file in (folder / owner).glob("*.yaml"))
    able = [file.stem for file in files if entry in file.read_text(encoding="utf-8")]
    cure = f"; add {owner}={able[0]}" if owner and able else ""
    return f"{group}@{key}: what is chosen has no {group} at {key}{cure}"


def _with_entry(folders: Iterable[Path], group: str, choice: str) -> Iterator[Path]:
    """Files whose defaults name a choice, as in `override /trainer: gpus`."""
    for path in (path for folder in folders for path in sorted(folder.glob("*/*.yaml"))):
        text = path.read_text(encoding="utf-8", errors="replace")
        if re.search(rf"\b{re.escape(group)}\b[^\n]*: *{re.escape(choice)}\b", text):
            yield path


def _line_with(path: Path, word: str) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    numbers = [n for n, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(word)}\b", line)]
    return f", line {numbers[0]}" if numbers else ""


def not_mappings(choices: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Of chosen files in a folder of the user's, those that hold no mapping, which Hydra takes.

    Args:
        choices: group to what was chosen.
        folder: with a folder for each group.
    """
    for group, choice in choices.items():
        path = folder / group.partition("@")[0] / f"{choice}.yaml"
        if path.is_file():
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if not isinstance(content, Mapping) and not (content is None and _header(path)):
                what = "nothing" if content is None else "no keys"
                yield f"{path}: holds {what}; a file of {group} holds lines of `key: value`"


def _header(path: Path) -> bool:
    return "@package" in path.read_text(encoding="utf-8")
