"""Files that hold keys and certificates: read within bounds, written once, never over another."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from everest_secure.errors import UserError
from everest_secure.pki.errors import PkiError
from everest_secure.staging import staging

MAX_BYTES = 1024 * 1024
"""A keyring of hundreds of certificates; anything larger is none."""
KEY_MODE = 0o600
CERTIFICATE_MODE = 0o644


def read_bounded(path: Path, *, error: type[UserError] = PkiError, may_be_empty: bool = False) -> bytes:
    """Return the content of a small regular file; raises `error` when it is missing, no file, larger than 1 MiB, or empty and must not be."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{path} is no regular file; name a file of keys or certificates")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror}; check its name and permissions") from None
    if not content and not may_be_empty:
        raise error(f"{path} is empty; name a file of keys or certificates")
    if len(content) > MAX_BYTES:
        raise error(f"{path} has more than {MAX_BYTES} bytes and is no key or certificate; name another file")
    return content


def write_new(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet, with exactly `mode` from its first byte on, whatever the umask is; it is on the disk afterwards.

    Raises FileExistsError when anything, a dangling link included, has that name.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def publish(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file that must not exist yet; it appears under its name with all its content or not at all. Raises PkiError."""
    refuse_existing(path)
    with staging(path, error=PkiError) as directory:
        write_new(directory / path.name, content, mode=mode)
        refuse_existing(path)
        _rename(directory / path.name, path)


@contextmanager
def new_directory(final: Path) -> Iterator[Path]:
    """Yield a 0700 directory to fill; it becomes `final` when the block ends and vanishes when the block fails.

    Raises PkiError when `final` exists, before and after the work: an existing directory is never touched, and nothing half-written ever has
    its name.
    """
    final = final.parent.resolve() / final.name
    refuse_existing(final)
    with staging(final, error=PkiError) as directory:
        yield directory
        refuse_existing(final)
        _rename(directory, final)


def refuse_existing(path: Path) -> None:
    """Raise PkiError when anything has this name, a dangling link included."""
    if os.path.lexists(path):
        raise PkiError(f"{path} exists already and is never overwritten; name a new directory or move it away")


def _rename(made: Path, final: Path) -> None:
    try:
        made.rename(final)
    except OSError as error:
        raise PkiError(f"{final} could not be put in place: {error.strerror}; nothing was created") from None
    sync_directory(final.parent)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
