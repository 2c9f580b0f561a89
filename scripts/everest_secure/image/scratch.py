"""Room for what is decompressed: memory for little, an unlinked sparse file in TMPDIR for much.

A file system is read at random, which a compressed stream does not allow; and hundreds of megabytes are not kept in memory. The file is written by a thread
of its own, as writing takes as long as decompressing and both leave the interpreter alone.
"""

import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob, from_bytes, from_descriptor

IN_MEMORY = 1024 * 1024
"""Bytes that are kept in memory."""
_MARGIN = 64 * 1024 * 1024
"""Bytes that are left free for others."""
_HOLE = 64 * 1024
"""Zeros of this length, at a multiple of it, take no space."""
_ZEROS = bytes(_HOLE)


def gathered(chunks: Iterable[bytes], name: str) -> Blob:
    """Return all chunks as one blob; raises ArtefactError when there is no room for them, and what `chunks` raises."""
    head: list[bytes] = []
    stream = iter(chunks)
    for chunk in stream:
        head.append(chunk)
        if sum(map(len, head)) > IN_MEMORY:
            return _in_file(head, stream, name)
    return from_bytes(b"".join(head), name)


def _in_file(head: list[bytes], rest: Iterator[bytes], name: str) -> Blob:
    directory = tempfile.gettempdir()
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file, ThreadPoolExecutor(max_workers=1) as writer:
            size = _write(file.fileno(), head, rest, writer)
            os.ftruncate(file.fileno(), size)
            return from_descriptor(os.dup(file.fileno()), size, name)
    except OSError as error:
        free = os.statvfs(directory).f_bavail * os.statvfs(directory).f_frsize
        raise ArtefactError(
            f"{name} cannot be decompressed in {directory}, where {free / 1e6:,.0f} MB are free: {error.strerror}; free some space or name another directory with TMPDIR"
        ) from None


def _write(file: int, head: list[bytes], rest: Iterator[bytes], writer: ThreadPoolExecutor) -> int:
    """Write behind the reader, one chunk at a time, and return the number of bytes."""
    size = 0
    pending: Future[None] | None = None
    for chunks in (head, rest):
        for chunk in chunks:
            if pending:
                pending.result()
            pending = writer.submit(_store, file, chunk, size)
            size += len(chunk)
    if pending:
        pending.result()
    return size


def _store(file: int, chunk: bytes, offset: int) -> None:
    status = os.fstatvfs(file)
    if status.f_bavail * status.f_frsize < _MARGIN + len(chunk):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for start, end in _parts(chunk, offset):
        done = start
        while done < end:
            done += os.pwrite(file, memoryview(chunk)[done:end], offset + done)


def _parts(chunk: bytes, offset: int) -> Iterator[tuple[int, int]]:
    """Yield beginning and end of the parts of a chunk between its long runs of zeros."""
    start = at = 0
    while at < len(chunk):
        end = min(len(chunk), at + _HOLE - (offset + at) % _HOLE)
        if chunk[at] == 0 and chunk[at:end] == _ZEROS[: end - at]:
            if start < at:
                yield start, at
            start = end
        at = end
    if start < at:
        yield start, at
