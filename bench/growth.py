"""Measures how the whole check grows with the number of inodes, and prints it; asserts nothing. `PYTHONPATH=.:scripts:tests python bench/growth.py DIRECTORY`.

Archives of small files in many directories are generated in DIRECTORY; those that are there are kept.
"""

import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

from bench.check import anonymous_memory, check, median

SIZES = (10_000, 100_000, 1_000_000)
IN_DIRECTORY = 100
"""Files of one directory; every fourth has some text, the others are empty."""


def make(directory: Path, inodes: int) -> Path:
    """Return an image of about so many inodes."""
    target = directory / f"inodes-{inodes}.tar"
    if target.exists():
        return target
    unfinished = target.with_suffix(".unfinished")
    with tarfile.open(unfinished, mode="w") as archive:
        for name in ("etc", "usr", "usr/share"):
            add_directory(archive, name)
        for number in range(inodes // (IN_DIRECTORY + 1)):
            place = f"usr/share/{number // 100}-{number}"
            add_directory(archive, place)
            for file in range(IN_DIRECTORY):
                content = b"" if file % 4 else f"{number} {file}\n".encode() * 10
                header = tarfile.TarInfo(f"{place}/file-{file}")
                header.size = len(content)
                archive.addfile(header, BytesIO(content))
            archive.members.clear()  # type: ignore[attr-defined]  # typeshed leaves it out; who packs a million files does not keep them
    return unfinished.rename(target)


def add_directory(archive: tarfile.TarFile, name: str) -> None:
    """Add a directory of root's."""
    header = tarfile.TarInfo(name)
    header.type, header.mode = tarfile.DIRTYPE, 0o755
    archive.addfile(header)


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
