"""The shells that a target has: dash for POSIX, and BusyBox, which OE-Core takes by default."""

import shutil
from collections.abc import Sequence

import pytest

SHELLS: dict[str, Sequence[str]] = {"dash": ("dash",), "busybox": ("busybox", "sh")}


def shell(name: str) -> Sequence[str]:
    """Return the command that runs a script with this shell; skips the test without it."""
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{SHELLS[name][0]} is not installed")
    return SHELLS[name]


any_shell = pytest.mark.parametrize("sh", SHELLS)
