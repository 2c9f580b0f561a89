"""Work on all cores: each process takes whole units of work, so that a file system is read by one process alone.

Processes are forked, so that they begin with everything that is open already; only results travel back.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from everest_secure.errors import UserError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

Value = TypeVar("Value")

ENDED = "a process of the check ended before its work was done, perhaps for want of memory; check fewer artefacts at once, or with --jobs 1"
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
        for position, unit in enumerate(units):
            for value in unit.run():
                yield position, value
        return
    yield from _forked(units, min(processes, len(units)))


@contextmanager
def beside(work: Callable[[], Value]) -> Iterator[Callable[[], Value]]:
    """Begin some work in a process of its own, and yield a function that waits for what comes of it; the process does not outlive the block.

    That function raises UserError when the process ends before its work is done.
    """
    process, ours = _start([Unit(1, lambda: iter([work()]))], [])
    ours.send(0)

    def wait() -> Value:
        try:
            _, value = ours.recv()
        except EOFError:
            raise UserError(ENDED) from None
        return cast("Value", value)

    try:
        yield wait
    finally:
        process.kill()
        process.join()
        ours.close()


def _forked(units: Sequence[Unit[Value]], processes: int) -> Iterator[tuple[int, Value]]:
    """Give each process one unit after the other, the heaviest first."""
    from multiprocessing.connection import Connection, wait

    todo = sorted(range(len(units)), key=lambda position: units[position].weight)
    running: dict[Connection, ForkProcess] = {}
    try:
        for _ in range(processes):
            process, ours = _start(units, list(running))
            running[ours] = process
            ours.send(todo.pop())
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)  # noqa: S101 - nothing else was waited for
                try:
                    message = ready.recv()
                except EOFError:
                    raise UserError(ENDED) from None
                if message is not None:
                    yield message
                elif todo:
                    ready.send(todo.pop())
                else:
                    ready.close()
                    running.pop(ready).join()
    finally:
        for process in running.values():
            process.kill()
            process.join()


def _start(units: Sequence[Unit[Value]], others: "Sequence[Connection]") -> "tuple[ForkProcess, Connection]":
    """Start a process that does the units whose positions it is sent, and ends when nobody can send it any; `others` are the connections to those before it."""
    import multiprocessing

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=([*others, ours], theirs, units), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _work(inherited: "Sequence[Connection]", connection: "Connection", units: Sequence[Unit[Value]]) -> None:
    """Send what the units yield, and None after each; whoever waits sees from its absence that something went wrong."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for other in inherited:
        other.close()  # the ends of the process that sends; while one is open, its end is not seen
    with suppress(Exception):
        while True:
            position = connection.recv()
            for value in units[position].run():
                connection.send((position, value))
            connection.send(None)


def _available() -> int:
    """Return the bytes of memory that can be had without swapping (proc_meminfo(5), MemAvailable); a lot where it is not told."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 64 * MEMORY
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 64 * MEMORY)
