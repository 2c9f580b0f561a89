"""Waiting for what is to come, and no longer than that can take."""

import subprocess
import time
from collections.abc import Callable

PATIENCE = 20
"""Seconds after which something does not come any more."""


def eventually(condition: Callable[[], object], otherwise: Callable[[], object] = str) -> None:
    """Wait until a condition holds; what never holds fails, with what `otherwise` says."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.05)


def while_it_runs(process: subprocess.Popen[bytes], condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fails when the process ends before."""

    def holds() -> object:
        assert process.poll() is None, f"{process.args!r} has ended with {process.returncode}"
        return condition()

    eventually(holds)
