"""Bars on a terminal, and a line now and then where there is none: a log file, CI, `| tee`."""

import time
from collections.abc import Iterable
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.progress import TimeRemainingColumn as TimeLeft

LEAST_SECONDS, MOST_SECONDS = 30.0, 300.0
"""Between two lines: less than what makes a CI give up, and few in a log of days."""
SHARE = 0.05
"""Of the time that has passed, if that is between the two."""

Item = TypeVar("Item")


class Pace:
    """When the next line is due."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        wait = min(MOST_SECONDS, max(LEAST_SECONDS, SHARE * (now - self.began)))
        if now - self.last < wait:
            return False
        self.last = now
        return True


class Bars(Progress):
    """rich's bars; where the console is no terminal, lines about the first task that is not done.

    A task's fields are words for the end of its line.
    """

    def __init__(self, *columns: Any, **settings: Any) -> None:
        super().__init__(*columns, **settings)
        self.pace: Pace | None = None
        if not self.console.is_terminal:
            self.disable, self.pace = True, Pace()

    def update(self, task_id: TaskID, **changes: Any) -> None:  # type: ignore[override]
        super().update(task_id, **changes)
        self._tell()

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        super().advance(task_id, advance)
        self._tell()

    def stop(self) -> None:
        if self.pace is None:
            super().stop()

    def _tell(self) -> None:
        if self.pace is None or not self.pace.due():
            return
        task = next((task for task in self.tasks if not task.finished), None)
        if task is not None:
            total = "" if task.total is None else f" of {task.total:.0f}"
            words = [str(words) for words in task.fields.values() if words]
            if "left" not in " ".join(words):
                words += _left(task.elapsed, task.completed, task.total)
            line = "; ".join([f"{task.description}: {task.completed:.0f}{total}", *words])
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _left(elapsed: float | None, completed: float, total: float | None) -> list[str]:
    if not elapsed or not completed or total is None:
        return []
    seconds = elapsed / completed * (total - completed)
    return [f"about {seconds / 60:.0f} min left" if seconds >= 60 else f"{seconds:.0f} s left"]


def track(items: Iterable[Item], title: str, total: int | None = None) -> Iterable[Item]:
    """The items one by one; the bar is gone when they are."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeLeft())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        if total is None:
            total = len(items)  # type: ignore[arg-type]
        task = bars.add_task(title, total=total)
        for item in items:
            yield item
            bars.advance(task)
