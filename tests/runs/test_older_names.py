"""Whoever meets an older name is told the new one, and nothing is read by it."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError
from uda_seg.runs.continuation import continuation
from uda_seg.runs.older_names import key_now, refuse, renamed, target_now
from uda_seg.runs.trained import config_of

OLDER: dict[str, Any] = {
    "method": {"critic": {"width": 4}, "weights": {"critic_main": 1.0}},
    "source": {"_target_": "uda_seg.data.gta5.GTA5", "augment": {"colour": 0.0}},
    "backbone": {},
}


@pytest.mark.parametrize(
    ("older", "now"),
    [
        ("method.critic.width", "method.discriminator.width"),
        ("source.augment.colour", "source.augment.color"),
        ("method.logic", "method.logic_threshold"),
        ("method.levels", None),
        ("method.critics", None),
    ],
)
def test_keys(older: str, now: str | None) -> None:
    assert key_now(older) == now


@pytest.mark.parametrize(
    ("older", "now"),
    [
        ("uda_seg.data.camvid.CamVid32", "uda_seg.data.datasets.camvid.CamVid32"),
        ("uda_seg.data.several.Several", "uda_seg.data.datasets.merged.MergedDataset"),
        ("uda_seg.parts.pooling.RegionPooling", "uda_seg.components.pooling.RegionPooling"),
        ("uda_seg.loggers.csv", "uda_seg.training.loggers.csv"),
        ("uda_seg.data.toytown.ToyTown", None),
        ("uda_seg.data.camvit.CamVid", None),
    ],
)
def test_targets(older: str, now: str | None) -> None:
    assert target_now(older) == now


def test_no_shipped_file_has_an_older_name() -> None:
    files = sorted(conf_folder().rglob("*.yaml"))
    assert len(files) > 100
    assert [p.name for p in files if dict(renamed(yaml.safe_load(p.read_text())))] == []


def test_a_config_of_this_version_is_not_refused() -> None:
    refuse({"method": {"discriminator": {"width": 4}}}, Path("run"), "")


def test_an_older_run_folder_is_refused_with_what_its_names_are_now(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(OLDER))
    with pytest.raises(ConfigError) as refused:
        config_of(tmp_path / "checkpoints" / "last.ckpt")
    for words in (
        f"{tmp_path}/config.yaml: was made by an earlier version",
        "critic is discriminator now", "critic_main is discriminator_main now",
        "uda_seg.data.gta5.GTA5 is uda_seg.data.datasets.gta5.GTA5 now", "colour is color now",
        "train it again, or write what they are called now into",
    ):  # fmt: skip
        assert words in str(refused.value)


def test_an_older_run_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    parts = dict.fromkeys(("optimizer_states", "lr_schedulers", "loops", "callbacks"), 0)
    facts = {"config": OLDER, "classes": ["road"]}
    torch.save({**parts, "state_dict": {}, "global_step": 2, "hyper_parameters": facts}, path)
    with pytest.raises(ConfigError, match="critic is discriminator now") as refused:
        continuation({"resume": str(path), "trainer": {"steps": 4}}, None)
    assert f"initial={path}" in str(refused.value)
