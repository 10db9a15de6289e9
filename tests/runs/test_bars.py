"""A line now and then where there is no terminal, and no flood of them."""

import io

import pytest
from rich.console import Console

from uda_seg.runs import bars


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(bars.time, "monotonic", lambda: now[0])
    return now


def hours_of(clock: list[float], hours: float, terminal: bool = False) -> list[str]:
    """What a thousand images in that time leave on the console."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=200)
    with bars.Bars("bar", "words", console=console, get_time=lambda: clock[0]) as shown:
        task = shown.add_task("images", total=1000, words="")
        for _ in range(1000):
            clock[0] += 3600 * hours / 1000
            shown.update(task, advance=1, words="2.0 images/s")
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_lines_come_twice_a_minute_at_first_and_every_twentieth_later(clock) -> None:
    lines = hours_of(clock, 0.1)
    assert 10 <= len(lines) <= 12
    assert lines[0] == "images: 84 of 1000; 2.0 images/s; about 5 min left"
    assert 80 <= len(hours_of(clock, 4)) <= 100
    assert not hours_of(clock, 0.005)


def test_a_terminal_has_bars(clock) -> None:
    drawn = "\n".join(hours_of(clock, 0.02, terminal=True))
    assert "images:" not in drawn
    assert "2.0 images/s" in drawn


def test_a_rate_is_of_what_was_counted(clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=200)
    with bars.Bars("count", "words", console=console, get_time=lambda: clock[0]) as shown:
        count = shown.counter("[odd] name.png", 8, "images/s")
        clock[0] += 2
        count(6)
    drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[odd] name.png" in drawn
    assert "3.0 images/s" in drawn


def test_a_loop_tells_how_far_it_is(monkeypatch, capsys) -> None:
    monkeypatch.setattr(bars, "LEAST_SECONDS", 0.0)
    monkeypatch.setattr(bars, "SHARE", 0.0)
    assert list(bars.track(range(3), "scoring", 3)) == [0, 1, 2]
    assert "scoring: " in capsys.readouterr().err
