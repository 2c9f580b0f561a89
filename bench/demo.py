"""Measures the demonstration, the checker and the unit tests, and prints the figures; asserts nothing.

Run by `make bench`. It starts from an empty directory, so that the first demonstration needs the network. Ratios are to programs that have to
read the same bytes, in the same run: `sha256sum` of the disk image, and `unsquashfs` of its root file system.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

PROGRAMS = Path(sys.executable).parent
RUNS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """A program that has run."""

    seconds: float
    """Wall time."""
    mebibytes: float
    """Peak resident memory of the largest process, in MiB."""
    code: int


def measure(*argv: str | Path) -> Figure:
    """Run a program and wait for it, its output thrown away."""
    started = time.monotonic()
    process = subprocess.Popen([str(argument) for argument in argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    return Figure(time.monotonic() - started, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))


def median(run: Callable[[], Figure]) -> Figure:
    """Return the medians of RUNS runs."""
    found = [run() for _ in range(RUNS)]
    return Figure(statistics.median(f.seconds for f in found), statistics.median(f.mebibytes for f in found), found[-1].code)


def main() -> None:
    """Print one table."""
    everest_secure = PROGRAMS / "everest-secure"
    table = Table(title=f"Figures on {os.cpu_count()} cores (medians of {RUNS} but for the demonstrations)", title_justify="left")
    for column in ("what", "seconds", "MiB", "exit code", "ratio"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, figure: Figure, *, to: Figure | None = None) -> None:
        ratio = f"{figure.seconds / to.seconds:.1f}" if to else ""
        table.add_row(what, f"{figure.seconds:.2f}", f"{figure.mebibytes:.0f}", str(figure.code), ratio)

    with tempfile.TemporaryDirectory(prefix="everest-secure-bench-", dir=Path.cwd()) as directory:
        for what in ("first demonstration", "second demonstration"):
            row(what, measure(everest_secure, "demo", "--directory", directory))
        demo = Path(directory) / "demo"
        disk, bundle = next(demo.glob("*.raw")), next(demo.glob("*.raucb"))
        reference = median(partial(measure, "sha256sum", disk))
        row("sha256sum of the disk image", reference)
        for what, artefacts in (("check of the disk image", [disk]), ("check of disk image and bundle", [disk, bundle])):
            row(
                what,
                median(partial(measure, everest_secure, "check", "--profile", "reference", *artefacts)),
                to=reference,
            )
    row("unit tests", measure(PROGRAMS / "pytest", "--numprocesses", "3", "tests/unit"))
    Console().print(table)


if __name__ == "__main__":
    main()
