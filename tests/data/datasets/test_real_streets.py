"""Rendered streets to CamVid, on genuine files, when UDA_SEG_REAL_DATA names their folder."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Outcome

from uda_seg.data.datasets.classes import CITYSCAPES, SPACES
from uda_seg.evaluation import scores

pytestmark = pytest.mark.real


def test_rendered_streets_to_camvid_run_without_a_word(
    command_line: Callable[..., Outcome],
) -> None:
    root = Path(os.environ.get("UDA_SEG_REAL_DATA", "")) / "rendered"
    if "UDA_SEG_REAL_DATA" not in os.environ or not root.is_dir():
        pytest.skip("genuine data: set UDA_SEG_REAL_DATA to the folder that holds rendered/")
    names = ", ".join(f"{number}: {name}" for number, name in enumerate(CITYSCAPES))
    outcome = command_line(
        "source=folder", f"source.root={root}", "source.images=images", "source.labels=labels",
        "source.train_split=all", "source.val_split=all", f"source.classes={{{names}}}",
        "source.name=rendered", "source.size=[60,80]", "target=camvid",
        f"target.root={root.parent / 'camvid'}", "target.size=[60,80]", "backbone=tiny",
        "method=adaptive_bn", "trainer=debug", "trainer.steps=2", "trainer.panels=0",
        "trainer.limit_val_images=null", "logger=none", "hydra.run.dir=run",
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    for text in (outcome.stdout, outcome.stderr):
        assert "no label that was opened" not in text
        assert "look like" not in text
    found = scores.load(Path("run/scores.json"))
    assert tuple(found["classes"]) == tuple(SPACES["camvid_11"])
    assert found["steps"] == 2
