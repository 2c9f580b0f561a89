"""How much room a bundle takes while it is made."""

from collections.abc import Sequence
from pathlib import Path

OVERHEAD = 16 * 1024 * 1024
"""Bytes for the manifest, the signature and the file system around the images."""


def needed(files: Sequence[Path], *, beside: Path) -> int:
    """Return how many bytes a bundle of `files` may take in the directory `beside` while it is made.

    Images that do not compress count whole, their hash tree with a hundredth, and those on another file system once more for their copy.
    """
    device = beside.stat().st_dev
    sizes = [(file.stat().st_size, file.stat().st_dev) for file in files]
    total = sum(size for size, _ in sizes)
    copies = sum(size for size, where in sizes if where != device)
    return total + total // 100 + copies + OVERHEAD
