"""Whether the disk has room for a bundle before anything is written."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from everest_secure.bundle.errors import BundleError

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


def require(size: int, *, directory: Path) -> None:
    """Raise BundleError when the file system of `directory` has fewer than `size` bytes left."""
    free = shutil.disk_usage(directory).free
    if free < size:
        raise BundleError(
            f"{directory} has {_mebibytes(free)} free and the bundle may need {_mebibytes(size)}; make room or choose another place"
        )


def _mebibytes(size: int) -> str:
    return f"{-(-size // (1024 * 1024))} MiB"
