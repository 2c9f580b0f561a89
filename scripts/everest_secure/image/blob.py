"""Bytes at an offset: the one way in which readers see a file, a partition, or a file inside a file system."""

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from everest_secure.errors import ArtefactError

MAX_READ = 128 * 1024 * 1024
"""Bytes of one read, a quarter of what a hostile input may take; a sparse file may claim to be far larger."""

MAX_SPARSE = 64 * 1024**3
"""Bytes up to which a file may be all holes, which take as long to hash as content: as many as are decompressed (`streams.MAX_SIZE`)."""
MAX_HOLES = 1000
"""How many times larger than what is stored of it a larger one may be."""

LONG_READ = 64 * 1024
"""Bytes from which a read is worth a system call."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A read-only run of `size` bytes with random access; cheap to slice, never copied as a whole."""

    name: str
    """What to call it in a message: `disk.raw`, `disk.raw:rootfs-a`."""
    size: int
    fetch: Callable[[int, int], bytes]
    """`fetch(offset, length)` returns exactly `length` bytes; `read` has checked the bounds."""
    path: Path | None = None
    """The file that it is the whole of; None for a part."""

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes at `offset`; raises ArtefactError when they lie outside or cannot be had."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ArtefactError(
                f"{self.name} is truncated or corrupt: bytes {offset} to {offset + length} lie outside its {self.size} bytes; build or fetch it again"
            )
        if length > MAX_READ:
            raise ArtefactError(
                f"{self.name} is not read: {length} bytes at once are more than the {MAX_READ} that are held in memory; it is taken for hostile"
            )
        found = self.fetch(offset, length)
        if len(found) != length:
            raise ArtefactError(f"{self.name} is truncated: {len(found)} of {length} bytes at offset {offset}; build or fetch it again")
        return found

    def head(self, length: int) -> bytes:
        """Return up to `length` first bytes."""
        return self.read(0, min(length, self.size))

    def slice(self, offset: int, size: int, name: str) -> "Blob":
        """Return the part at `offset`; raises ArtefactError when it is not wholly inside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ArtefactError(f"{name} reaches beyond the end of {self.name}: truncated or corrupt; build or fetch it again")
        fetch = self.fetch
        if not offset:
            return Blob(name, size, fetch)
        return Blob(name, size, lambda at, length: fetch(offset + at, length))


def from_file(path: Path) -> Blob:
    """Map a regular file; raises ArtefactError when it is empty, unreadable, not a regular file, or a sparse one of hostile size."""
    try:
        if not path.is_file():
            raise ArtefactError(f"{path} is not a file that can be read; name an image, a bundle or a directory")
        status = path.stat()
        size, stored = status.st_size, status.st_blocks * 512
        if size == 0:
            raise ArtefactError(f"{path} is empty; build or fetch it again")
        if size > MAX_SPARSE and size > MAX_HOLES * stored:
            raise ArtefactError(
                f"{path} has {size} bytes, of which {stored} are stored and the rest are holes; it is taken for hostile and not read"
            )
        return replace(from_descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC), size, path.name), path=path)
    except OSError as error:
        raise ArtefactError(f"{path} cannot be read: {error.strerror}; check its name and permissions") from None


def from_descriptor(descriptor: int, size: int, name: str) -> Blob:
    """Map an open file, which is closed with the last blob on it; raises OSError.

    Long reads go around the mapping: pages of a mapping count as the process's own memory for as long as they are cached.
    """
    file = os.fdopen(descriptor, "rb")
    mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)

    def fetch(offset: int, length: int) -> bytes:
        if length >= LONG_READ:
            return os.pread(file.fileno(), length, offset)
        return mapped[offset : offset + length]

    return Blob(name, size, fetch)


def from_bytes(content: bytes, name: str) -> Blob:
    """Wrap bytes that are in memory already."""
    return Blob(name, len(content), lambda offset, length: content[offset : offset + length])
