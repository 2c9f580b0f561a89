"""A line on standard error that says how far the work has come; on a terminal only, and only when it takes long."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from everest_secure.text import printable

if TYPE_CHECKING:
    from everest_secure.checks.progress import Progress

AFTER = 0.7
"""Seconds before the line is shown: a check that takes less needs none."""
EVERY = 0.1
"""Seconds between two changes of it."""
_CLEAR = "\r\x1b[K"


@contextmanager
def progress(stream: TextIO | None = None, *, wanted: bool = True, clock: Callable[[], float] = time.monotonic) -> Iterator["Progress"]:
    """Yield a function to be told how far the work has come; the line is gone when the block ends, whatever ends it."""
    out = sys.stderr if stream is None else stream
    if not wanted or not out.isatty():
        from everest_secure.checks.progress import unseen

        yield unseen
        return
    line = _Line(out, clock)
    try:
        yield line.show
    finally:
        line.clear()


class _Line:
    def __init__(self, out: TextIO, clock: Callable[[], float]) -> None:
        self._out = out
        self._clock = clock
        self._next = clock() + AFTER
        self._shown = False

    def show(self, done: int, everything: int, what: str) -> None:
        if self._clock() < self._next:
            return
        text = printable(f"  {done * 100 // max(everything, 1):3} %  {what}")
        self._out.write(f"{_CLEAR}{text[: shutil.get_terminal_size().columns - 1]}")
        self._out.flush()
        self._shown = True
        self._next = self._clock() + EVERY

    def clear(self) -> None:
        if self._shown:
            self._out.write(_CLEAR)
            self._out.flush()
