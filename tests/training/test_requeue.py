"""Two tasks as SLURM would start them: warned, saved, put back into the queue, bit for bit."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from runs.test_cluster import TASK, fake_scontrol

SMALL = [
    "source=camvid", "target=camvid", "backbone=tiny", "source.size=[32,64]", "logger=none",
    "target.size=[32,64]", "trainer.batch_size=1", "trainer.workers=0", "trainer.panels=0",
    "trainer.progress=false", "method.discriminator.width=4", "trainer=slurm",
    "trainer.accelerator=cpu",
    "trainer.precision=32-true", "trainer.steps=150", "trainer.validate_every=150",
    "trainer.checkpoint_every=150", "trainer.log_every=1",
]  # fmt: skip


def start(camvid: Path, job: str, path: str = "") -> list[subprocess.Popen]:
    """Both tasks of a job."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    node = TASK | {"SLURM_JOB_ID": job, "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2"}
    node |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "uda_seg", *SMALL]
    command += [f"source.root={camvid}", f"target.root={camvid}"]
    return [
        subprocess.Popen(
            command,
            env=os.environ
            | node
            | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}
            | {"PATH": f"{path}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]


def ended(tasks: list[subprocess.Popen]) -> list[int]:
    said = [task.communicate(timeout=400)[0] for task in tasks]
    for task, text in zip(tasks, said, strict=True):
        assert task.returncode in (0, 75), text[-3000:]
    return [task.returncode for task in tasks]


def under_way(folder: Path, tasks: list[subprocess.Popen]) -> None:
    """Waits for the first steps."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for path in folder.glob("*/slurm_*/progress.json"):
            try:
                if int(json.loads(path.read_text()).get("step") or 0) > 2:
                    return
            except ValueError:
                pass
        assert all(task.poll() is None for task in tasks)
        time.sleep(0.05)
    raise AssertionError("no step was taken")


@pytest.mark.slow
def test_two_tasks_come_back_and_end_as_if_nothing_had_been(camvid: Path, tmp_path: Path) -> None:
    asked = fake_scontrol(tmp_path / "bin")
    tasks = start(camvid, "11", str(asked.parent))
    under_way(Path("outputs"), tasks)
    tasks[1].send_signal(signal.SIGUSR1)  # only one of them hears of it
    assert ended(tasks) == [75, 75]
    assert asked.read_text() == "requeue 11\n"  # once
    (folder,) = Path("outputs").glob("*/slurm_11_*")
    stopped = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert 2 < stopped["global_step"] < 150
    assert ended(start(camvid, "11")) == [0, 0]
    assert ended(start(camvid, "12")) == [0, 0]
    (straight,) = Path("outputs").glob("*/slurm_12_*")
    assert len(list(Path("outputs").glob("*/*"))) == 2
    ours, theirs = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (folder, straight)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert json.loads((folder / "scores.json").read_text())["steps"] == 150
