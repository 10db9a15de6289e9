"""Checkpoint files: whether one can be used, and what its run was."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uda_seg.errors import WeightsError

PREFIX = "method.network."
"""Of the segmentation network's keys in a checkpoint."""

TO_CONTINUE = ("optimizer_states", "lr_schedulers", "loops", "callbacks")
"""What a run needs besides weights to go on."""


def read_checkpoint(path: Path, key: str = "checkpoint") -> dict[str, Any]:
    """The content of a run's checkpoint; tensors stay on disk until they are used.

    Args:
        path: of the file.
        key: of the config, for the message.

    Raises:
        WeightsError: it is damaged, or no checkpoint of this package.
    """
    content = read_tensors(path, key)
    facts = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(facts, Mapping) or not isinstance(facts.get("config"), Mapping):
        raise WeightsError(
            f"{key}={path}: is no checkpoint of a run of uda_seg; {_described(content)}"
        )
    needed = ("state_dict", "global_step")
    missing = [name for name in needed if name not in content]
    missing += [name for name in ("classes",) if name not in facts]
    if missing:
        raise WeightsError(f"{key}={path}: is no complete checkpoint: {', '.join(missing)} missing")
    return dict(content)


def read_tensors(path: Path, key: str) -> Any:
    """What torch finds in a file, whoever wrote it.

    Raises:
        WeightsError: nothing that can be used.
    """
    start = _start(path, key)
    kind = _no_weights(start, path)
    if kind:
        raise WeightsError(f"{key}={path}: {kind}")
    try:
        if _is_safetensors(start, path):
            from safetensors.torch import load_file

            return load_file(path)
        # Only archives can be mapped into memory; torch before 1.6 wrote none.
        archive = start.startswith(b"PK")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # torch raises whatever the bytes lead it to
        raise WeightsError(f"{key}={path}: {_reason(start, path, error)}") from error


def network_state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the segmentation network of a checkpoint of ours."""
    state = content["state_dict"]
    return {k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)}


def to_continue(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint of a run folder that a run can go on from.

    Returns:
        Its path, or None; and a complaint about each newer one that cannot be used.
    """
    folder = folder / "checkpoints"
    usable, complaints = list[tuple[int, bool, Path]](), list[str]()
    last = folder / "last.ckpt"
    paths = sorted(p for p in folder.glob("*.ckpt") if p.is_file() and not p.name.startswith("."))
    for path in [p for p in (last,) if p in paths] + [p for p in paths if p != last]:
        try:
            content = continuable(path, "resume")
        except WeightsError as error:
            complaints.append(str(error))
            continue
        usable.append((int(content["global_step"]), path == last, path))
        if path == last:
            break  # the newest by its nature
    return max(usable, default=(0, False, None))[2], complaints


def continuable(path: Path, key: str) -> dict[str, Any]:
    """As `read_checkpoint`, for one that also holds optimizers and counters."""
    content = read_checkpoint(path, key)
    missing = [name for name in TO_CONTINUE if name not in content]
    if missing:
        raise WeightsError(
            f"{key}={path}: holds weights, but not what a run needs to go on "
            f"({', '.join(missing)}); start a new run from it with initial="
        )
    return content


def _start(path: Path, key: str) -> bytes:
    if path.is_dir():
        raise WeightsError(f"{key}={path}: is a folder, not a file")
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise WeightsError(f"{key}={path}: cannot be read ({error.strerror})") from error


def _no_weights(start: bytes, path: Path) -> str | None:
    """What a file is that holds no weights for sure."""
    if not start:
        return "is empty (0 bytes); it was not written to its end, take another one"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
    if not start.strip(b"\0"):
        return "begins with zeros; it was not written to its end, take another one"
    try:
        text = start[:400].decode()
    except UnicodeDecodeError:
        return None
    if all(sign.isprintable() or sign.isspace() for sign in text):
        page = "<html" in text.lower() or "<!doctype" in text.lower()
        return "is a web page, a download that failed" if page else "is a text file, no checkpoint"
    return None


def _is_safetensors(start: bytes, path: Path) -> bool:
    return path.suffix == ".safetensors" or start[8:10] in (b'{"', b"{ ")


def _reason(start: bytes, path: Path, error: Exception) -> str:
    words = str(error)
    size = path.stat().st_size
    if any(f"{kind} " in words for kind in ("Unsupported global:", "Unsupported class")):
        return (
            "holds Python objects besides tensors, which are not loaded, since they could run "
            "any code; only checkpoints of uda_seg and files of plain tensors can be used"
        )
    if start.startswith(b"PK") or _is_safetensors(start, path):
        return f"is damaged or cut off ({size:,} bytes); take another one, or copy it again"
    return f"is no checkpoint ({size:,} bytes that torch cannot read)"


def _described(content: Any) -> str:
    """What somebody else's file holds, and what it may be good for."""
    state = plain_state(content)
    if not state:
        return "it holds no weights"
    names = list(state)
    shown = ", ".join(names[:2]) + (", …" if len(names) > 2 else "")
    return (
        f"it holds {len(names)} tensors ({shown}). Weights of an encoder are taken by "
        f"backbone.pretrained=FILE, those of a whole network of ours by initial=FILE, in training"
    )


def plain_state(content: Any) -> dict[str, Tensor]:
    """Named tensors of a foreign file, out of whatever it wraps them in; empty without any."""
    for key in ("state_dict", "model", "model_state"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        return {}
    found = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    return {key.removeprefix("module."): value for key, value in found.items()}
