"""Programs for which it is another time."""

from pathlib import Path

import pytest


def other_time(when: str) -> tuple[str, ...]:
    """Return what is put before a command for which it is `when`: `@2022-06-01 00:00:00`, or `+3d` from now. Skips the test without libfaketime.

    `faketime` itself fails where a process of its number, that was killed, has left its semaphore.
    """
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        pytest.skip("libfaketime is missing (Debian package faketime)")
    return ("env", f"LD_PRELOAD={library}", f"FAKETIME={when}")
