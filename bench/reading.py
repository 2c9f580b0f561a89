"""Measures the readers of file systems and prints the figures; asserts nothing. `PYTHONPATH=.:scripts:tests python bench/reading.py DIRECTORY`.

DIRECTORY is where bench/images.py makes its images. Each figure is the median of several processes: the whole tree with modes, owners, links and
attributes, the interpreter's start included; then the same, and of every file the beginning, of every program what its headers lead to.
"""

import os
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

RUNS = 5
HEAD = 64 * 1024


def read(path: Path, *, content: bool) -> int:
    """Read one artefact's largest tree; return the anonymous memory that this process then has, in bytes."""
    from everest_secure.image.artefact import open_artefact

    trees = [part.tree for part in open_artefact(path).walk() if part.tree is not None]
    tree = max(trees, key=lambda each: len(each.nodes()))
    for node in tree.nodes() if content else ():
        if not node.is_file:
            continue
        blob = tree.blob(node)
        head = blob.head(HEAD)
        if head[:4] == b"\x7fELF":
            (sections,) = struct.unpack_from("<Q", head, 40)
            blob.read(min(sections, node.size), min(4096, max(node.size - sections, 0)))
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) * 1024


def measure(path: Path, what: str) -> tuple[float, float, float]:
    """Return seconds of wall time and of CPU time, and MiB of anonymous memory, of one process that reads."""
    started, before = time.monotonic(), os.times()
    done = subprocess.run([sys.executable, __file__, what, path], capture_output=True, text=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.monotonic() - started, spent, int(done.stdout) / 1024 / 1024


def main() -> None:
    """Print one table, or with `tree` or `content` and an artefact be the process that is measured, which imports nothing else."""
    if sys.argv[1] in ("tree", "content"):
        print(read(Path(sys.argv[2]), content=sys.argv[1] == "content"))
        return
    from bench import images
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Reading on {os.cpu_count()} cores (medians of {RUNS})", title_justify="left")
    for column in ("image", "MB", "what", "seconds", "CPU seconds", "anonymous MiB"):
        table.add_column(column, justify="left" if column in ("image", "what") else "right")
    for form, path in images.make(Path(sys.argv[1])).items():
        for what in ("tree", "content"):
            subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
            wall, spent, memory = (statistics.median(column) for column in zip(*(measure(path, what) for _ in range(RUNS)), strict=True))
            table.add_row(form, f"{path.stat().st_size / 1e6:.0f}", what, f"{wall:.2f}", f"{spent:.2f}", f"{memory:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
