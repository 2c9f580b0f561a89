import io
import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from everest_secure.cli.progress import AFTER, progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def ticking(step: float) -> Callable[[], float]:
    """A clock that is `step` seconds later at each look."""
    times = itertools.count(0.0, step)
    return lambda: next(times)


def test_a_long_check_says_how_far_it_has_come_and_leaves_no_trace() -> None:
    terminal, clock = Terminal(), ticking(AFTER)
    with progress(terminal, clock=clock) as told:
        told(1, 4, "NET-01  disk.raw")
        told(2, 4, "NET-04  disk.raw")
    assert terminal.getvalue().split("\r\x1b[K") == ["", "   25 %  NET-01  disk.raw", "   50 %  NET-04  disk.raw", ""]


def test_a_short_check_says_nothing() -> None:
    terminal, clock = Terminal(), ticking(AFTER / 10)
    with progress(terminal, clock=clock) as told:
        told(1, 2, "NET-01")
        told(2, 2, "NET-04")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_shown_in_a_pipe_or_when_it_is_not_wanted(wanted: bool) -> None:
    stream, clock = io.StringIO() if wanted else Terminal(), ticking(AFTER)
    with progress(stream, wanted=wanted, clock=clock) as told:
        told(1, 2, "NET-01")
    assert stream.getvalue() == ""


def test_the_line_is_gone_when_the_check_is_interrupted() -> None:
    terminal, clock = Terminal(), ticking(AFTER)
    with suppress(KeyboardInterrupt), progress(terminal, clock=clock) as told:
        told(1, 2, "NET-01")
        raise KeyboardInterrupt
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_name_moves_no_cursor_and_breaks_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal, clock = Terminal(), ticking(AFTER)
    with progress(terminal, clock=clock) as told:
        told(1, 2, "\x1b[2J" + "x" * 100)
    (shown,) = [text for text in terminal.getvalue().split("\r\x1b[K") if text]
    assert shown.isprintable()
    assert len(shown) == 39
