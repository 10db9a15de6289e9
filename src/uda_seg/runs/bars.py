"""Bars on a terminal, and a line now and then where there is none: a log file, CI, `| tee`."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LEAST_SECONDS, MOST_SECONDS = 30.0, 300.0
"""Between two lines: less than what makes a CI give up, and few in a log of days."""
SHARE = 0.05
"""Of the time that has passed, if that is between the two."""
BAR_SECONDS = 0.2
"""Between two drawings of the bars."""

COLUMNS: dict[str, Callable[[], ProgressColumn]] = {
    "bar": BarColumn,
    "wide bar": lambda: BarColumn(bar_width=None),
    "percent": TaskProgressColumn,
    "count": MofNCompleteColumn,
    "words": lambda: TextColumn("{task.fields[words]}", markup=False),
    "left": TimeRemainingColumn,
}
"""What may stand behind a task's description; `words` is a field of the task."""

Item = TypeVar("Item")


class Bars(Progress):
    """rich's bars; where the console is no terminal, lines about the first task that is not done.

    They are drawn where they are updated, not by a thread: processes are forked meanwhile.

    Args:
        columns: of `COLUMNS`.
        console: to draw on; None for stderr.
        settings: further ones of rich's.
    """

    def __init__(self, *columns: str, console: Console | None = None, **settings: Any) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            *(COLUMNS[name]() for name in columns),
            console=console or Console(stderr=True),
            auto_refresh=False,
            **settings,
        )
        self.drawn = self.began = self.last_line = time.monotonic()
        self.disable = self.silent = not self.console.is_terminal

    def update(self, task_id: TaskID, **changes: Any) -> None:  # type: ignore[override]
        super().update(task_id, **changes)
        if self.silent:
            self._write_line()
        elif time.monotonic() > self.drawn + BAR_SECONDS or self._tasks[task_id].finished:
            self.drawn = time.monotonic()
            self.refresh()

    def counter(self, title: str, total: int, unit: str = "") -> Callable[..., None]:
        """A new task; to be called with how many more are done.

        Args:
            title: of the task.
            total: to be done.
            unit: of the rate that is shown, such as images/s; none without it.
        """
        task, began, done = self.add_task(title, total=total, words=""), time.monotonic(), 0

        def count(more: int = 1) -> None:
            nonlocal done
            done += more
            rate = done / max(time.monotonic() - began, 1e-9)
            self.update(task, advance=more, words=f"{rate:.1f} {unit}" if unit else "")

        return count

    def follow(
        self, items: Iterable[Item], title: str, total: int, unit: str = ""
    ) -> Iterator[Item]:
        """The items one by one."""
        count = self.counter(title, total, unit)
        for item in items:
            yield item
            count()

    def stop(self) -> None:
        if not self.silent:
            super().stop()

    def _write_line(self) -> None:
        now = time.monotonic()
        wait = min(MOST_SECONDS, max(LEAST_SECONDS, SHARE * (now - self.began)))
        task = next((task for task in self.tasks if not task.finished), None)
        if task is None or now - self.last_line < wait:
            return
        self.last_line = now
        total = "" if task.total is None else f" of {task.total:.0f}"
        words = [str(words) for words in task.fields.values() if words]
        if "left" not in " ".join(words):
            words += _left(task.elapsed, task.completed, task.total)
        write_line(
            self.console, "; ".join([f"{task.description}: {task.completed:.0f}{total}", *words])
        )


def write_line(console: Console, line: str) -> None:
    """As it is, however long."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _left(elapsed: float | None, completed: float, total: float | None) -> list[str]:
    if not elapsed or not completed or total is None:
        return []
    seconds = elapsed / completed * (total - completed)
    return [f"about {seconds / 60:.0f} min left" if seconds >= 60 else f"{seconds:.0f} s left"]


def track(items: Iterable[Item], title: str, total: int) -> Iterator[Item]:
    """The items one by one; the bar is gone when they are."""
    with Bars("bar", "percent", "left", transient=True) as bars:
        yield from bars.follow(items, title, total)
