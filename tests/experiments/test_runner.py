"""The runner of many runs: order, places, failures, and that none outlives who started it."""

import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from uda_seg.errors import ConfigError
from uda_seg.experiments import runner, sweep_folder
from uda_seg.experiments.job_progress import complaints, watch
from uda_seg.experiments.runner import Process, run_all, slots, stop_all
from uda_seg.experiments.sweep_processes import SweepJob
from uda_seg.runs.stopping import StopRequest


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.02)


HEAD = """
import os, signal, sys, time
from pathlib import Path
me = Path(sys.argv[1])
def note(word):
    with open(me.parent / "log", "a") as file:
        file.write(f"{word} {me.name} {os.environ.get('CUDA_VISIBLE_DEVICES', '')}\\n")
note("begins")
"""


@dataclass(frozen=True)
class Scripted:
    """A job that is a few lines of Python, and notes when it begins and ends."""

    folder: Path
    script: str = ""
    after: tuple[Path, ...] = ()
    cost: float = 1.0
    steps: int | None = 2
    done: bool = False

    @property
    def name(self) -> str:
        return self.folder.name

    def begin(self) -> list[str]:
        script = f"{HEAD}\n{self.script}\nnote('ends')"
        return [sys.executable, "-c", script, str(self.folder)]


@dataclass
class Situation:
    """What jobs there are, how many places, and what is to come of it.

    Attributes:
        jobs: name -> script, name of the one it starts from, cost.
        places: slots, or how many.
        log: words and names in their order, where one job runs at a time.
        failed: name -> what is said about it.
        order: pairs of events of which the first is to come first.
        side_by_side: the most jobs that ran at a time.
    """

    jobs: dict[str, tuple[str, str | None, float]]
    places: int | list[dict[str, str]] = 1
    log: str | None = None
    failed: dict[str, str] | None = None
    order: tuple[tuple[str, str], ...] = ()
    side_by_side: int = 1


