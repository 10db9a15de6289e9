"""Mappings whose keys are the user's own are replaced from the command line, never merged."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from uda_seg.cli.command_line import Checked, check
from uda_seg.config import conf_folder
from uda_seg.errors import ConfigError
from uda_seg.runs.trained import evaluation_config

YAML = """defaults: [folder, _self_]
name: mine
root: {root}
classes: {{0: background, 1: road}}
void: {{254: border}}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "source").mkdir()
    (folder / "source/mine.yaml").write_text(YAML.format(root=folder))
    return folder


def checked(own: Path, *lines: str, multirun: bool = False) -> Checked:
    return check("train", ["source=mine", *lines], multirun, own)


def by_hydra(own: Path, result: Checked) -> dict:
    """What a run reads."""
    path = f"hydra.searchpath=['file://{own}']"
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        source = compose("train", overrides=[*result.overrides, path]).source
    return {
        key: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in OmegaConf.to_container(source).items()
        if key in ("classes", "void")
    }


@pytest.mark.parametrize(
    ("lines", "classes", "void"),
    [
        (
            ["source.classes={0: background, 255: road}", "source.void={}"],
            {"0": "background", "255": "road"},
            {},
        ),
        (["source.classes={7: road}", "source.void=[255]"], {"7": "road"}, [255]),
        (["source.void=null"], {"0": "background", "1": "road"}, None),
        (
            ["+source.classes.2=sky"],
            {"0": "background", "1": "road", "2": "sky"},
            {"254": "border"},
        ),
    ],
)
def test_a_mapping_is_replaced_and_a_key_in_it_added(own, lines, classes, void) -> None:
    result = checked(own, *lines)
    assert by_hydra(own, result) == {"classes": classes, "void": void}
    again = checked(own, *[line for line in result.overrides if line != "source=mine"])
    assert by_hydra(own, again) == {"classes": classes, "void": void}, "as overrides.txt has it"


def test_a_sweep_replaces_it_in_every_job(own: Path) -> None:
    line = "source.classes={0: a, 255: road},{3: b}"
    assert checked(own, line, multirun=True).overrides[-2:] == ["source.classes=null", f"++{line}"]


def test_what_is_no_mapping_is_refused(own: Path) -> None:
    with pytest.raises(ConfigError, match=r"source.classes=\[a\]: must be a mapping"):
        checked(own, "source.classes=[a]")


def test_it_is_replaced_in_a_target_that_a_checkpoint_tells(tmp_path: Path) -> None:
    """`evaluate` and the like: the run's own target, with other masks."""
    stored = {"name": "mine", "classes": {"0": "background", "1": "road"}, "void": None}
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    config = {"source": stored, "target": stored, "inference": {"mode": "whole"}}
    told = {"config": config, "classes": []}
    content = {"state_dict": {}, "global_step": 1, "hyper_parameters": told}
    torch.save(content, run / "checkpoints" / "last.ckpt")
    (run / "config.yaml").write_text(OmegaConf.to_yaml(config))
    for line, classes in (
        ("target.classes={0: background, 255: 'a road'}", {"0": "background", "255": "a road"}),
        ("target.classes.2=sky", {"0": "background", "1": "road", "2": "sky"}),
    ):
        result = check("evaluate", [f"checkpoint={run}", line])
        with initialize_config_dir(str(conf_folder()), version_base="1.3"):
            composed = compose("evaluate", overrides=result.overrides)
        found = evaluation_config(composed)["target"]
        assert {str(k): v for k, v in found["classes"].items()} == classes
        assert found["name"] == "mine"
