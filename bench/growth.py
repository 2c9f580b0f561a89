"""Measures how the whole check grows with the number of inodes, and prints it; asserts nothing. `PYTHONPATH=.:scripts:tests python bench/growth.py DIRECTORY`.

Ext4 images of small files in many directories are generated in DIRECTORY, which takes minutes and 2 GB; those that are there are kept.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.check import anonymous_memory, check, median
from support.images import tool

SIZES = (10_000, 100_000, 1_000_000)
IN_DIRECTORY = 100
"""Files of one directory; every fourth has some text, the others are empty."""


def make(directory: Path, inodes: int) -> Path:
    """Return an ext4 image of about so many inodes."""
    target = directory / f"inodes-{inodes}.ext4"
    if target.exists():
        return target
    root = directory / f"inodes-{inodes}"
    for name in ("etc", "usr/share"):
        (root / name).mkdir(parents=True)
    for number in range(inodes // (IN_DIRECTORY + 1)):
        place = root / "usr/share" / str(number // 100) / str(number)
        place.mkdir(parents=True)
        for file in range(IN_DIRECTORY):
            (place / f"file-{file}").write_text("" if file % 4 else f"{number} {file}\n" * 10)
    size = inodes * 2 // 1024 + 64
    tool("mke2fs", "-q", "-F", "-t", "ext4", "-b", "1024", "-N", str(inodes + 2000), "-E", "root_owner=0:0", "-d", root, target, f"{size}M")
    shutil.rmtree(root)
    return target


def main() -> None:
    """Print a line for each size."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for inodes in SIZES:
        image = make(directory, inodes)
        subprocess.run(["cat", image], stdout=subprocess.DEVNULL, check=True)
        took, memory = median(check(image)), anonymous_memory(check(image))
        print(f"{inodes:9,} inodes: {took.wall:6.2f} s, {took.processor:6.2f} s of CPU, {memory:5.0f} MB of anonymous memory")


if __name__ == "__main__":
    main()
