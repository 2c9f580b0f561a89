"""The processes of this machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Yield each process with its arguments; one that has ended meanwhile is none, and neither is one of the kernel."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            arguments = (process / "cmdline").read_text(errors="replace").split("\0")[:-1]
            if arguments:
                yield int(process.name), arguments


def children() -> list[int]:
    """Return the processes that this one has started and not waited for (proc(5), children)."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            found += [int(number) for number in (thread / "children").read_text().split()]
    return found


def ignores(process: int, number: int) -> bool:
    """Whether a process ignores a signal (proc_pid_status(5), SigIgn)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    return bool(mask >> (number - 1) & 1)
