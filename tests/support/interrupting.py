"""Commands that are killed at random times, and disks that are too small for them."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = (sys.executable, "-c", "import sys; from everest_secure.cli.main import main; sys.exit(main())")


def duration(*argv: str) -> float:
    """Return how long a command of everest-secure takes, in seconds, when nobody kills it; it must succeed."""
    started = time.monotonic()
    subprocess.run([*PROGRAM, *argv], check=True, capture_output=True)
    return time.monotonic() - started


def killed(delay: float, *argv: str) -> bool:
    """Run a command and kill it after a while; whether it had not ended before."""
    return ended(delay, signal.SIGKILL, *argv).returncode != 0


def ended(delay: float, number: signal.Signals, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command and send it a signal after a while, unless it ends before; how it ended, and what it said of it."""
    process = subprocess.Popen([*PROGRAM, *argv], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        _, said = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stderr=said)


def delays(takes: float, seed: str, *, rounds: int) -> Iterator[float]:
    """Yield seconds: at once, and random times of the second half, in which the work is done after the program has started."""
    dice = random.Random(seed)
    yield 0.0
    for _ in range(rounds):
        yield dice.uniform(0.5, 1.1) * takes


@contextmanager
def small_disk(place: Path, *, mib: int) -> Iterator[Path]:
    """Mount a file system of some MiB while the block lasts; skips the test where that cannot be done."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}M", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(disk: Path, *, free: int) -> None:
    """Leave some bytes free, by the file `filler`, which is made anew."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)
    with filler.open("wb") as file:
        there = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, max(there.f_bavail * there.f_bsize - free, 1))
