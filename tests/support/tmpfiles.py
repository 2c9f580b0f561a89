"""The real systemd-tmpfiles on a tree, some days from now."""

import os
import subprocess
from pathlib import Path

from support.clock import other_time


def tmpfiles(root: Path, *arguments: str, days: int = 0, check: bool = True) -> None:
    """Run it on the files below `root` and with the rules there; unless `check`, it may end with the status of its worst line."""
    clock = other_time(f"+{days}d") if days else ()
    # Files keep the times that they have.
    environment = {**os.environ, "NO_FAKE_STAT": "1"}
    subprocess.run([*clock, "systemd-tmpfiles", *arguments, f"--root={root}"], env=environment, capture_output=True, check=check)
