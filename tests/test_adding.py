"""docs/adding.md: its examples run as they stand, from a folder of the user's own."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Outcome
from torch import nn

from uda_seg.data.files.reading import read_ids
from uda_seg.errors import ConfigError
from uda_seg.evaluation import scores

PAGE = Path(__file__).parents[1] / "docs" / "adding.md"
Call = Callable[[str], tuple[int, str]]
FILES = re.findall(r"`(mine/[\w/.]+)`[^\n]*:\n\n```\w+\n(.*?)```", PAGE.read_text(), re.S)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name, text in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    monkeypatch.setenv("UDA_SEG_TRUST", "mine")
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m` does
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


@pytest.fixture
def call(command_line: Callable[..., Outcome]) -> Call:
    """Its exit code, and what it said on stderr."""

    def call(words: str) -> tuple[int, str]:
        outcome = command_line(*words.split(), "--config-dir", "mine")
        return outcome.returncode, outcome.stderr

    return call


def test_the_page_has_six_files() -> None:
    assert [name for name, _ in FILES] == [
        "mine/minimum_entropy.py",
        "mine/method/minimum_entropy.yaml",
        "mine/railsem19.py",
        "mine/target/railsem19.yaml",
        "mine/plain_vit.py",
        "mine/backbone/plain_vit.yaml",
    ]


def test_method_dataset_and_backbone_of_ones_own_in_one_run(call: Call) -> None:
    code, errors = call("data draw layout=railsem19 root=drawn/railsem19 length=[3,1] size=[36,50]")
    assert code == 0, errors
    label = read_ids(Path("drawn/railsem19/uint8/rs19_val/rs00000.png"))
    assert label.shape == (36, 50)
    assert set(np.unique(label)) <= {*range(19), 255}

    code, errors = call(
        "method=minimum_entropy target=railsem19 data_root=drawn target.size=[36,50] "
        "source.size=[36,50] backbone=plain_vit backbone.transformer=test_vit "
        "backbone.pretrained=none trainer=debug trainer.steps=2 hydra.run.dir=run"
    )
    assert code == 0, errors
    found = scores.load(Path("run/scores.json"))
    assert found["steps"] == 2
    assert found["method"] == {"name": "minimum_entropy", "label": "MinEnt", "lambda_ent": 0.001}
    assert "tram-track" not in found["classes"]
    assert "loss/entropy" in Path("run/metrics.csv").read_text()


def test_help_lists_what_is_ones_own(command_line: Callable[..., Outcome]) -> None:
    text = command_line("train", "--help", "--config-dir", "mine").stdout
    assert "minimum_entropy" in text
    assert "railsem19" in text
    assert "method=minimum_entropy method.lambda_ent=0.01 # heavier" in text


def test_what_is_not_trusted_is_refused_with_the_cure(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UDA_SEG_TRUST", "")
    code, errors = call("method=minimum_entropy backbone=tiny trainer=debug")
    assert code == 2
    assert "set UDA_SEG_TRUST=mine" in errors
    assert "Traceback" not in errors


def test_a_backbone_without_an_auxiliary_head_is_named(call: Call) -> None:
    code, errors = call(
        "method=adaptseg backbone=plain_vit source.length.train=4 "
        "backbone.transformer=test_vit backbone.pretrained=none trainer=debug"
    )
    assert code == 2, errors
    assert "no auxiliary head; choose one that has, or set the weights of its losses" in errors


def test_a_prediction_says_which_head_is_missing(network: nn.Module) -> None:
    prediction = network(torch.rand(1, 3, 16, 16))
    prediction.depth = None
    with pytest.raises(ConfigError, match="no depth head; choose one that has, or do without"):
        prediction.required("depth", "do without")
