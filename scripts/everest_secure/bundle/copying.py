"""Copies the beginning of a file with the least work that the file system allows: shared extents, a copy in the kernel, or bytes."""

import errno
import fcntl
import os
from pathlib import Path

FICLONE = 0x40049409
"""ioctl_ficlone(2), `_IOW(0x94, 9, int)`; not in the fcntl module before Python 3.12."""
_CHUNK = 64 * 1024 * 1024
_NOT_HERE = (errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EPERM, errno.EBADF)
"""What a file system says that cannot do it, or not for these two files."""


def copy_head(source: Path, target: Path, length: int) -> None:
    """Write the first `length` bytes of a file to a new one; raises OSError, as for a full disk."""
    with source.open("rb") as read, target.open("xb") as write:
        if not _cloned(read.fileno(), write.fileno()):
            _copied(read.fileno(), write.fileno(), length)
        write.truncate(length)


def _cloned(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        return False
    return True


def _copied(source: int, target: int, length: int) -> None:
    at, in_kernel = 0, True
    while at < length:
        wanted = min(_CHUNK, length - at)
        try:
            done = os.copy_file_range(source, target, wanted, at, at) if in_kernel else os.pwrite(target, os.pread(source, wanted, at), at)
        except OSError as error:
            if not in_kernel or error.errno not in _NOT_HERE:
                raise
            in_kernel = False
            continue
        if not done:
            raise OSError(errno.EIO, "the source ended while it was copied")
        at += done
