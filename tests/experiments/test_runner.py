"""Jobs as processes: order, failures, and that none outlives the command that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uda_seg.experiments import runner
from uda_seg.experiments.job_progress import complaints, watch
from uda_seg.experiments.rows import Job
from uda_seg.experiments.runner import Running, run_all, stop_all
from uda_seg.runs.stopping import StopRequest


def job(folder: Path, row: str, after: str | None = None, cost: float = 1.0) -> Job:
    start = folder / after if after else None
    return Job(row, 0, 2, folder / row, (f"method={row}",), start, cost)


def scripted(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Runs of Python code in which ROW is the job's row, instead of trainings."""

    def command(job: Job) -> list[str]:
        return [sys.executable, "-c", script.replace("ROW", repr(job.row))]

    monkeypatch.setattr(Job, "command", command)


def test_a_run_waits_for_the_one_it_starts_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, "import time; time.sleep(0.5)")
    wanted = [job(tmp_path, "start"), job(tmp_path, "next", "start"), job(tmp_path, "other")]
    together = [{one.job.row for one in running} for running in run_all(wanted, 3, 1, {})]
    assert {"start", "other"} in together
    assert not [rows for rows in together if {"start", "next"} <= rows]
    assert any("next" in rows for rows in together)


def test_the_costliest_run_begins_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, "import time; time.sleep(0.4)")
    wanted = [job(tmp_path, "a", cost=2), job(tmp_path, "b", cost=7.5), job(tmp_path, "c", cost=3)]
    begun = [running[0].job.row for running in run_all(wanted, 1, 1, {}) if running]
    assert list(dict.fromkeys(begun)) == ["b", "c", "a"]


def test_a_failing_run_is_reported_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "import sys; print('no such luck'); sys.exit(2 if ROW == 'start' else 0)"
    scripted(monkeypatch, script)
    wanted = [job(tmp_path, "start"), job(tmp_path, "next", "start"), job(tmp_path, "other")]
    wanted.append(job(tmp_path, "last", "next"))
    failed: dict[Path, str] = {}
    watch(wanted, wanted, 1, 1, failed)
    assert set(failed) == {tmp_path / row for row in ("start", "next", "last")}
    assert (tmp_path / "other" / "output.txt").read_text() == "no such luck\n"
    assert not (tmp_path / "next" / "output.txt").exists()
    told = complaints(wanted, failed)
    assert "start, seed 0: ended with exit code 2; its folder is" in told
    assert "no such luck" in told
    assert "next, seed 0: not started: it starts from" in told
    assert "last, seed 0: not started: it starts from" in told


def alive(number: int) -> bool:
    """A zombie is over, though it can still be signalled."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_for(what, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


COMMAND = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests may run in the background, where
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # both are ignored, and children inherit that
from uda_seg.experiments.rows import Job
from uda_seg.experiments.job_progress import watch
folder = Path(sys.argv[1])
Job.command = lambda job: [sys.executable, "-c", sys.argv[2], str(folder / job.row)]
made = [Job(row, 0, 2, folder / row, (), None, 1.0) for row in "ab"]
watch(made, made, 2, 1, {})
"""
CHILD = """
import os, subprocess, sys, time
from pathlib import Path
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
Path(sys.argv[1], "ids.new").write_text(f"{os.getpid()} {grandchild.pid}")
Path(sys.argv[1], "ids.new").rename(Path(sys.argv[1], "ids"))
time.sleep(300)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who is alive")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_command_stops_its_runs(tmp_path: Path, number: int) -> None:
    ids = [tmp_path / row / "ids" for row in "ab"]
    line = [sys.executable, "-c", COMMAND, str(tmp_path), CHILD]
    command = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: all(path.exists() for path in ids))
        children = [int(word) for path in ids for word in path.read_text().split()]
        assert len(children) == 4
        assert all(map(alive, children))
        command.send_signal(number)
        code = command.wait(60)
    finally:
        command.kill()
    assert code == 128 + number
    wait_for(lambda: not any(map(alive, children)))


def test_a_run_that_will_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('deaf', flush=True); time.sleep(300)"
    )
    scripted(monkeypatch, stubborn)
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    one = Running(job(tmp_path, "deaf"), 1)
    wait_for(lambda: "deaf" in (tmp_path / "deaf" / "output.txt").read_text())
    stop_all([one])
    assert one.process.returncode == -signal.SIGKILL


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest(patient=True) as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
