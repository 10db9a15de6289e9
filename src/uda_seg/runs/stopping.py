"""Being asked to end: by Ctrl-C, by a scheduler, by a terminal or a parent process that is gone."""

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
SIGUSR1 = getattr(signal, "SIGUSR1", None)  # not on Windows
PATIENCE = 30.0
"""Seconds a process has to end by itself when it is asked to; SLURM gives as many."""
WORKER_SECONDS = 20
PARENT = "UDA_SEG_PARENT"
"""Tells a process whose end is to be its own end."""
FOLDER_VARIABLE = "UDA_SEG_RUN_FOLDER"
"""Tells the ranks that Lightning starts where the first one writes."""


class Stopped(SystemExit):
    """Ends the program with the exit code of a signal: 130 after Ctrl-C, 143 after SIGTERM.

    Args:
        number: of the signal.
        words: for the user; None for those that fit any command.
    """

    def __init__(self, number: int, words: str | None = None) -> None:
        super().__init__(128 + number)
        self.number, self.words = int(number), words


class StopRequest:
    """Turns signals into `Stopped`; while it is patient, it notes the first and raises the second.

    A signal that is ignored, as SIGHUP under nohup, stays so.

    Attributes:
        number: of the signal that was noted.
        patient: whether somebody looks at `number` before long.
        words: written to the terminal when a signal is noted.
    """

    def __init__(
        self, patient: bool = False, also: Collection[int] = (), words: str | None = None
    ) -> None:
        self.patient, self.words = patient, words
        self.number: int | None = None
        self._numbers, self._noted_only = (*SIGNALS, *also), frozenset(also)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        self.listen()
        return self

    def listen(self) -> None:
        """Also takes back what a library has put in its place, such as Lightning's handlers."""
        for number in self._numbers:
            if signal.getsignal(number) != signal.SIG_IGN:
                with suppress(ValueError):  # only the main thread may
                    self._before.setdefault(number, signal.signal(number, self._receive))

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _receive(self, number: int, _: FrameType | None) -> None:
        first = self.number is None or self.number in self._noted_only
        if number in self._noted_only:
            self.number = self.number or number
        elif not self.patient or not first:
            raise Stopped(number)
        else:
            self.number = number
            if self.words:
                with suppress(OSError):  # print would not do within a signal's handler
                    os.write(2, f"\nuda-seg: {self.words}\n".encode())


def in_worker(_: int) -> None:
    """For a worker process of a DataLoader: what is sent to all processes at once, such as Ctrl-C,
    must not take the images away from a step that is to be finished.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "alarm"):  # it will not outlive its time, even where nobody stops it
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(WORKER_SECONDS))


def end_with_parent() -> None:
    """Where `PARENT` says so, ends this process when its parent is gone, however that was killed:
    by SIGTERM to itself, so that a run still saves.
    """
    told = os.environ.pop(PARENT, None)
    if told is None or int(told) == os.getpid():  # which it set itself, for its own children
        return
    if os.getppid() == int(told):
        threading.Thread(target=_watch, args=[int(told)], daemon=True).start()
    elif os.getppid() == 1:  # it was gone before this one began
        raise Stopped(signal.SIGTERM)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def command_to_go_on(folder: Path | None = None) -> str:
    """This command line again, to go on with the run in a folder."""
    words = list(sys.argv[1:])
    training = not words or words[0] == "train" or "=" in words[0] or words[0].startswith("-")
    if training or folder is not None:
        words = [word for word in words if not word.startswith("resume=")]
        # Hydra is imported late: signals are to be heard from the first moment on.
        from uda_seg.runs.quoting import where_needed

        words.append(f"resume={'auto' if folder is None else where_needed(folder)}")
    return shlex.join(["python", "-m", "uda_seg", *words])
