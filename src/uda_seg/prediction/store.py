"""The folder predictions are written to: what it holds, and what a second start may leave out.

`prediction.json` says what made it. `predictions.jsonl` has a line for every picture and video
whose files are all there; a line is added when the last of them is whole.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from uda_seg.data.datasets.video import VIDEOS
from uda_seg.data.files.reading import PICTURES
from uda_seg.errors import ConfigError, DataError
from uda_seg.prediction.inputs import Input
from uda_seg.runs import files, lock

MADE_BY, FINISHED = "prediction.json", "predictions.jsonl"
ENDINGS = {"ids": ".mkv"}
"""Endings of a kind's videos; the others are .mp4."""


class OutputError(DataError):
    """What is predicted cannot be written: the next one could not be either."""


class Store:
    """
    Args:
        folder: absent, empty, or written by an earlier `predict`.
        must_match: settings that all files in the folder share.
        also: what else `prediction.json` tells.
        overwrite: whatever was predicted before does not count.

    Raises:
        ConfigError: there is something else in the folder, or predictions of other settings.
    """

    def __init__(
        self, folder: Path, must_match: Mapping[str, Any], also: Mapping[str, Any], overwrite: bool
    ) -> None:
        self.folder = folder
        self.lines: dict[str, dict[str, Any]] = {}
        check_folder(folder)
        if (folder / MADE_BY).is_file() and not overwrite:
            _check_same(folder, must_match)
            self.lines = _read_lines(folder / FINISHED)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # As a whole: a stop may have left half a line.
            files.write_text(folder / FINISHED, "".join(map(_text, self.lines.values())))
            files.write_json(folder / MADE_BY, {"same": dict(must_match), **also})

    def path(self, kind: str, item: Input) -> Path:
        ending = ENDINGS.get(kind, ".mp4") if item.is_video else ".png"
        return self.folder / kind / f"{item.name}{ending}"

    def plan(self, items: Sequence[Input], kinds: Sequence[str]) -> list[Input]:
        """Those of which some kind is not there yet.

        Raises:
            ConfigError: an input would be overwritten, or another input's predictions.
        """
        own = {item.path.resolve() for item in items}
        for item in items:
            for path in (self.path(kind, item) for kind in kinds):
                if path.resolve() in own:
                    raise ConfigError(
                        f"output={self.folder}: {path} is an input, and would be overwritten; "
                        "give another output="
                    )
            line = self.lines.get(self._key(item))
            if line is not None and line["input"] != str(item.path.resolve()):
                raise ConfigError(
                    f"output={self.folder}: holds predictions of {line['input']} under the name of "
                    f"{item.path}; give another output=, or overwrite=true"
                )
        return [item for item in items if not self._has(item, kinds)]

    def finish(self, item: Input, kinds: Sequence[str]) -> None:
        """To be called when all files of an input are whole."""
        line = {"name": self._key(item), **_identity(item), "kinds": sorted(kinds)}
        before = self.lines.get(self._key(item), {})
        if before | _identity(item) == before:
            line["kinds"] = sorted({*kinds, *before["kinds"]})
        self.lines[self._key(item)] = line
        with writing(self.folder), open(self.folder / FINISHED, "a", encoding="utf-8") as file:
            file.write(_text(line))

    def _has(self, item: Input, kinds: Sequence[str]) -> bool:
        line = self.lines.get(self._key(item))
        return (
            line is not None
            and line | _identity(item) == line
            and set(kinds) <= set(line["kinds"])
            and all(self.path(kind, item).is_file() for kind in kinds)
        )

    @staticmethod
    def _key(item: Input) -> str:
        return f"{item.name}{'.mp4' if item.is_video else '.png'}"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Says what a full or read-only disk is about."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"{path}: cannot be written ({reason}); give another output=") from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time predicts into a folder.

    Raises:
        ConfigError: another one does.
    """
    with writing(folder):
        lock.lock(folder, key="output")
    try:
        yield
    finally:
        lock.unlock(folder)


def check_folder(folder: Path) -> None:
    """
    Raises:
        ConfigError: it is no folder, or one that predictions do not belong in.
    """
    if folder.is_file() or (not folder.exists() and folder.suffix.lower() in (*PICTURES, *VIDEOS)):
        raise ConfigError(
            f"output={folder}: is a file's name; give a folder, which will hold a folder for each "
            "kind of picture"
        )
    others = (
        (path for path in folder.iterdir() if path.name != lock.NAME) if folder.is_dir() else ()
    )
    if any(others) and not (folder / MADE_BY).is_file():
        raise ConfigError(
            f"output={folder}: holds files that predict did not write; give a new or empty folder"
        )


def _check_same(folder: Path, must_match: Mapping[str, Any]) -> None:
    stored = files.stored_json(folder / MADE_BY).get("same")
    if not isinstance(stored, dict):
        raise ConfigError(
            f"output={folder}: its {MADE_BY} cannot be read; give another output=, or "
            "overwrite=true"
        )
    now = json.loads(json.dumps(must_match))  # a tuple is a list there
    told = [_difference(key, stored.get(key), now[key]) for key in now]
    if any(told):
        raise ConfigError(
            f"output={folder}: holds predictions of other settings "
            f"({'; '.join(filter(None, told))}); give another output=, or overwrite=true"
        )


def _difference(key: str, before: Any, now: Any) -> str:
    """In words; nothing where there is none. A file is what it holds, not where it lies."""
    if (
        isinstance(before, Mapping)
        and isinstance(now, Mapping)
        and {"path", "sha256"} <= now.keys()
    ):
        if before.get("sha256") == now["sha256"]:
            return ""
        if before.get("path") == now["path"]:
            return f"{key} {now['path']} has changed since"
    if before == now:
        return ""
    return f"{key} was {_show(before)}, is {_show(now)}"


def _show(value: Any) -> str:
    if isinstance(value, Mapping) and "path" in value:
        return str(value["path"])
    return json.dumps(value)


def _read_lines(path: Path) -> dict[str, dict[str, Any]]:
    lines = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            line = json.loads(text)
            lines[line["name"]] = line
        except (ValueError, KeyError, TypeError):
            continue  # cut off by a stop: that input is predicted again
    return lines


def _identity(item: Input) -> dict[str, Any]:
    stat = item.path.stat()
    return {
        "input": str(item.path.resolve()),
        "bytes": stat.st_size,
        "modified": stat.st_mtime_ns,
    }


def _text(line: Mapping[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False) + "\n"
