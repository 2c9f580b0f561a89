"""Digests of artefacts for the report, made beside the checks."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from everest_secure.checks import digester
from everest_secure.checks.workers import ENDED
from everest_secure.errors import ArtefactError, UserError

Digests = Mapping[str, str]
"""SHA-256 in hex of each file, by its name without directories."""


def digests_of_files(files: Sequence[Path]) -> Digests:
    """Return the digests of files; raises ArtefactError when one cannot be read."""
    found = {}
    for path in files:
        try:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _unreadable(path, error) from None
    return found


@contextmanager
def hashing(files: Sequence[Path], *, processes: int | None) -> Iterator[Callable[[], Digests]]:
    """Begin to hash files in a process of their own, so that digests of gigabytes cost little time beside the rest; yield a function that waits for them.

    The process is a fresh interpreter, as a fork would keep a copy of every page that this one changes from then on; it does not outlive the block. Where
    there is to be one process, or no interpreter to start because this program is packed into one file, files are hashed when that function is called.
    It raises ArtefactError when a file cannot be read, and UserError when the process ends before its work is done.
    """
    process = _start(files) if files and processes != 1 else None
    if process is None:
        yield partial(digests_of_files, files)
        return
    with process:
        try:
            yield partial(_said, process, files)
        finally:
            process.kill()


def _start(files: Sequence[Path]) -> "subprocess.Popen[bytes] | None":
    """Start the program, which shares what is opened here, as `/dev/stdin` is another file for it; None when it cannot be started."""
    if not sys.executable or not Path(digester.__file__).is_file():
        return None
    with ExitStack() as stack:
        try:
            numbers = [stack.enter_context(path.open("rb")).fileno() for path in files]
            # -I -S: neither the user's settings nor installed packages have a part in it, and it starts in a third of the time.
            program = [sys.executable, "-I", "-S", digester.__file__, *map(str, numbers)]
            return subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=numbers)
        except OSError:
            return None


def _said(process: "subprocess.Popen[bytes]", files: Sequence[Path]) -> Digests:
    """Return what the program says."""
    lines = process.communicate()[0].decode().splitlines()
    if len(lines) != len(files):
        raise UserError(ENDED)
    found = {path.name: line for path, line in zip(files, lines, strict=True)}
    for path, line in zip(files, lines, strict=True):
        if line.startswith("!"):
            raise _unreadable(path, OSError(int(line[1:]), os.strerror(int(line[1:]))))
    return found


def _unreadable(path: Path, error: OSError) -> ArtefactError:
    return ArtefactError(f"{path} cannot be read: {error.strerror}; check its name and permissions")
