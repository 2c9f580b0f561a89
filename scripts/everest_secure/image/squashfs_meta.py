"""The metadata blocks of SquashFS: inode, directory, id, fragment and attribute tables."""

import struct
from collections.abc import Mapping
from typing import Any

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.codecs import Decompress

_NAME = struct.Struct("<HH")
_SIZE = struct.Struct("<I")
_REFERENCE = struct.Struct("<Q")
_BLOCK = 8192
_MAX_TABLES = 128 * 1024 * 1024
"""Bytes of all tables, decompressed, before they are taken for hostile; those of a million inodes need about 90 MB."""
_MAX_SHORT = 8
"""Metadata blocks of less than 8192 bytes in a run; there is one at the end of each table."""
ABSENT = 0xFFFF_FFFF_FFFF_FFFF
_PREFIXES = {0: "user.", 1: "trusted.", 2: "security."}
_OUT_OF_LINE = 0x100
_MAX_XATTR = 65536
"""Bytes of one attribute's value (XATTR_SIZE_MAX of linux/limits.h)."""


class MetaTable:
    """A run of metadata blocks, decompressed, addressed by block start and offset."""

    def __init__(self, name: str, data: bytes, starts: Mapping[int, int]) -> None:
        """Take the position in `data` of each block (`starts`), by its distance from the table's beginning."""
        self._name = name
        self._data = data
        self._starts = starts

    def position(self, block: int, offset: int) -> int:
        """Return the place in the table of a reference; raises ArtefactError when no block begins there."""
        start = self._starts.get(block)
        if start is None or offset >= _BLOCK:
            raise ArtefactError(f"{self._name} is corrupt: a reference in its SquashFS leads nowhere; build or fetch it again")
        return start + offset

    def unpack(self, layout: struct.Struct, at: int) -> tuple[Any, ...]:
        """Unpack a structure at a place; raises ArtefactError beyond the end."""
        try:
            return layout.unpack_from(self._data, at)
        except struct.error:
            raise self._short() from None

    def holds(self, at: int, length: int) -> bool:
        """Whether so many bytes follow a place."""
        return at + length <= len(self._data)

    def take(self, at: int, length: int) -> bytes:
        """Return bytes at a place; raises ArtefactError beyond the end."""
        found = self._data[at : at + length]
        if len(found) != length:
            raise self._short()
        return found

    def _short(self) -> ArtefactError:
        return ArtefactError(f"{self._name} is corrupt: a table of its SquashFS ends too early; build or fetch it again")


class MetaReader:
    """Reads the metadata blocks of one SquashFS."""

    def __init__(self, blob: Blob, decompress: Decompress) -> None:
        self.decompress = decompress
        self.blob = blob
        self._budget = _MAX_TABLES

    def table(self, start: int, end: int) -> MetaTable:
        """Return the table that fills `start` to `end`."""
        parts, starts, length, at, short = [], {}, 0, start, 0
        while at < end:
            starts[at - start] = length
            data, at = self._load(at)
            parts.append(data)
            length += len(data)
            short += len(data) < _BLOCK
            if short > _MAX_SHORT:
                raise self._hostile()
        return MetaTable(self.blob.name, b"".join(parts), starts)

    def indexed(self, index: int, length: int) -> bytes:
        """Return `length` bytes of a table whose blocks are listed, as absolute positions, at `index`."""
        count = -(-length // _BLOCK)
        if length > _MAX_TABLES:
            raise self._hostile()
        positions = struct.unpack(f"<{count}Q", self.blob.read(index, count * 8))
        found = b"".join(self._load(at)[0] for at in positions)
        if len(found) < length:
            raise ArtefactError(f"{self.blob.name} is corrupt: a table of its SquashFS ends too early; build or fetch it again")
        return found[:length]

    def _load(self, at: int) -> tuple[bytes, int]:
        """Return the content of the metadata block at an absolute position, and the position behind it."""
        word = int.from_bytes(self.blob.read(at, 2), "little")
        length = word & 0x7FFF
        if not 0 < length <= _BLOCK:
            raise ArtefactError(
                f"{self.blob.name} is corrupt: a metadata block of its SquashFS has an impossible length; build or fetch it again"
            )
        raw = self.blob.read(at + 2, length)
        found = raw if word & 0x8000 else self.decompress(raw, _BLOCK)
        self._budget -= len(found)
        if self._budget < 0:
            raise self._hostile()
        return found, at + 2 + length

    def _hostile(self) -> ArtefactError:
        return ArtefactError(f"{self.blob.name} has SquashFS tables of an impossible size; it is taken for hostile and not read")


class XattrTable:
    """The attribute sets of a SquashFS, by number."""

    def __init__(self, meta: MetaReader, name: str, header: int) -> None:
        """`header` is the superblock's position of the table."""
        self._name = name
        self._sets: list[tuple[int, int, int]] = []
        self._budget = _MAX_TABLES
        self._found: dict[int, dict[str, bytes]] = {}
        if header == ABSENT:
            return
        start, count = struct.unpack("<QI", meta.blob.read(header, 12))
        self._sets = list(struct.iter_unpack("<QII", meta.indexed(header + 16, count * 16)))
        end = int.from_bytes(meta.blob.read(header + 16, 8), "little") if count else start
        self._table = meta.table(start, end)

    def get(self, number: int) -> dict[str, bytes]:
        """Return the attributes of a set by full name; raises ArtefactError when the number or the set is wrong."""
        if number not in self._found:
            if number >= len(self._sets):
                raise ArtefactError(f"{self._name} is corrupt: an attribute number of its SquashFS is wrong; build or fetch it again")
            reference, pairs, _ = self._sets[number]
            self._found[number] = self._read(reference, pairs)
        return self._found[number]

    def _read(self, reference: int, pairs: int) -> dict[str, bytes]:
        at = self._table.position(reference >> 16, reference & 0xFFFF)
        found = {}
        for _ in range(pairs):
            kind, length = self._table.unpack(_NAME, at)
            name = self._table.take(at + 4, length).decode("utf-8", "surrogateescape")
            at += 4 + length
            value, after = self._value(at, out_of_line=bool(kind & _OUT_OF_LINE))
            prefix = _PREFIXES.get(kind & 0xFF)
            if prefix is None:
                raise ArtefactError(
                    f"{self._name} is corrupt: an attribute of its SquashFS is of an unknown kind ({kind}); build or fetch it again"
                )
            found[prefix + name] = value
            at = after
        return found

    def _value(self, at: int, *, out_of_line: bool) -> tuple[bytes, int]:
        (size,) = self._table.unpack(_SIZE, at)
        after = at + 4 + size
        if out_of_line:
            (reference,) = self._table.unpack(_REFERENCE, at + 4)
            at = self._table.position(reference >> 16, reference & 0xFFFF)
            (size,) = self._table.unpack(_SIZE, at)
        self._budget -= size + 1
        if size > _MAX_XATTR or self._budget < 0:
            raise ArtefactError(f"{self._name} is corrupt: an attribute of its SquashFS is too long; build or fetch it again")
        return self._table.take(at + 4, size), after
