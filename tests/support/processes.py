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
