"""Tiny everything: a network of a few thousand weights, drawn datasets in their real layouts."""

import gc
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from kept_configs import _configs_are_kept  # noqa: F401 (a fixture of all tests)
from omegaconf import DictConfig, OmegaConf, open_dict
from PIL import Image

from uda_seg.batch import IGNORE, Batch, Source, Target
from uda_seg.cli.command_line import check
from uda_seg.config import locate, shipped

torch.set_num_threads(1)  # on a shared 2-core machine: seconds instead of minutes
for device in (torch.cuda, torch.mtia, torch.xpu):  # which note the stack at every seed, unused
    device.traceback = SimpleNamespace(format_stack=list)  # type: ignore[attr-defined]

CLASSES, HEIGHT, WIDTH = 4, 64, 128


gc.disable()  # what is imported while tests are collected stays


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # or some libraries complain of what they could not clean up


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test may write into the checkout or ask an account."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")


class Outcome(NamedTuple):
    """Of a command line: what a shell would see."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs `uda-seg WORDS` within this process: an interpreter with torch takes 4 s to start."""
    from uda_seg.cli.main import main

    def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["uda-seg", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        said = capfd.readouterr()
        return Outcome(int(stop.value.code or 0), said.out, said.err)

    for name in ("LOCAL_RANK", "UDA_SEG_RUN_FOLDER"):
        monkeypatch.setenv(name, "0")  # so that what a test leaves there is undone
        monkeypatch.delenv(name)
    return run


@pytest.fixture
def network() -> torch.nn.Module:
    return make_network(depth_head=False)


def make_network(depth_head: bool) -> torch.nn.Module:
    from uda_seg.networks.tiny import TinyNetwork

    torch.manual_seed(0)
    network = TinyNetwork(
        classes=CLASSES,
        width=8,
        auxiliary=True,
        batch_norm="train",
        mean=[0.5] * 3,
        std=[0.25] * 3,
        head_factor=1.0,
        depth_head=depth_head,
    )
    network.class_names = ["road", "car", "sky", "person"]
    return network


def make_batch(size: int = 2, seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> Batch:
    """Blocks of four colors; the target's colors are the source's negative."""
    generator = torch.Generator().manual_seed(seed)

    def blocks() -> torch.Tensor:
        label = torch.randint(CLASSES, (size, height // 16, width // 16), generator=generator)
        return label.repeat_interleave(16, 1).repeat_interleave(16, 2)

    def paint(label: torch.Tensor) -> torch.Tensor:
        grey = label.float() / CLASSES
        return torch.stack([grey, 1 - grey, grey**2], 1)

    label = blocks()
    image, other = paint(label), 1 - paint(blocks())
    label[:, :2] = IGNORE
    depth = 2 + 50 * torch.rand(size, 1, height, width, generator=generator)
    depth[:, :, -3:] = 0  # not known
    return Batch(Source(image, label, depth), Target(other))


@pytest.fixture
def batch() -> Batch:
    return make_batch()


def compose(verb: str, overrides: list[str]) -> dict[str, Any]:
    """A checked config, as a command gets it."""
    plain: Any = OmegaConf.to_container(without_hydra(check(verb, overrides).config), resolve=True)
    return plain


def without_hydra(config: DictConfig) -> DictConfig:
    with open_dict(config):
        config.pop("hydra", None)
    return config


def write_camvid(
    root: Path, count: int = 3, size: tuple[int, int] = (48, 64), void: bool = True
) -> Path:
    """CamVid's layout: {train,val}/NNN.png and {train,val}annot/NNN.png."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in (split, f"{split}annot"):
            (root / kind).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            label = (
                random.integers(0, 11 + void, (size[0] // 8, size[1] // 8))
                .repeat(8, 0)
                .repeat(8, 1)
            )
            image = random.integers(0, 256, (*size, 3))
            Image.fromarray(image.astype(np.uint8)).save(root / split / f"{number:03}.png")
            Image.fromarray(label.astype(np.uint8)).save(
                root / f"{split}annot" / f"{number:03}.png"
            )
    return root


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return write_camvid(tmp_path / "camvid")


def folder_keys() -> dict[str, Any]:
    """What the YAML of `folder` gives its constructor, but for the root."""
    node = shipped("source", "folder")
    taken = inspect.signature(locate(node["_target_"])).parameters
    return {key: node[key] for key in node if key in taken and key != "root"}
