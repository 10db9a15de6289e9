"""docs/adding.md: its examples run as they stand, from a folder of the user's own."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from uda_seg.data.files import read_ids
from uda_seg.errors import ConfigError
from uda_seg.evaluation import scores

PAGE = Path(__file__).parents[1] / "docs" / "adding.md"
FILES = re.findall(r"`(mine/[\w/.]+)`[^\n]*:\n\n```\w+\n(.*?)```", PAGE.read_text(), re.S)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    monkeypatch.setenv("UDA_SEG_TRUST", "mine")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def call(words: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "uda_seg", *words.split(), "--config-dir", "mine"]
    return subprocess.run(line, capture_output=True, text=True, timeout=300)


def test_the_page_has_six_files() -> None:
    assert [name for name, _ in FILES] == [
        "mine/minimum_entropy.py",
        "mine/method/minimum_entropy.yaml",
        "mine/railsem19.py",
        "mine/target/railsem19.yaml",
        "mine/plain_vit.py",
        "mine/backbone/plain_vit.yaml",
    ]


def test_method_dataset_and_backbone_of_ones_own_in_one_run() -> None:
    drawn = call("data draw layout=railsem19 root=drawn/railsem19 length=[3,1] size=[36,50]")
    assert drawn.returncode == 0, drawn.stderr
    label = read_ids(Path("drawn/railsem19/uint8/rs19_val/rs00000.png"))
    assert label.shape == (36, 50)
    assert set(np.unique(label)) <= {*range(19), 255}

    run = call(
        "method=minimum_entropy target=railsem19 data_root=drawn target.size=[36,50] "
        "source.size=[36,50] backbone=plain_vit backbone.transformer=vit_tiny_patch16_224 "
        "backbone.pretrained=none trainer=debug trainer.steps=2 hydra.run.dir=run"
    )
    assert run.returncode == 0, run.stderr
    found = scores.load(Path("run/scores.json"))
    assert found["steps"] == 2
    assert "tram-track" not in found["classes"]
    assert "loss/entropy" in Path("run/metrics.csv").read_text()


def test_what_is_not_trusted_is_refused_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UDA_SEG_TRUST", "")
    answer = call("method=minimum_entropy backbone=tiny trainer=debug")
    assert answer.returncode == 2
    assert "set UDA_SEG_TRUST=mine" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_backbone_without_an_auxiliary_head_is_named() -> None:
    answer = call(
        "method=adaptseg method.levels=multi backbone=plain_vit source.length.train=4 "
        "backbone.transformer=vit_tiny_patch16_224 backbone.pretrained=none trainer=debug"
    )
    assert answer.returncode == 2, answer.stderr
    assert "no auxiliary head; set method.levels=single" in answer.stderr


def test_a_prediction_says_which_head_is_missing(network: nn.Module) -> None:
    prediction = network(torch.rand(1, 3, 16, 16))
    prediction.depth = None
    with pytest.raises(ConfigError, match=r"no depth head; set method\.geometry=false"):
        prediction.required("depth")
