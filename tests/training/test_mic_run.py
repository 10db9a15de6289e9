"""Whole runs of MIC: what its host keeps is kept, resumed ones equal straight ones."""

import json
from pathlib import Path

import pytest
from test_rounds import SMALL as ROUNDS
from test_runs import SMALL, KilledAt, KilledError, as_good_as_equal, in_two_processes, run, same

ON = {
    "dacs": ["method.base.threshold=0.1"],  # of 11 classes: some pixels of an untrained network are
    "adaptseg_single": ["method.threshold=0.1", "method.base.discriminator.width=4"],
}
COMMON = [word for word in SMALL if not word.startswith("method")]


def words(camvid: Path, base: str, *more: str) -> list[str]:
    roots = [f"source.root={camvid}", f"target.root={camvid}", "method.block=16"]
    return [*COMMON, *roots, "method=mic", f"method@method.base={base}", *ON[base], *more]


@pytest.mark.parametrize("base", ON)
def test_a_killed_run_goes_on_bit_for_bit(base: str, camvid: Path, tmp_path: Path) -> None:
    """In two pieces a step, with panels, which draw what the host draws."""
    steps = ["trainer.steps=5", "trainer.validate_every=2", "trainer.checkpoint_every=2"]
    steps += ["trainer.panels=1", "trainer.accumulate=2"]
    straight = run(tmp_path / "straight", words(camvid, base, *steps))
    folder = tmp_path / "killed"
    with pytest.raises(KilledError), KilledAt(3):
        run(folder, words(camvid, base, *steps))
    resumed = run(folder, words(camvid, base, *steps, f"resume={folder}"))
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        same(straight[part], resumed[part], part)
    teacher = "method.base.teacher" if base == "dacs" else "method.teacher"
    assert int(straight["state_dict"][f"{teacher}.moves"]) == 5
    assert "masked" in json.loads((folder / "scores.json").read_text())["history"][-1]["loss"]


def test_a_host_with_rounds_and_superpixels_has_them(tmp_path: Path) -> None:
    own = [word.replace("method.", "method.base.") for word in ROUNDS if "method=" not in word]
    every = [*own, "method=mic", "method@method.base=rpt_plain", "method.block=16"]
    every += ["trainer=cpu", "trainer.batch_size=2", "trainer.checkpoint_every=5"]
    straight = run(tmp_path / "straight", every)
    with pytest.raises(KilledError), KilledAt(7):
        run(tmp_path / "killed", every)
    resumed = run(tmp_path / "killed", [*every, f"resume={tmp_path / 'killed'}"])
    same(straight["state_dict"], resumed["state_dict"])
    assert straight["state_dict"]["method.base._extra_state"]["round"] == 3
    scores = json.loads((tmp_path / "killed" / "scores.json").read_text())
    assert scores["method"]["label"] == "MIC (RPT, no adversary)"
    assert scores["method"]["base.rounds"] == 3
    assert scores["weights"]["masked"] == scores["weights"]["context"] == 1
    assert scores["run_name"].startswith("mic_rpt_plain_toytown")


@pytest.mark.slow
@pytest.mark.parametrize("base", ON)
def test_two_processes_equal_one(base: str, camvid: Path, tmp_path: Path) -> None:
    """On gloo: masks, coins and strengths, and the weight of labels."""
    common = ["backbone.batch_norm=frozen", "trainer.steps=4", "trainer.validate_every=4"]
    common += ["+backbone.optimizer.eps=1e-4"]
    common += ["+method.base.optimizers.discriminator.eps=1e-4"] if "adaptseg" in base else []
    one = run(tmp_path / "one", words(camvid, base, *common, "trainer.batch_size=4"))
    arguments = [word for word in words(camvid, base, *common) if word != "trainer=cpu"]
    arguments += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    as_good_as_equal(one, in_two_processes(tmp_path / "two", arguments))