NAP, LUCKLESS = "time.sleep(0.3)", "print('no such luck'); sys.exit(2)"
SITUATIONS = {
    "one after the other, as they come": Situation(
        {"a": ("", None, 1), "b": ("", None, 1)}, log="begins a ends a begins b ends b"
    ),
    "the costliest first": Situation(
        {"a": ("", None, 2), "b": ("", None, 7.5), "c": ("", None, 3)},
        log="begins b ends b begins c ends c begins a ends a",
    ),
    "one waits for what it starts from": Situation(
        {"start": (NAP, None, 1), "next": ("", "start", 9), "other": (NAP, None, 1)},
        places=3,
        order=(("ends start", "begins next"), ("begins other", "ends start")),
        side_by_side=2,
    ),
    "a failure takes along what starts from it, and nothing else": Situation(
        {
            "start": (LUCKLESS, None, 1), "next": ("", "start", 1),
            "other": ("", None, 1), "last": ("", "next", 1),
        },
        log="begins start begins other ends other",
        failed={
            "start": "ended with exit code 2; its folder is",
            "next": "not started: it needs",
            "last": "not started: it needs",
        },
    ),
    "one that is killed harms no other": Situation(
        {"a": ("os.kill(os.getpid(), 9)", None, 1), "b": (NAP, None, 1), "c": ("", None, 1)},
        places=2,
        failed={"a": "ended with exit code -9"},
        order=(("begins a", "begins c"),),
        side_by_side=2,
    ),
    "two places are never three": Situation(
        {name: (NAP, None, 1) for name in "abcd"}, places=2, side_by_side=2
    ),
    "GPUs are given on": Situation(
        {name: (NAP, None, 1) for name in "abc"},
        places=slots(1, [4, 5, 6, 7, 8], 2),  # type: ignore[arg-type]
        order=(("begins a 4,5", "begins c"), ("begins b 6,7", "begins c")),
        side_by_side=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_run_and_in_which_order(name: str, tmp_path: Path) -> None:
    situation = SITUATIONS[name]
    wanted = [
        Scripted(tmp_path / name, script, (tmp_path / after,) if after else (), cost)
        for name, (script, after, cost) in situation.jobs.items()
    ]
    places = situation.places if isinstance(situation.places, list) else slots(situation.places)
    failed: dict[Path, str] = {}
    watch(wanted, places, failed)
    told = complaints(wanted, failed)
    assert {path.name for path in failed} == set(situation.failed or {})
    for job, words in (situation.failed or {}).items():
        assert f"{job}: {words}" in told
    assert ("no such luck" in told) == (LUCKLESS in str(situation.jobs))
    events = [line.strip() for line in (tmp_path / "log").read_text().splitlines()]
    if situation.log is not None:
        assert " ".join(events) == situation.log
    for one, other in situation.order:
        first, second = ([e.startswith(event) for e in events] for event in (one, other))
        assert first.index(True) < second.index(True)
    if not failed:
        running = itertools.accumulate(1 if e.startswith("begins") else -1 for e in events)
        assert max(running) == situation.side_by_side
        assert len(events) == 2 * len(wanted)


def test_what_runs_print_is_kept_or_shown(tmp_path: Path, capfd, caplog) -> None:
    job = Scripted(tmp_path / "a", "print('well')")
    list(run_all([job], slots(1), {}))
    assert (tmp_path / "a" / "output.txt").read_text() == "well\n"
    assert "well" not in capfd.readouterr().out
    failing, failed = Scripted(tmp_path / "b", "print('badly'); sys.exit(3)"), dict[Path, str]()
    with caplog.at_level("INFO"):
        list(run_all([job, failing], slots(1), failed, shown=True))
    assert capfd.readouterr().out == "well\nbadly\n"
    assert "a: done" in caplog.text
    assert "b: failed (3)" in caplog.text
    assert list(failed) == [tmp_path / "b"]


def test_a_sweeps_job_that_could_not_say_why_it_failed_has_it_noted(tmp_path: Path) -> None:
    sweep_folder.begin(tmp_path, {})
    killed = Scripted(tmp_path / "0", "os.kill(os.getpid(), 9)")
    failing = Scripted(tmp_path / "1", "sys.exit(3)")
    said = '(me / \'failed.json\').write_text(\'{"exit_code": 2, "message": "mine"}\')'
    telling = Scripted(tmp_path / "2", f"{said}; sys.exit(2)")
    sound = Scripted(tmp_path / "3")
    list(run_all([killed, failing, telling, sound], slots(2), {}))
    noted = [sweep_folder.failure(tmp_path / number) for number in "0123"]
    assert noted[0] == {"exit_code": 1, "message": "ended with exit code -9"}
    assert noted[1]["exit_code"] == 3
    assert noted[2] == {"exit_code": 2, "message": "mine"}
    assert noted[3] == {}


def test_places_tell_runs_their_gpus_their_threads_and_that_slurm_did_not_start_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert slots(3) == [{}] * 3
    seen = [place["CUDA_VISIBLE_DEVICES"] for place in slots(1, [0, 1, 2])]
    assert seen == ["0", "1", "2"]
    pairs = [place["CUDA_VISIBLE_DEVICES"] for place in slots(1, [4, 5, 6, 7, 8], 2)]
    assert pairs == ["4,5", "6,7"]
    with pytest.raises(ConfigError, match="trainer.devices=2"):
        slots(1, [0], 2)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert slots(3, threads=None) == [{"OMP_NUM_THREADS": "2"}] * 3
    assert slots(1, [0, 1], threads=None)[1] == {
        "CUDA_VISIBLE_DEVICES": "1",
        "OMP_NUM_THREADS": "4",
    }
    assert slots(1, threads=5) == [{"OMP_NUM_THREADS": "5"}]
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert slots(1) == [{"SLURM_JOB_NAME": "interactive"}]


def test_a_line_now_and_then_says_how_far_all_runs_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("uda_seg.runs.bars.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("uda_seg.runs.bars.SHARE", 0.0)
    report = '{"step": 60, "steps": 100, "images_per_second": 2.0, "seconds_left": 120}'
    script = f"(me / 'progress.json').write_text('{report}'); time.sleep(0.8)"
    first = Scripted(tmp_path / "a", script, steps=100)
    jobs = [first, Scripted(tmp_path / "b", "time.sleep(0.8)", (first.folder,), 4.0, 100)]
    watch([*jobs, Scripted(tmp_path / "c", steps=100, done=True)], slots(1), {})
    lines = capsys.readouterr().err
    # 120 s for 0.4 of a run that costs 1, and four times the 300 s of the whole for the other.
    assert "steps of all runs: 160 of 300; 1 of 3 runs done, about 22 min left" in lines
    assert "steps of all runs: 200 of 300; 2 of 3 runs done, about 20 min left" in lines
    assert not (tmp_path / "c").exists()


def test_a_sweeps_jobs_cost_what_their_steps_do(tmp_path: Path) -> None:
    assert [SweepJob(tmp_path, (), steps).cost for steps in (500, 100, None)] == [500, 100, 1]


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
watch([Job(row, 0, 2, folder / row, (), (), 1.0) for row in "ab"], [{}, {}], {})
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
    stubborn = "signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
    monkeypatch.setattr(runner, "PATIENCE", 0.2)
    one = Process(Scripted(tmp_path / "deaf", stubborn), {})
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
