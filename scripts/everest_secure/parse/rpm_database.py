"""The package list of rpm since 4.16: an SQLite database of package headers (rpm's lib/backend/sqlite.c; RPM V4 package format, "Header")."""

import sqlite3
import struct
from collections.abc import Iterator

from everest_secure.errors import ArtefactError
from everest_secure.image.tree import Tree

DATABASES = ("/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/share/rpm/rpmdb.sqlite")
"""The places of distributions; the last one is that of images made by OSTree."""
MAX_BYTES = 64 << 20
MAX_PACKAGES = 100_000
MAX_STEPS = 20_000
"""Thousands of steps of SQLite's machine that one reading may take; a view of a hostile database may go on for ever."""
_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_STRINGS, _INT32 = (6, 8, 9), 4
_ENTRY = struct.Struct(">IIII")
_WAL_AT = 18


def read_rpm_database(tree: Tree, path: str) -> Iterator[tuple[str, str]]:
    """Yield name and `EPOCH:VERSION-RELEASE` of each package; raises ArtefactError for a damaged database or one with a pending journal."""
    journal = tree.resolve(f"{path}-wal")
    if journal is not None and journal.size:
        raise ArtefactError(
            f"{tree.name}: {path} has changes in {path}-wal that are not read; run 'rpmdb --rebuilddb' when the image is made"
        )
    damaged = f"{tree.name}: {path} is no package list that can be read; build the image again"
    content = tree.read(path, MAX_BYTES)
    # What a database in memory cannot have is a write-ahead log (SQLite file format, 1.3.3).
    content = content[:_WAL_AT] + b"\x01\x01" + content[_WAL_AT + 2 :]
    with sqlite3.connect(":memory:") as database:
        steps = iter(range(MAX_STEPS))
        try:
            database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_BYTES)
            database.deserialize(content)
            database.execute("PRAGMA trusted_schema=OFF")
            database.set_progress_handler(lambda: next(steps, None) is None, 1000)
            headers = list(_headers(database))
        except (sqlite3.Error, ValueError):  # the name of a damaged table, in a message of SQLite, need not be UTF-8
            raise ArtefactError(damaged) from None
    for header in headers:
        try:
            yield _package(header)
        except (struct.error, TypeError, ValueError, KeyError):
            raise ArtefactError(damaged) from None


def _headers(database: sqlite3.Connection) -> Iterator[bytes]:
    """Yield the headers; raises ValueError when they are more than a system has, as those of a view may be."""
    size = 0
    for number, (header,) in enumerate(database.execute("SELECT blob FROM Packages")):
        size += len(header) if isinstance(header, bytes) else 0
        if not isinstance(header, bytes) or size > MAX_BYTES or number > MAX_PACKAGES:
            raise ValueError("no headers")
        yield header


def _package(header: bytes) -> tuple[str, str]:
    count, _ = struct.unpack_from(">II", header)
    if count * _ENTRY.size > len(header):
        raise ValueError("more entries than bytes")
    data = 8 + count * _ENTRY.size
    found: dict[int, str] = {}
    for position in range(count):
        tag, kind, offset, _ = _ENTRY.unpack_from(header, 8 + position * _ENTRY.size)
        if tag in (_NAME, _VERSION, _RELEASE) and kind in _STRINGS:
            found[tag] = header[data + offset : header.index(b"\0", data + offset)].decode("utf-8", "replace")
        elif tag == _EPOCH and kind == _INT32:
            found[tag] = f"{struct.unpack_from('>I', header, data + offset)[0]}:"
    return found[_NAME], f"{found.get(_EPOCH, '')}{found[_VERSION]}-{found[_RELEASE]}"
