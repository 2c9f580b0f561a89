"""Work on all cores: each process takes whole units of work, so that a file system is read by one process alone.

Processes are forked, so that they begin with everything that is open already; only results travel back. The process that asks is one of them: waiting alone
it would cost its memory for nothing.
"""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from everest_secure.ending import disregard
from everest_secure.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

Value = TypeVar("Value")

ENDED = "a process of the check ended before its work was done, perhaps for want of memory; check fewer artefacts at once, or with --jobs 1"
PIPE = 1024 * 1024
"""Bytes that a process may say before somebody listens, as many as Linux gives everybody (pipe(7)); so it need not wait for another that is busy."""
MEMORY = 512 * 1024 * 1024
"""Bytes that a process may come to need; no more are started than there is memory for."""


@dataclass(frozen=True)
class Unit(Generic[Value]):
    """A piece of work that needs nothing of the others."""

    weight: int
    """How long it takes compared with the others, such as the bytes that it reads."""
    run: Callable[[], Iterator[Value]]


def cores() -> int:
    """Return the number of processes that this machine can use: its cores, as far as there is memory."""
    return max(1, min(len(os.sched_getaffinity(0)), _available() // MEMORY))


def results(units: Sequence[Unit[Value]], *, processes: int) -> Iterator[tuple[int, Value]]:
    """Run all units and yield what each yields with the unit's position, as it comes; a single unit runs in this process.

    No thread may run, as a process that is forked beside one may find a lock held for ever. Raises UserError when a process ends before its work is
    done, as the kernel ends one for want of memory.
    """
    if min(processes, len(units)) < 2:
        yield from _units(units, range(len(units)))
        return
    yield from _forked(units, min(processes, len(units)))


def _forked(units: Sequence[Unit[Value]], processes: int) -> Iterator[tuple[int, Value]]:
    """Give each process, of which this is one, one unit after the other, the heaviest first."""
    from multiprocessing.connection import Connection, wait

    order = sorted(range(len(units)), key=lambda position: -units[position].weight)
    others = processes - 1
    running: dict[Connection, ForkProcess] = {}

    def told(timeout: float | None) -> Iterator[tuple[int, Value]]:
        """Yield what the others have said, after at most `timeout` seconds until one says something."""
        for ready in wait(list(running), timeout):
            assert isinstance(ready, Connection)  # noqa: S101 - nothing else was waited for
            try:
                message = ready.recv()
            except EOFError:
                raise UserError(ENDED) from None
            if message is not None:
                yield message
                continue
            ready.close()
            running.pop(ready).join()

    with _Queue(order[processes:]) as queue:
        try:
            for first in order[:others]:
                process, ours = _start(partial(_units, units, chain([first], queue)))
                running[ours] = process
            for position in chain([order[others]], queue):
                for value in _whole(units[position]):
                    yield position, value
                    yield from told(0)
            while running:
                yield from told(None)
        finally:
            for process in running.values():
                process.kill()
                process.join()


def _units(units: Sequence[Unit[Value]], positions: Iterable[int]) -> Iterator[tuple[int, Value]]:
    """Do the units at these positions."""
    return ((position, value) for position in positions for value in units[position].run())


def _whole(unit: Unit[Value]) -> Iterator[Value]:
    """Do a unit; raises UserError when it cannot be done, as in a process of its own."""
    try:
        yield from unit.run()
    except Exception:
        raise UserError(ENDED) from None


class _Queue:
    """Numbers that processes which are forked from here on take, each of them once: they share the offset of an open file (open(2))."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._file = os.fdopen(os.memfd_create("queue"), "r+b", buffering=0)
        self._file.write(array(_NUMBER, numbers).tobytes())
        self._file.seek(0)

    def __iter__(self) -> Iterator[int]:
        while one := self._file.read(array(_NUMBER).itemsize):
            yield array(_NUMBER, one)[0]

    def __enter__(self) -> "_Queue":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


_NUMBER = "Q"
"""How a number lies in the file of a queue."""


def _start(work: Callable[[], Iterable[object]]) -> "tuple[ForkProcess, Connection]":
    """Start a process that sends what some work yields, and None behind it."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    with suppress(OSError):
        fcntl(theirs.fileno(), F_SETPIPE_SZ, PIPE)
    process = context.Process(target=_work, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _work(connection: "Connection", work: Callable[[], Iterable[object]]) -> None:
    """Send what the work yields, and None behind it; whoever waits sees from its absence that something went wrong."""
    disregard()
    with suppress(Exception):
        for value in work():
            connection.send(value)
        connection.send(None)


def _available() -> int:
    """Return the bytes of memory that can be had without swapping (proc_meminfo(5), MemAvailable); a lot where it is not told."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 64 * MEMORY
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 64 * MEMORY)
