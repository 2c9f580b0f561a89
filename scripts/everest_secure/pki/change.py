"""Changes of a PKI directory: all of one is there or nothing of it, whenever it is interrupted.

A change is written in whole into a directory inside, which is then renamed; that decides. What is decided is moved file by file to its place, by
the command itself or, when that was killed, by the next one. Nothing is overwritten: a file that a change replaces is kept under `retired`.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import refuse_existing, sync_directory, write_new

RETIRED = "retired"
_DECIDED = ".decided"
_STAGING = ".change."
_ADD, _REPLACE, _REMOVE = "add", "replace", "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """Files that will be in a PKI directory, or will not."""

    directory: Path
    staging: Path

    def add(self, path: Path, content: bytes, *, mode: int) -> None:
        """Write a file of the directory that must not exist yet; raises PkiError when it does."""
        refuse_existing(path)
        self._write(_ADD, path, content, mode)

    def replace(self, path: Path, content: bytes, *, mode: int) -> None:
        """Write a file of the directory whether it exists or not, also in the place of one that is removed."""
        (self.staging / _REMOVE / path.relative_to(self.directory)).unlink(missing_ok=True)
        self._write(_REPLACE, path, content, mode)

    def retire(self, path: Path, name: str) -> None:
        """Keep a file that `replace` will replace, as `retired/NAME` with its mode."""
        self.add(self.directory / RETIRED / name, path.read_bytes(), mode=path.stat().st_mode & 0o777)

    def remove(self, path: Path) -> None:
        """Remove a file, which `retire` keeps."""
        self._write(_REMOVE, path, b"", 0o600)

    def _write(self, kind: str, path: Path, content: bytes, mode: int) -> None:
        place = self.staging / kind / path.relative_to(self.directory)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_new(place, content, mode=mode)


@contextmanager
def change(directory: Path) -> Iterator[Change]:
    """Yield a change to fill; it is made when the block ends and forgotten when the block fails.

    Raises PkiError when the directory is none, or another command is changing it.
    """
    with _locked(directory):
        _finish(directory)
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=directory))
        try:
            yield Change(directory, staging)
            for path in (staging, *(each for each in staging.rglob("*") if each.is_dir())):
                sync_directory(path)
            staging.rename(directory / _DECIDED)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        sync_directory(directory)
        _finish(directory)


def finish(directory: Path) -> None:
    """Complete a change that was decided and then interrupted, if there is one; raises PkiError as `change` does."""
    if (directory / _DECIDED).is_dir():
        with _locked(directory):
            _finish(directory)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise PkiError(f"{directory} cannot be opened: {error.strerror}; name a directory that 'everest-secure pki init' made") from None
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PkiError(f"another command is changing {directory}; try again when it has ended") from None


def _finish(directory: Path) -> None:
    """Move what was decided to its place and remove what was not; it may be interrupted and done again at any point."""
    decided = directory / _DECIDED
    for path in _files(decided / _ADD):
        place = directory / path.relative_to(decided / _ADD)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        if os.path.lexists(place):
            raise PkiError(f"{place} appeared while a change was being made; move it away and try again, and the change is completed")
        path.rename(place)
    for path in _files(decided / _REMOVE):
        (directory / path.relative_to(decided / _REMOVE)).unlink(missing_ok=True)
    for path in _files(decided / _REPLACE):
        path.replace(directory / path.relative_to(decided / _REPLACE))
    if decided.is_dir():
        for path in (directory, directory / RETIRED):
            if path.is_dir():
                sync_directory(path)
        shutil.rmtree(decided)
    for path in directory.glob(f"{_STAGING}*"):
        shutil.rmtree(path, ignore_errors=True)


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())
