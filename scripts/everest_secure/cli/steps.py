"""Progress of long work: a line per step with its time; the running step is shown on a terminal only."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say that `name` begins, and how long it took when it has ended without an error."""
    live = sys.stdout.isatty()
    if live:
        sys.stdout.write(f"  … {name}")
        sys.stdout.flush()
    started = time.monotonic()
    try:
        yield
    except BaseException:
        sys.stdout.write(f"\r  ✗ {name}\n" if live else f"  ✗ {name}\n")
        sys.stdout.flush()
        raise
    took = time.monotonic() - started
    sys.stdout.write(f"{chr(13) if live else ''}  ✓ {name:<44}{took:6.1f} s\n")
    sys.stdout.flush()
