"""Measures the whole check of large images and prints the figures; asserts nothing. `PYTHONPATH=.:scripts:tests python bench/check.py DIRECTORY`.

DIRECTORY is where bench/images.py makes its images; part of `make bench`. A figure is the median of several processes, the interpreter's start
included, with the image in the page cache. Memory is the peak of the anonymous memory of all processes together, what they share counted once, of a run of
its own. Peers run in the same run: extraction by the format's own tool, a walk over all that came out, and `checksec.py`, which is GPL-3.0-only and so
never a part of the product, over the programs.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import images
from rich.console import Console
from rich.table import Table

RUNS = 5
EVEREST_SECURE = Path(sys.executable).parent / "everest-secure"
GOALS: Mapping[str, tuple[float, int]] = {
    "ext4": (0.5, 60),
    "wic": (0.5, 60),
    "squashfs-zstd": (0.6, 150),
    "squashfs-xz": (2.5, 150),
    "erofs": (0.45, 60),
    "tar.zst": (1.1, 60),
    "tar.gz": (1.8, 60),
    "raucb": (1.1, 60),
}
"""Seconds and MB of anonymous memory by format."""
CHECKSEC = "checksec.py==0.7.5"
_SAMPLE = 0.01
"""Seconds between two looks at the memory."""

Argv = Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Cost:
    """What processes took, in seconds."""

    wall: float
    processor: float


def cost(argv: Argv) -> Cost:
    """Run a program, its output thrown away; it may say that there are findings, but must not fail."""
    started = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode < 0 or b"everest-secure: " in said:
        sys.exit(f"{argv[0]} failed: {said.decode()}")
    return Cost(time.monotonic() - started, usage.ru_utime + usage.ru_stime)


def environment() -> dict[str, str]:
    """Return the environment of a user, whose Python keeps what it compiled."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def median(argv: Argv) -> Cost:
    """Return the medians of RUNS runs."""
    found = [cost(argv) for _ in range(RUNS)]
    return Cost(statistics.median(each.wall for each in found), statistics.median(each.processor for each in found))


def anonymous_memory(argv: Argv) -> float:
    """Run a program and return the peak of the anonymous memory of it and its children, in MB."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(_anonymous, _family(process.pid))))
        time.sleep(_SAMPLE)
    return peak / 1e6


def _family(process: int) -> list[int]:
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(each for child in children for each in _family(int(child)))]


def _anonymous(process: int) -> int:
    """Return the share of a process, in bytes (proc_pid_smaps(5), Pss_Anon); 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:")), 0)


def check(*artefacts: Path, more: Argv = ()) -> list[str | Path]:
    """Return the command that checks artefacts."""
    return [EVEREST_SECURE, "check", "--quiet", *more, *artefacts]


def extraction(form: str, image: Path, target: Path) -> list[list[str | Path]]:
    """Return the commands by which the format's own tool unpacks an image; none where no tool does."""
    match form:
        case "ext4":
            return [["debugfs", "-R", f"rdump / {target}", image]]
        case "squashfs-zstd" | "squashfs-xz":
            return [["unsquashfs", "-quiet", "-no-progress", "-force", "-dest", target, image]]
        case "erofs":
            return [["fsck.erofs", f"--extract={target}", "--overwrite", image]]
        case "tar.zst" | "tar.gz":
            return [["tar", "-C", target, "-xf", image]]
        case "raucb":
            inside = target.with_name("bundle")
            return [
                ["unsquashfs", "-quiet", "-no-progress", "-force", "-dest", inside, image],
                ["debugfs", "-R", f"rdump / {target}", inside / "rootfs.img"],
            ]
    return []


def checksec(directory: Path) -> Path | None:
    """Return checksec.py in an environment of its own; None where it cannot be had."""
    program = directory / "checksec/bin/checksec"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", directory / "checksec"], check=True)
        done = subprocess.run([directory / "checksec/bin/pip", "install", "--quiet", CHECKSEC], check=False)
        if done.returncode:
            return None
    return program


def peers(form: str, image: Path, directory: Path, program: Path | None) -> float | None:
    """Return the seconds that extraction, walk and checksec.py take together, once; None where a format has no tool of its own."""
    with tempfile.TemporaryDirectory(dir=directory) as work:
        target = Path(work, "root")
        target.mkdir()
        commands = extraction(form, image, target)
        if not commands:
            return None
        walk: list[Argv] = [["find", target, "-printf", "%m %U %G %s %p\n"]]
        programs: list[Argv] = [[program, "--workers", str(os.cpu_count()), "--json", "--recursive", target]] if program else []
        return sum(cost(argv).wall for argv in (*commands, *walk, *programs))


def row(form: str, image: Path, directory: Path, program: Path | None) -> list[str]:
    """Measure one format."""
    subprocess.run(["cat", image], stdout=subprocess.DEVNULL, check=True)
    ours = median(check(image))
    memory = anonymous_memory(check(image))
    others = peers(form, image, directory, program)
    raw = median(["sha256sum", image] if form == "raucb" else ["dd", f"if={image}", "of=/dev/null", "bs=1M"])
    seconds, mb = GOALS[form]
    return [
        form,
        f"{image.stat().st_size / 1e6:.0f}",
        f"{seconds:.2f}",
        f"{ours.wall:.2f}",
        f"{ours.processor:.2f}",
        f"{mb}",
        f"{memory:.0f}",
        f"{others / ours.wall:.1f}" if others else "",
        f"{ours.wall / raw.wall:.1f}",
    ]


def several(found: Mapping[str, Path]) -> str:
    """Say what several artefacts at once take, on one core and on all."""
    artefacts = [found[form] for form in ("ext4", "squashfs-zstd", "erofs")]
    one, every = (median(check(*artefacts, more=more)).wall for more in (("--jobs", "1"), ()))
    return f"ext4, squashfs-zstd and erofs together: {every:.2f} s on all cores, {one:.2f} s with --jobs 1, {one / every:.1f} times as long"


def again(image: Path) -> str:
    """Say what a second run with a cache takes."""
    with tempfile.TemporaryDirectory() as kept:
        without = median(check(image)).wall
        first = cost(check(image, more=("--cache", kept))).wall
        second = median(check(image, more=("--cache", kept))).wall
    return f"{image.name} with --cache: {first:.2f} s first, {second:.2f} s again, {without / second:.1f} times as fast as without"


def measured(say: Callable[[str], object], directory: Path) -> Table:
    """Measure everything; `say` is given what does not fit into the table."""
    found = images.make(directory)
    program = checksec(directory)
    if program is None:
        say("checksec.py cannot be installed here: peers only unpack and walk")
    load = os.getloadavg()[0]
    table = Table(title=f"The whole check on {os.cpu_count()} cores, load {load:.1f} before (medians of {RUNS})", title_justify="left")
    for column in ("image", "MB", "goal s", "s", "CPU s", "goal MB", "anonymous MB", "peers / ours", "ours / dd or sha256sum"):
        table.add_column(column, justify="left" if column == "image" else "right")
    for form in GOALS:
        table.add_row(*row(form, found[form], directory, program))
    say(several(found))
    say(again(found["squashfs-zstd"]))
    return table


def main() -> None:
    """Print one table and the lines below it."""
    lines: list[str] = []
    console = Console()
    console.print(measured(lines.append, Path(sys.argv[1])))
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
