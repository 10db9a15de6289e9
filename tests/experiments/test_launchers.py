"""Launchers: failures, several devices, processes; what is refused names its cure."""

import sys
from pathlib import Path

import kept_configs
import pytest
from hydra.core.config_store import ConfigStore

from uda_seg.cli import composed
from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.experiments.sweep_processes import job_command

SLURM = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "x"}


def checked(*words: str) -> list[str]:
    return check("train", [*words, "seed=1,2"], multirun=True).overrides


def complaint(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(*words)
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["trainer=ddp"],
        ["trainer.devices=2"],
        ["trainer.devices=1,2"],
        ["trainer=cpu,ddp"],
        ["trainer=ddp", "hydra.mode=MULTIRUN"],
    ],
)
def test_jobs_of_several_devices_become_processes(words: list[str]) -> None:
    assert "hydra/launcher=processes" in checked(*words)


def test_one_device_needs_no_process_of_its_own() -> None:
    assert "hydra/launcher=processes" not in checked("trainer=cpu")
    assert "hydra/launcher=processes" not in check("train", ["trainer=ddp"]).overrides


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local"])
def test_launchers_whose_ranks_would_sweep_anew_are_refused(launcher: str) -> None:
    if launcher != "basic":
        pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    text = complaint("trainer=ddp", f"hydra/launcher={launcher}")
    assert f"hydra/launcher={launcher} each job has one device" in text
    assert "choose hydra/launcher=processes" in text


def test_several_nodes_need_slurm() -> None:
    text = complaint("trainer=ddp", "trainer.num_nodes=2")
    assert "jobs of several nodes need hydra/launcher=slurm" in text
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    checked("trainer=ddp", "trainer.num_nodes=2", "trainer.devices=4", "hydra/launcher=slurm")
    text = complaint("trainer=ddp", "hydra/launcher=submitit_slurm")
    assert "hydra.launcher.tasks_per_node=2" in text


def test_a_sweep_that_srun_or_torchrun_started_several_times_is_refused(monkeypatch) -> None:
    for name, value in (SLURM | {"SLURM_STEP_NUM_TASKS": "2"}).items():
        monkeypatch.setenv(name, value)
    assert "2 processes were started with this command line" in complaint("trainer=cpu")
    for name in SLURM:
        monkeypatch.delenv(name)
    checked("trainer=cpu")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert "4 processes" in complaint("trainer=cpu")


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "slurm"])
def test_a_missing_plugin_is_named_with_its_extra(launcher: str, monkeypatch) -> None:
    check("train", [])  # Hydra has read its plugins
    composed._composed_of_ours.cache_clear()
    monkeypatch.setattr(kept_configs, "KEPT", {})
    there = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in ("joblib", "submitit_local", "submitit_slurm"):
        monkeypatch.delitem(there, f"{name}.yaml", raising=False)
    text = complaint(f"hydra/launcher={launcher}")
    assert "pip install 'uda-seg[sweep]'" in text
    assert "launcher=" in text


def test_a_jobs_command_is_what_a_user_would_type(tmp_path: Path) -> None:
    lines = ["seed=1", "sweep=seeds", "resume=auto", "hydra.sweep.dir='x'", "hydra/sweeper=optuna"]
    lines += ["++source.a=1", "hydra/launcher=processes", "hydra.verbose=true"]
    words = job_command("data_check", lines, tmp_path / "it's", Path("own"))
    kept = ("uda_seg", "data", "check", "--config-dir", "own")
    kept += ("seed=1", "++source.a=1", "hydra.verbose=true")
    assert words == (sys.executable, "-m", *kept, f"hydra.run.dir='{tmp_path}/it\\'s'")
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    assert job_command("train", [], tmp_path, None)[-1] == "resume=auto"
