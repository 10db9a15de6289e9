"""SLURM, by its environment variables: folders, ranks, requeued runs, what does not fit."""

import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from experiments.quick_training import KEY, a_sweep, a_training, jobs  # noqa: F401 (fixtures)

from uda_seg.cli.command_line import check
from uda_seg.errors import ConfigError
from uda_seg.runs import cluster
from uda_seg.training.checkpoints import Checkpoints
from uda_seg.training.requeue import RequeuedError
from uda_seg.training.scoreboard import Scoreboard
from uda_seg.training.stop import EVERY, Stop, stop_request

TASK = {
    "SLURM_JOB_ID": "4242",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "1",
    "SLURM_NTASKS_PER_NODE": "1",
    "SLURM_NNODES": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
}


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Any:
    def slurm(**changes: str) -> None:
        for name, value in (TASK | changes).items():
            monkeypatch.setenv(name, value)

    slurm()
    return slurm


def fake_scontrol(folder: Path, code: int = 0) -> Path:
    """On PATH, it notes what it was asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "scontrol"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/asked"\nexit {code}\n')
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    return folder / "asked"


def run_folders() -> list[Path]:
    return sorted(path.parent for path in Path("outputs").glob("*/*/config.yaml"))


def test_a_job_of_slurm_is_told_from_a_shell_on_a_node(slurm, monkeypatch) -> None:
    assert (cluster.job(), cluster.rank()) == ("4242", 0)
    slurm(SLURM_PROCID="3")
    assert cluster.rank() == 3
    slurm(SLURM_JOB_NAME="interactive")
    assert (cluster.job(), cluster.rank()) == (None, 0)
    slurm(SLURM_ARRAY_JOB_ID="77", SLURM_ARRAY_TASK_ID="5")
    assert cluster.to_requeue() == "77_5"
    monkeypatch.delenv("SLURM_NTASKS")
    assert cluster.job() is None


def test_all_tasks_and_a_requeued_job_have_one_folder(slurm, sweep, training) -> None:
    assert sweep() == 0
    (folder,) = run_folders()
    assert folder.name.startswith("slurm_4242_")
    training.begun.clear()
    assert sweep() == 0  # put back into the queue after its last step: nothing is left to do
    assert not training.begun
    assert sweep(f"{KEY}=0.5") == 0  # another run of the same job
    assert len(run_folders()) == 2
    slurm(SLURM_JOB_ID="4243")
    assert sweep() == 0
    assert len(run_folders()) == 3


def test_a_requeued_run_goes_on_from_its_checkpoint(slurm, sweep, training) -> None:
    training.killed = {0.5}
    assert sweep(f"{KEY}=0.5") == 130
    training.killed = set()
    assert sweep(f"{KEY}=0.5") == 0
    assert len(run_folders()) == 1
    assert [resume for _, _, resume in training.begun] == [None, "auto"]


def test_other_tasks_write_beside_the_first(slurm, sweep, training) -> None:
    slurm(SLURM_NTASKS="2", SLURM_NTASKS_PER_NODE="2", SLURM_PROCID="1", SLURM_LOCALID="1")
    assert sweep("trainer=slurm") == 0
    (folder,) = Path("outputs").glob("*/slurm_4242_*")
    assert not (folder / "config.yaml").exists()  # that is the first's
    assert not (folder / ".hydra").exists()
    assert (folder / "train_rank1.log").is_file()
    assert sweep("trainer=slurm", "hydra.run.dir=outputs/a/mine", f"{KEY}=0.3") == 0
    assert (Path("outputs/a/mine") / "train_rank1.log").is_file()


def test_devices_follow_from_slurm_and_must_fit_its_tasks(slurm) -> None:
    slurm(SLURM_NTASKS="8", SLURM_NTASKS_PER_NODE="4", SLURM_NNODES="2")
    settings = check("train", ["trainer=slurm"]).config.trainer
    assert (settings.devices, settings.num_nodes) == (4, 2)
    with pytest.raises(ConfigError, match="SLURM gave 8 tasks, but trainer.devices times"):
        check("train", ["trainer=ddp"])
    slurm(SLURM_JOB_NAME="interactive")
    check("train", ["trainer=ddp"])


def test_a_job_of_a_sweep_that_comes_back_goes_on(slurm, sweep, training) -> None:
    """What submitit does: the same job again, in the same folder, without resume=auto."""
    words = ["-m", f"{KEY}=0.5,0.6", "hydra.sweep.dir=outputs/fixed"]
    training.killed = {0.5}
    assert sweep(*words) == 130
    training.killed = set()
    assert sweep(*words) == 0
    assert training.begun[1] == (0.5, 0, "auto")
    assert len(jobs(Path("outputs/fixed"))) == 2


def test_processes_of_torchrun_have_one_folder(slurm, sweep, training, monkeypatch) -> None:
    """Inside a SLURM job too: Lightning believes torchrun first."""
    words = ("trainer=cpu", "trainer.devices=2")
    for rank in ("0", "1"):
        for name, value in (("RUN_ID", "abc"), ("RESTART_COUNT", "0")):
            monkeypatch.setenv(f"TORCHELASTIC_{name}", value)
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert sweep(*words) == 0
    (folder,) = Path("outputs").glob("*/torchrun_abc_*")
    assert (folder / "config.yaml").is_file()
    assert (folder / "train_rank1.log").is_file()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abd")
    assert sweep(*words) == 0
    assert len(list(Path("outputs").glob("*/torchrun_*"))) == 2
    assert sweep("trainer=cpu", "trainer.devices=3") == 2
    assert not list(Path("outputs").glob("*/slurm_*"))


class Trainer(SimpleNamespace):
    def save_checkpoint(self, path: Path, weights_only: bool) -> None:
        path.parent.mkdir(parents=True)
        path.write_text(f"step {self.global_step}")


@contextmanager
def told(tmp_path: Path, world_size: int = 1, agreed: int = 0) -> Iterator[tuple[Stop, Trainer]]:
    strategy = SimpleNamespace(reduce=lambda number, reduce_op: agreed, root_device="cpu")
    trainer = Trainer(global_step=7, world_size=world_size, is_global_zero=True, strategy=strategy)
    checkpoints = Checkpoints(tmp_path / "run", 100, 100, Scoreboard(tmp_path / "run", {}))
    with stop_request() as request:
        yield Stop(request, checkpoints, tmp_path / "run"), trainer


def step(callback: Stop, trainer: Any) -> None:
    callback.on_train_batch_end(trainer, None, None, None, 0)


def test_a_signal_saves_after_the_step_and_asks_to_come_back(slurm, tmp_path, monkeypatch) -> None:
    asked = fake_scontrol(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{asked.parent}:{os.environ['PATH']}")
    with told(tmp_path) as (callback, trainer):
        step(callback, trainer)  # nothing happened yet
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(RequeuedError, match="saved at step 7, and put back into the queue"):
            step(callback, trainer)
    assert asked.read_text() == "requeue 4242\n"
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_text() == "step 7"


def test_processes_stop_at_one_step_whichever_got_the_signal(slurm, tmp_path, monkeypatch) -> None:
    asked = fake_scontrol(tmp_path / "bin", code=1)
    monkeypatch.setenv("PATH", f"{asked.parent}:{os.environ['PATH']}")
    with told(tmp_path, world_size=2, agreed=signal.SIGUSR1) as (callback, trainer):
        step(callback, trainer)  # step 7: they do not ask each other at every step
        trainer.global_step = 2 * EVERY
        with pytest.raises(RequeuedError, match="could not be put back .* resume=auto"):
            step(callback, trainer)


def test_outside_of_slurm_the_signal_is_left_alone(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    with told(tmp_path) as (callback, trainer):
        assert signal.getsignal(signal.SIGUSR1) == before
        step(callback, trainer)
