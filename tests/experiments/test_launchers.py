"""Launchers: failures, several devices, processes; what is refused names its cure."""

import sys
from pathlib import Path

import kept_configs
import pytest
from hydra.core.config_store import ConfigStore

from uda_seg.cli import checked_config
from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.experiments import sweep_folder
from uda_seg.experiments.sweep_processes import Command, environment, job_command, run, slots

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
    monkeypatch.setattr(checked_config, "composed", checked_config.composed.__wrapped__)
    monkeypatch.setattr(kept_configs, "KEPT", {})
    there = ConfigStore.instance().repo["hydra"]["launcher"]
    for name in ("joblib", "submitit_local", "submitit_slurm"):
        monkeypatch.delitem(there, f"{name}.yaml", raising=False)
    text = complaint(f"hydra/launcher={launcher}")
    assert "pip install 'uda-seg[sweep]'" in text
    assert "launcher=" in text


def test_gpus_are_shared_out() -> None:
    assert slots(3, None, 1) == [None] * 3
    assert slots(1, [0, 1, 2], 1) == [(0,), (1,), (2,)]
    assert slots(1, [4, 5, 6, 7, 8], 2) == [(4, 5), (6, 7)]
    with pytest.raises(ConfigError, match="trainer.devices=2"):
        slots(1, [0], 2)
    assert environment((4, 5))["CUDA_VISIBLE_DEVICES"] == "4,5"


def test_inside_a_slurm_job_a_process_starts_its_ranks_itself(monkeypatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert environment(None) == {}
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert environment(None) == {"SLURM_JOB_NAME": "interactive"}


def test_a_jobs_command_is_what_a_user_would_type(tmp_path: Path) -> None:
    lines = ["seed=1", "sweep=seeds", "resume=auto", "hydra.sweep.dir='x'", "hydra/sweeper=optuna"]
    lines += ["++source.a=1", "hydra/launcher=processes", "hydra.verbose=true"]
    words = job_command(["uda_seg"], ["--config-dir", "own"], lines, tmp_path / "it's")
    kept = ("uda_seg", "--config-dir", "own", "seed=1", "++source.a=1", "hydra.verbose=true")
    assert words == (*kept, f"hydra.run.dir='{tmp_path}/it\\'s'")
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    assert job_command([], [], [], tmp_path)[-1] == "resume=auto"


def scripted(folder: Path, script: str) -> Command:
    return Command(folder, (sys.executable, "-c", script))


def test_a_job_that_is_killed_harms_no_other_and_says_how_it_ended(tmp_path: Path) -> None:
    sweep_folder.begin(tmp_path, {})
    killed = scripted(tmp_path / "0", "import os; os.kill(os.getpid(), 9)")
    sound = scripted(tmp_path / "1", "print('well')")
    failing = scripted(tmp_path / "2", "import sys; sys.exit(3)")
    codes = run([killed, sound, failing], [None, None])
    assert codes == {tmp_path / "0": -9, tmp_path / "1": 0, tmp_path / "2": 3}
    assert sweep_folder.failure(tmp_path / "0")["message"] == "ended with exit code -9"
    assert sweep_folder.failure(tmp_path / "2")["exit_code"] == 3
    assert not sweep_folder.failure(tmp_path / "1")
    assert (tmp_path / "1" / "output.txt").read_text() == "well\n"


def test_so_many_run_side_by_side(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, time; here = pathlib.Path(os.environ['HERE']); "
        "mine = here / f'{os.getpid()}.on'; mine.touch(); time.sleep(0.6); "
        "n = len(list(here.glob('*.on'))); (here / f'{os.getpid()}.seen').write_text(str(n)); "
        "mine.unlink()"
    ).replace("os.environ['HERE']", repr(str(tmp_path)))
    run([scripted(tmp_path / f"job{i}", script) for i in range(4)], [None, None])
    seen = [int(path.read_text()) for path in tmp_path.glob("*.seen")]
    assert len(seen) == 4
    assert max(seen) == 2
