"""Rounds in whole runs: begun once each, resumed in the middle, the same in two processes."""

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from conftest import compose
from test_runs import as_good_as_equal, in_two_processes

from uda_seg.commands import train
from uda_seg.methods.cbst import CBST
from uda_seg.methods.rpt import RPT
from uda_seg.training.adaptation import Adaptation

COMMON = [
    "backbone=tiny", "source=toytown", "target=toytown_camera",
    "logger=none", "source.size=[32,64]", "target.size=[32,64]",
    "source.length={train: 4, val: 2}", "target.length={train: 5, val: 2}",
    "trainer.workers=0", "trainer.panels=0", "trainer.progress=false", "trainer.steps=12",
    "trainer.validate_every=6",
]  # fmt: skip
SMALL = [
    "method=rpt_plain", "method.cluster_count=8", "method.order.hidden=8", "method.order.columns=8",
    "superpixels.segments=16", *COMMON, "method.first_round=0.25", "method.patch_share=0.3",
    "method.cluster_share=0.3",
]  # fmt: skip
RANKS = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.batch_size=2"]
BALANCED = ["method=cbst", *COMMON, "method.first_round=0.25"]


def run(folder: Path, *more: str, own: list[str] = SMALL) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    words = [*own, "trainer=cpu", "trainer.batch_size=2", *more]
    train.run(compose("train", words), folder)
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def same(ours: Any, theirs: Any) -> None:
    if isinstance(ours, torch.Tensor):
        assert torch.equal(ours, theirs)
    elif isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            same(ours[key], theirs[key])
    else:
        assert ours == theirs


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int, bool]]:
    """What each round began with: its number, the images it saw, how many of these differ, whether
    in training mode.
    """
    found: list[tuple[int, int, int, bool]] = []
    for kind in (RPT, CBST):

        def begin(method: Any, target_images: Any, original: Any = kind.start_round) -> None:
            seen = [float(one.sum()) for images in target_images for one in images.image]
            found.append((method.round, len(seen), len(set(seen)), method.network.training))
            original(method, target_images)

        monkeypatch.setattr(kind, "start_round", begin)
    return found


class KilledError(Exception):
    pass


@pytest.mark.parametrize("own", [SMALL, BALANCED], ids=["rpt", "cbst"])
def test_every_round_sees_all_images_once_and_a_killed_run_does_not_look_again(
    own: list[str], tmp_path: Path, begun: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = run(tmp_path / "straight", "trainer.checkpoint_every=5", own=own)
    assert begun == [(number, 5, 5, False) for number in (1, 2, 3)]
    begun.clear()
    original = Adaptation.training_step

    def dies(module: Any, batch: Any, batch_idx: int) -> None:
        if module.global_step == 8:
            raise KilledError
        original(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Adaptation, "training_step", dies)
        with pytest.raises(KilledError):
            run(tmp_path / "killed", "trainer.checkpoint_every=5", own=own)
    stored = torch.load(tmp_path / "killed" / "checkpoints" / "last.ckpt", weights_only=True)
    assert stored["state_dict"]["method._extra_state"]["round"] == 1
    assert [number for number, *_ in begun] == [1, 2]
    begun.clear()
    words = ["trainer.checkpoint_every=5", f"resume={tmp_path / 'killed'}"]
    resumed = run(tmp_path / "killed", *words, own=own)
    assert [number for number, *_ in begun] == [2, 3], "round 1 was in the checkpoint"
    for part in ("state_dict", "optimizer_states"):
        for ours, theirs in zip(
            *(x[part] if part == "optimizer_states" else [x[part]] for x in (straight, resumed)),
            strict=True,
        ):
            same(ours, theirs)


def test_the_base_is_what_trains_before_the_first_round(tmp_path: Path) -> None:
    """With all rounds after the end, rpt_plain's network is the control's."""
    words = ["method.first_round=1", "trainer.checkpoint_every=6"]
    ours = run(tmp_path / "rpt", *words)["state_dict"]
    control = [word for word in SMALL if "method" not in word and "superpixels" not in word]
    (tmp_path / "control").mkdir()
    words = [*control, "method=adaptive_bn", "trainer=cpu", "trainer.batch_size=2"]
    train.run(compose("train", words), tmp_path / "control")
    theirs = torch.load(tmp_path / "control" / "checkpoints" / "last.ckpt", weights_only=True)
    for name, weight in theirs["state_dict"].items():
        assert torch.equal(weight, ours[name]), name


def test_panels_show_pseudo_labels(tmp_path: Path) -> None:
    run(tmp_path / "run", "trainer.panels=2")
    panel = cv2.imread(str(tmp_path / "run" / "panels" / "step_000006.png"))
    columns = 3 + 6  # training image, superpixels, clusters, three kinds of pseudo-labels
    assert panel.shape[1] == columns * 64 + (columns - 1) * 4


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rpt_plain", "rpt"])
def test_two_processes_agree_with_one(method: str, tmp_path: Path) -> None:
    """Both look at their share; together they decide what one decides that looks at all."""
    still = ["backbone.optimizer.lr=0", "backbone.batch_norm=frozen", "trainer.checkpoint_every=6"]
    own = [f"method={method}", *SMALL[1:], "method.optimizers.order.lr=0"]
    own += ["method.order.columns=4"]
    one = run(tmp_path / "one", *still, own=own)
    two = in_two_processes(tmp_path / "two", [*own, *still, *RANKS, "trainer.accumulate=2"])
    ours, theirs = (state["state_dict"] for state in (one, two))
    extra = [state["method._extra_state"] for state in (ours, theirs)]
    assert extra[0]["round"] == extra[1]["round"] == 3
    for name, table in extra[0]["pseudo_labels"].items():
        assert torch.equal(table, extra[1]["pseudo_labels"][name]), name
    assert torch.equal(extra[0]["cluster_of"], extra[1]["cluster_of"])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["cbst", "crst"])
def test_two_processes_learn_what_one_learns(method: str, tmp_path: Path) -> None:
    """However differently many of their pixels have a pseudo-label."""
    own = [f"method={method}", *COMMON, "method.first_round=0.25", "trainer.steps=8"]
    own += ["backbone.batch_norm=frozen", "trainer.checkpoint_every=4"]
    own += ["+backbone.optimizer.eps=1e-4"]
    one = run(tmp_path / "one", "trainer.batch_size=4", own=own)
    two = in_two_processes(tmp_path / "two", [*own, *RANKS])
    ours, theirs = (state["state_dict"] for state in (one, two))
    assert ours["method._extra_state"]["round"] == theirs["method._extra_state"]["round"] == 3
    assert 0 < ours["method.thresholds"].min() < 1
    as_good_as_equal(one, two)
