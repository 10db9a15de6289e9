"""Whole sweeps with training: every launcher outlives a failing job; several devices are right."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = [
    "source=camvid", "target=camvid", "backbone=tiny", "source.size=[32,64]", "logger=none",
    "target.size=[32,64]", "trainer.batch_size=1", "trainer.workers=0", "trainer.panels=0",
    "trainer.progress=false", "method.discriminator.width=4", "trainer=cpu", "trainer.steps=3",
    "trainer.validate_every=3", "trainer.checkpoint_every=3",
]  # fmt: skip

SBATCH = """#!/bin/bash
# As SLURM's, of an array of two: says a number, and runs the tasks in the background.
for task in 0 1; do
  SLURM_JOB_ID=90$task SLURM_JOB_NAME=uda_seg SLURM_ARRAY_JOB_ID=900 SLURM_ARRAY_TASK_ID=$task \\
  SLURM_NTASKS=1 SLURM_NTASKS_PER_NODE=1 SLURM_NNODES=1 SLURM_PROCID=0 SLURM_LOCALID=0 \\
  SLURM_NODEID=0 SLURM_JOB_NODELIST=localhost SLURM_JOB_NUM_NODES=1 \\
  bash "${@: -1}" > /dev/null 2>&1 < /dev/null &
done
echo "Submitted batch job 900"
"""
SRUN = """#!/bin/bash
while [[ "$1" == -* ]]; do [[ "$1" == --output || "$1" == --error ]] && shift; shift; done
exec "$@"
"""
SACCT = """#!/bin/bash
printf "JobID|State|NodeList\\n900_0|RUNNING|localhost\\n900_1|RUNNING|localhost\\n"
"""


def stand_in_slurm(folder: Path) -> str:
    """A PATH on which there are commands that submitit takes for SLURM's."""
    folder.mkdir()
    for name, script in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def run(camvid: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uda_seg", "-m", *SMALL, *words]
    command += [f"source.root={camvid}", f"target.root={camvid}", "hydra.sweep.dir=swept"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)


def rows() -> list[dict[str, str]]:
    with Path("swept/sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "processes", "joblib", "submitit_local", "slurm"])
def test_a_failing_job_ends_no_sweep_under_any_launcher(
    camvid: Path, tmp_path: Path, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = {"joblib": "joblib", "submitit_local": "submitit", "slurm": "submitit"}.get(launcher)
    if plugin is not None:
        pytest.importorskip(f"hydra_plugins.hydra_{plugin}_launcher")
    if launcher == "slurm":
        monkeypatch.setenv("PATH", stand_in_slurm(tmp_path / "bin"))
    done = run(camvid, f"hydra/launcher={launcher}", "method.lambda_adv=1e300,0.001")
    assert done.returncode == 2, done.stderr[-3000:]
    assert "1 of 2 jobs are not done" in done.stderr
    assert "0_method.lambda_adv=1e+300: the loss is not finite" in done.stderr
    assert {row["method.lambda_adv"]: row["finished"] for row in rows()} == {
        "1e+300": "false",
        "0.001": "true",
    }


@pytest.mark.slow
def test_jobs_of_two_processes_are_runs_of_their_own(camvid: Path) -> None:
    done = run(camvid, "trainer.devices=2", "method.lambda_adv=0.001,0.004", "trainer.steps=2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert len(rows()) == 2
    for folder in Path("swept").glob("*_*/"):
        scores = json.loads((folder / "scores.json").read_text())
        assert scores["device"] == "2 x cpu"
        assert f"lambda_adv={scores['method']['lambda_adv']}" in folder.name
        assert (folder / "train_rank1.log").is_file()
