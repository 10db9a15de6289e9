"""Signals, and parents that are gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from uda_seg.runs import stopping
from uda_seg.runs.stopping import (
    PARENT,
    Stopped,
    StopRequest,
    command_to_go_on,
    in_worker,
)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Tests may run in the background, where some signals are ignored."""
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_the_program_or_is_noted_once(number: int, code: int) -> None:
    with StopRequest() as stop:
        with pytest.raises(Stopped) as caught:
            send(number)
        assert caught.value.code == code
        stop.patient = True
        send(number)
        assert stop.number == number
        with pytest.raises(Stopped):
            send(number)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_slurms_warning_is_only_noted_and_yields_to_others() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    with StopRequest(also=[signal.SIGUSR1]) as stop:
        send(signal.SIGUSR1)  # not patient yet: it is early in a run, which has time
        stop.patient = True
        send(signal.SIGUSR1)
        assert stop.number == signal.SIGUSR1
        send(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        with pytest.raises(Stopped):
            send(signal.SIGTERM)
    signal.signal(signal.SIGUSR1, before)


def test_a_librarys_handler_is_taken_back_and_put_aside_in_the_end() -> None:
    with StopRequest(patient=True) as stop:
        signal.signal(signal.SIGTERM, lambda *_: None)
        stop.listen()
        send(signal.SIGTERM)
        assert stop.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_command_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["x", "method=a", "resume=auto", "source.size=[1,2]"])
    assert command_to_go_on(Path("a/b")) == (
        "python -m uda_seg method=a 'source.size=[1,2]' resume=a/b"
    )
    assert command_to_go_on().endswith(" resume=auto")
    words = command_to_go_on(Path("it's, here"))
    assert words.endswith("""'resume='"'"'it\\'"'"'s, here'"'"''""")
    monkeypatch.setattr(sys, "argv", ["x", "compare", "seeds=[0]"])
    assert command_to_go_on() == "python -m uda_seg compare 'seeds=[0]'"


class Slow:
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> int:
        if index == 1:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                send(number)
        return index


def test_a_worker_brings_its_images_whatever_its_group_is_sent() -> None:
    loader = DataLoader(Slow(), batch_size=None, num_workers=1, worker_init_fn=in_worker)  # type: ignore
    assert [int(item) for item in loader] == [0, 1, 2]


def test_what_a_process_tells_its_children_does_not_end_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getppid", lambda: 1)  # as in a container
    monkeypatch.setenv(stopping.PARENT, str(os.getpid()))
    stopping.end_with_parent()
    assert stopping.PARENT not in os.environ
    monkeypatch.setenv(stopping.PARENT, "2")
    with pytest.raises(stopping.Stopped):
        stopping.end_with_parent()


CHILD = """
import signal, sys, time
from pathlib import Path
from uda_seg.runs import stopping
stopping._watch.__globals__["PATIENCE"] = float(sys.argv[2])
with stopping.StopRequest(patient=True) as stop:
    stopping.end_with_parent()
    Path(sys.argv[1]).touch()
    while stop.number is None or sys.argv[2] == "0.1":
        time.sleep(0.01)
Path(sys.argv[1]).write_text(f"saved after signal {int(stop.number)}")
"""
PARENTS = """
import os, subprocess, sys, time
env = os.environ | {"PARENT": str(os.getpid())}
print(subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], env=env).pid, flush=True)
time.sleep(100)
""".replace("PARENT", PARENT)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc who is alive")
@pytest.mark.parametrize("patience", ["30", "0.1"], ids=["saves", "deaf"])
def test_the_death_of_a_parent_ends_its_child(patience: str, tmp_path: Path) -> None:
    line = [sys.executable, "-c", PARENTS, CHILD, str(tmp_path / "said"), patience]
    parent = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child, end = int(parent.stdout.readline()), time.monotonic() + 60
    while not (tmp_path / "said").exists() and time.monotonic() < end:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.02)
    said = "saved after signal 15" if patience == "30" else ""
    assert (tmp_path / "said").read_text() == said


def alive(number: int) -> bool:
    """A zombie is over, though it can still be signalled."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
