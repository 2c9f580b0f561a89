"""How a command is told to end before it is done: an interrupt (SIGINT), or a request of whoever runs it (SIGTERM, SIGHUP), as CI makes one.

All are a KeyboardInterrupt, so that what has been begun is undone once, and in the same way.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

REQUESTS = (signal.SIGTERM, signal.SIGHUP)


class Terminated(KeyboardInterrupt):
    """A request to end."""


@contextmanager
def heeding_requests() -> Iterator[None]:
    """Raise Terminated in the block on the first request to end; those behind it do not disturb the tidying up.

    A request that somebody ignores or handles, as nohup(1) does, stays so; so do all in another thread than the main one, which signals do not reach.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in REQUESTS if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(f"told to end by {signal.Signals(number).name}")

    try:
        for number in ours:
            signal.signal(number, end)
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def disregard() -> None:
    """For a process that is forked: it ends when the one that forked it says so, and not by an interrupt at the terminal."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in REQUESTS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def held_back() -> Iterator[None]:
    """Hold interrupts and requests to end back until the block has ended, and let the first of them happen then. For the main thread alone."""
    came: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *REQUESTS)}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    try:
        for number in handled:
            signal.signal(number, lambda number, frame: came.append((number, frame)))
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    if came:
        handled[signal.Signals(came[0][0])](*came[0])
