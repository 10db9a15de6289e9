"""Whole runs of MIC: what its host keeps is kept, resumed ones equal straight ones."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import write_camvid
from test_rounds import SMALL as ROUNDS
from test_runs import SMALL, KilledAt, KilledError, run, same

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
    write_camvid(camvid, void=False)
    common = ["backbone.batch_norm=frozen", "trainer.steps=4", "trainer.validate_every=4"]
    common += ["+backbone.optimizer.eps=1e-4"]
    common += ["+method.base.optimizers.discriminator.eps=1e-4"] if "adaptseg" in base else []
    one = run(tmp_path / "one", words(camvid, base, *common, "trainer.batch_size=4"))
    folder = tmp_path / "two"
    command = [sys.executable, "-m", "uda_seg", *words(camvid, base, *common)]
    command.remove("trainer=cpu")
    command += ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    environment: Any = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, f"hydra.run.dir={folder}"],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    two = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(tensor, two["state_dict"][name], rtol=1e-4, atol=1e-6, msg=name)
