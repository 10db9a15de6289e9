"""How far a run is: a bar on a terminal, lines elsewhere, and progress.json for other programs.

Also what share of the time the step waits for data. An accelerator may still be at work while it
does, which is no waiting: there, one step in ten begins when the one before it is through.
"""

import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from rich.console import Console
from torch import Tensor

from uda_seg.batch import Batch
from uda_seg.runs import files
from uda_seg.runs.bars import Bars, write_line

log = logging.getLogger(__name__)

BAR_SECONDS = 0.5
"""Between two looks at the losses: each makes the CPU wait for an accelerator."""
FILE_SECONDS = 2.0
LINE_SECONDS = 15.0
"""Between two lines where there is no terminal: seldom enough for a log of days."""
SCORING_SECONDS = 30.0
"""The same while a run is scored."""
WINDOW = 50
"""Steps that the images a second are a mean of."""
WAITED_EVERY = 10
"""Steps between two of a GPU whose wait for data is measured."""
NOTICEABLE, TOO_MUCH = 0.1, 0.2
"""Shares of the time that is spent waiting for data: from where it is shown, and advised on."""


class ProgressLine(Callback):
    """Step, losses, images a second (source and target together) and time left.

    Args:
        folder: of the run, for progress.json.
        show: False writes progress.json only.
        every: steps between two lines at least, where there is no terminal.
        console: to draw on; None for stderr.
    """

    def __init__(
        self, folder: str | Path, show: bool, every: int, console: Console | None = None
    ) -> None:
        self.path = Path(folder, "progress.json")
        self.show, self.every = show, every
        self.console = console or Console(stderr=True)
        self.bar: Bars | None = None
        self.clock = Clock()
        self.last: dict[str, float] = {}
        """When each way of telling was last used."""
        self.advised = False

    def on_train_start(self, trainer: Trainer, module: Any) -> None:
        if not trainer.is_global_zero:
            return
        self.clock.start()
        if self.show and self.console.is_terminal:
            self.bar = Bars("wide bar", "words", console=self.console)
            self.bar.add_task("", total=self.steps(trainer), words="starting")
            self.bar.start()
        self.tell(trainer, module)

    def on_train_batch_start(
        self, trainer: Trainer, module: Any, batch: Any, batch_idx: int
    ) -> None:
        self.clock.begin()

    def on_train_batch_end(
        self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.is_global_zero:
            idle = at_rest(module.device, trainer.global_step)
            self.clock.tick(trainer.global_step, images_in(batch) * trainer.world_size, idle)
            self.advise(trainer)
            self.tell(trainer, module)

    def on_validation_start(self, trainer: Trainer, module: Any) -> None:
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], words="scoring …", refresh=True)
        self.due("scoring", SCORING_SECONDS)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        module: Any,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        quiet = not self.show or self.console.is_terminal or not trainer.is_global_zero
        if not quiet and self.due("scoring", SCORING_SECONDS):
            total = sum(n for n in trainer.num_val_batches if math.isfinite(n))
            line = f"scoring at step {trainer.global_step}: batch {batch_idx + 1} of {total}"
            write_line(self.console, line)

    def on_validation_end(self, trainer: Trainer, module: Any) -> None:
        self.clock.skip()

    def on_train_end(self, trainer: Trainer, module: Any) -> None:
        if trainer.is_global_zero:
            self.tell(trainer, module, last=True)
        self.stop()

    def on_exception(self, trainer: Trainer, module: Any, exception: BaseException) -> None:
        self.stop()

    def stop(self) -> None:
        """Leaves the terminal as it was found."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def tell(self, trainer: Trainer, module: Any, last: bool = False) -> None:
        """Uses each way of telling whose time has come; without one, nothing is computed."""
        step, steps = trainer.global_step, self.steps(trainer)
        last = last or step == steps
        bar = self.bar is not None and (self.due("bar", BAR_SECONDS) or last)
        file = self.due("file", FILE_SECONDS) or last
        line = self.show and not self.console.is_terminal and step > 0 and self.line_due(step, last)
        if not (bar or file or line):
            return
        state = self.state(step, steps, module.last_losses)
        if bar and self.bar is not None:
            head, tail = words(state)
            task = self.bar.task_ids[0]
            self.bar.update(task, completed=step, description=head, words=tail, refresh=True)
        if line:
            write_line(self.console, "  ".join(words(state)))
        if file:
            self.write(state)

    def advise(self, trainer: Trainer) -> None:
        """Once, when the step has waited for data for long."""
        waiting = self.clock.waiting()
        if self.advised or waiting is None or waiting <= TOO_MUCH:
            return
        self.advised = True
        log.warning(
            "%.0f %% of the time, training waits for data: raise trainer.workers= (%s now; %s "
            "cores), or keep what was read: cache=auto, cache=disk",
            100 * waiting,
            trainer.datamodule.workers,  # type: ignore[attr-defined]
            os.cpu_count(),
        )

    def due(self, way: str, seconds: float) -> bool:
        now = time.monotonic()
        if now - self.last.get(way, -math.inf) < seconds:
            return False
        self.last[way] = now
        return True

    def line_due(self, step: int, last: bool) -> bool:
        """First step, then at multiples of `every` but not too often, then the end, once."""
        if self.last.get("line step") == step:
            return False
        first = "line step" not in self.last
        if last or ((first or step % self.every == 0) and self.due("line", LINE_SECONDS)):
            self.last["line step"] = step
            return True
        return False

    def state(self, step: int, steps: int | None, losses: Mapping[str, Tensor]) -> dict[str, Any]:
        rate, left = self.clock.rate(), self.clock.left(step, steps)
        waiting = self.clock.waiting()
        return {
            "step": step,
            "steps": steps,
            "images_per_second": rate and round(rate, 2),
            "waiting_for_data": None if waiting is None else round(waiting, 3),
            "seconds_left": None if left is None else round(left, 1),
            "loss": {name: number(loss) for name, loss in losses.items()},
        }

    def write(self, state: Mapping[str, Any]) -> None:
        files.write_text(self.path, json.dumps(state) + "\n")

    @staticmethod
    def steps(trainer: Trainer) -> int | None:
        return trainer.max_steps if trainer.max_steps > 0 else None


class Clock:
    """Training speed without, and time left with, the time that scoring takes."""

    def __init__(self) -> None:
        self.latest = 0.0
        self.recent: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        """Seconds and images of the latest steps."""
        self.waits: deque[float] = deque(maxlen=WINDOW)
        """Seconds until the batch was there, of those among them where it is known."""
        self.idle, self.wait = False, math.nan
        self.warm: tuple[float, int] | None = None
        """Time and step when the first step, which is slow, was over."""

    def start(self) -> None:
        self.latest = time.monotonic()
        self.recent.clear()
        self.waits.clear()
        self.warm = None

    def begin(self) -> None:
        """The batch of a step is there."""
        self.wait = time.monotonic() - self.latest if self.idle else math.nan

    def tick(self, step: int, images: int, idle: bool) -> None:
        """A step is over, and whether the device is idle until the next begins."""
        self.idle, now = idle, time.monotonic()
        if self.warm is None:
            self.warm = (now, step)
        else:
            self.recent.append((now - self.latest, images))
            if not math.isnan(self.wait):
                self.waits.append(self.wait)
        self.latest = now

    def skip(self) -> None:
        """What happened since the last tick was no training."""
        self.latest, self.idle = time.monotonic(), False

    def waiting(self) -> float | None:
        """The share of the latest steps' time until their batches were there; None while few."""
        seconds = sum(duration for duration, _ in self.recent)
        if len(self.recent) < WINDOW or not self.waits or not seconds:
            return None
        return sum(self.waits) / len(self.waits) / (seconds / len(self.recent))

    def rate(self) -> float | None:
        """Images a second over the latest steps."""
        seconds = sum(duration for duration, _ in self.recent)
        return sum(images for _, images in self.recent) / seconds if seconds else None

    def left(self, step: int, steps: int | None) -> float | None:
        """Seconds to the last step, at the pace since the first."""
        if steps is None or self.warm is None or step <= self.warm[1]:
            return 0.0 if step == steps else None
        began, first = self.warm
        return (time.monotonic() - began) / (step - first) * (steps - step)


