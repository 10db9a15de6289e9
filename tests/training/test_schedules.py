"""Learning rates as their authors' schedules have them, step by step."""

from pathlib import Path

import pytest
import torch
from conftest import compose
from test_runs import SMALL, KilledAt, KilledError, run, same
from torch import nn

from uda_seg.config import conf_folder, plain, shipped
from uda_seg.runs.identity import differences
from uda_seg.training.optimization import polynomial
from uda_seg.training.setup import make_adaptation, make_method

BACKBONES = sorted(path.stem for path in (conf_folder() / "backbone").glob("*.yaml"))


def rates(steps: list[int], rate: float, **schedule: object) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=rate)
    factor = polynomial(optimizer, **schedule).lr_lambdas[0]  # type: ignore[arg-type]
    return [rate * factor(step) for step in steps]


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (250_000, {0: 2.5e-4, 1: 2.499991e-4, 1000: 2.4909982e-4, 120_000: 1.38785156e-4}),
        (150_000, {1000: 2.48499499e-4, 100_000: 9.30102645e-5}),
    ],
    ids=["ADVENT, DACS", "FDA"],
)
def test_the_rate_falls_over_more_steps_than_are_trained(
    total: int, expected: dict[int, float]
) -> None:
    found = rates([*expected], 2.5e-4, total=total, power=0.9, warm_up=0)
    assert found == pytest.approx([*expected.values()], rel=1e-8)


def test_mmcvs_rise_overlaps_with_the_fall() -> None:
    """DAFormer's encoder; the head's rate is ten times that."""
    expected = {
        0: 6.0e-11, 1: 4.005896e-8, 2: 8.005592e-8, 10: 3.999596e-7, 750: 2.943753e-5,
        1000: 3.900002e-5, 1499: 5.7713e-5, 1500: 5.775e-5, 20_000: 3e-5, 39_999: 1.5e-9,
    }  # fmt: skip
    found = rates([*expected], 6e-5, total=40_000, power=1.0, warm_up=1500, rise="mmcv")
    assert found == pytest.approx([*expected.values()], rel=2e-7)


def test_vfms_rise_is_followed_by_a_drop() -> None:
    expected = {
        0: 0.001, 1: 0.00166644, 750: 0.50083322, 1499: 1.0, 1500: 0.9625, 1501: 0.962475,
        20_000: 0.5,
    }  # fmt: skip
    found = rates([*expected], 1.0, total=40_000, power=1.0, warm_up=1500, rise="vfm")
    assert found == pytest.approx([*expected.values()], rel=5e-6)
    assert rates([0, 1], 1.0, total=4, power=1.0, warm_up=1, rise="vfm") == [0.001, 0.75]


def test_ours_is_what_it_was_before_it_had_a_name() -> None:
    found = rates([*range(1600)], 3e-4, total=1600, power=0.9, warm_up=1500)
    before = [min(1.0, (t + 1) / 1501) * max(0.0, 1 - t / 1600) ** 0.9 for t in range(1600)]
    assert found == [3e-4 * factor for factor in before]
    assert found == rates([*range(1600)], 3e-4, total=1600, power=0.9, warm_up=1500, rise="linear")
    assert found[0] / 3e-4 * 6e-5 == pytest.approx(4.0e-8, rel=1e-3)


@pytest.mark.parametrize("rise", ["linear", "mmcv", "vfm"])
def test_a_rise_of_no_steps_is_none(rise: str) -> None:
    assert rates([0, 2], 1.0, total=4, power=1.0, warm_up=0, rise=rise) == [1.0, 0.5]


@pytest.mark.parametrize("name", BACKBONES)
def test_backbones_that_warm_up_do_it_as_their_papers(name: str) -> None:
    schedule = shipped("backbone", name)["schedule"]
    own = "vfm" if name.startswith("vfm") else "mmcv"
    assert schedule["rise"] == (own if schedule["warm_up"] == 1500 else "linear")


def test_the_config_names_the_rise_and_older_ones_lack_it() -> None:
    words = ["source=camvid", "target=camvid", "backbone=tiny", "method=source_only"]
    words += ["backbone.schedule.warm_up=9", "backbone.schedule.rise=mmcv"]
    config = plain(compose("train", words))
    older = plain(compose("train", words[:-1]))
    del older["backbone"]["schedule"]["rise"]
    first = []
    for one in (config, older):
        module = make_adaptation(one, make_method(one, list("abcd")), list("abcd"))
        first.append(module.configure_optimizers()["optimizer"].param_groups[0]["lr"])
    assert first == pytest.approx([0.003 * 1e-6, 0.003 * 0.1])
    assert [str(d) for d in differences(older, config)] == [
        "backbone.schedule.rise: was linear, is mmcv"
    ]
    assert differences(older, plain(compose("train", words[:-1]))) == []


NEW = ["rise", "norm_decay", "layer_decay"]
SET = [
    "backbone=deeplab_resnet50", "backbone.encoder.name=test_resnet", "backbone.pretrained=none",
    "backbone.schedule.warm_up=4", "backbone.schedule.rise=mmcv",
    "backbone.optimizer.norm_decay=false", "backbone.optimizer.layer_decay=0.9",
]  # fmt: skip


@pytest.mark.parametrize("words", [[], SET], ids=["a run older than the keys", "all of them set"])
def test_a_killed_run_goes_on_bit_for_bit(words: list[str], camvid: Path, tmp_path: Path) -> None:
    small = [w for w in SMALL if "discriminator" not in w and not (words and "backbone" in w)]
    small += [f"source.root={camvid}", f"target.root={camvid}", "method=source_only", *words]
    small += ["trainer.steps=4", "trainer.validate_every=4", "trainer.checkpoint_every=2"]
    straight = run(tmp_path / "straight", small)
    folder = tmp_path / "killed"
    with pytest.raises(KilledError), KilledAt(3):
        run(folder, small)
    if not words:
        path = folder / "checkpoints" / "last.ckpt"
        stored = torch.load(path, weights_only=True)
        backbone = stored["hyper_parameters"]["config"]["backbone"]
        removed = [node.pop(key) for key in NEW for node in backbone.values() if _has(node, key)]
        assert removed == ["linear", True, 1.0]
        torch.save(stored, path)
    resumed = run(folder, [*small, f"resume={folder}"])
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(straight[part], resumed[part], part)
    groups = resumed["optimizer_states"][0]["network"]["param_groups"]
    assert len(groups) == (2 * 5 + 1 if words else 2)  # stem and four blocks; the heads


def _has(node: object, key: str) -> bool:
    return isinstance(node, dict) and key in node