def at_rest(device: torch.device, step: int) -> bool:
    """Whether a device has nothing to do once a step is over; now and then a GPU is waited for."""
    if device.type == "cuda" and step % WAITED_EVERY == 0:
        torch.cuda.synchronize(device)
        return True
    return device.type == "cpu"


def images_in(batch: Batch) -> int:
    """Source and target images of a batch."""
    return len(batch.source.image) + len(batch.target.image)


def number(loss: Tensor) -> float | None:
    """None where JSON has no number."""
    value = float(loss)
    return round(value, 5) if math.isfinite(value) else None


def words(state: Mapping[str, Any]) -> tuple[str, str]:
    """What stands before a bar, and what behind it."""
    steps = f"/{state['steps']}" if state["steps"] else ""
    tail = [
        f"{short(name)} {'nan' if value is None else f'{value:.3g}'}"
        for name, value in state["loss"].items()
    ]
    if state["images_per_second"] is not None:
        tail.append(f"{state['images_per_second']:.1f} images/s")
    if (state["waiting_for_data"] or 0) >= NOTICEABLE:
        tail.append(f"waiting for data {100 * state['waiting_for_data']:.0f} %")
    if state["seconds_left"] is not None:
        tail.append(f"{clock_time(state['seconds_left'])} left")
    return f"step {state['step']}{steps}", "  ".join(tail)


def short(name: str) -> str:
    """adversarial_main -> adv_main."""
    return "_".join(word[:3] if len(word) > 6 else word for word in name.split("_"))


def clock_time(seconds: float) -> str:
    """125 -> 2:05, 3725 -> 1:02:05."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
