"""Where the compressed content of an EROFS file lies: the index of its logical clusters (Linux, `fs/erofs/zmap.c`).

A file is cut into logical clusters of a block or more. An entry of the index says that an extent begins in its cluster (a head), or that none does.
An extent is stored in one physical cluster of one or more blocks.
"""

import struct
from collections.abc import Iterator
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.erofs_inode import Inode, Layout
from everest_secure.image.erofs_super import Superblock

_TWO_BYTES = 0x1
_BIG = 0x6
_INLINE = 0x8
_INTERLACED = 0x10
_FRAGMENT = 0x20
_PLAIN, _HEAD1, _NOT_HEAD, _HEAD2 = range(4)
_BLOCKS = 1 << 11
"""Marks the first entry behind a head that says of how many blocks its physical cluster is."""
_PARTIAL = 1 << 15
_WHOLE_FILE = 1 << 63
_MAX_CLUSTERS = 500_000
"""Logical clusters of one file before it is taken for hostile: 2 GB of content at 4096 bytes."""
_MAX_STORED = 1024 * 1024
"""Bytes of a physical cluster (Z_EROFS_PCLUSTER_MAX_SIZE of `fs/erofs/erofs_fs.h`)."""
_MAX_DECODED = 12 * 1024 * 1024
"""Bytes of an extent (Z_EROFS_PCLUSTER_MAX_DSIZE)."""


class Coding(IntEnum):
    """How an extent is stored; 0 to 3 are the numbers of the compressed ones on disk."""

    LZ4 = 0
    LZMA = 1
    DEFLATE = 2
    ZSTD = 3
    SHIFTED = 16
    """As it is."""
    INTERLACED = 17
    """As it is, but that each byte lies at its own offset within a block: the beginning of the extent is at the end of the cluster."""
    FRAGMENT = 18
    """In the packed inode, at `physical`."""


class Extent(NamedTuple):
    """A run of a file's bytes."""

    logical: int
    length: int
    physical: int
    """Position of its physical cluster."""
    stored: int
    """Bytes of that."""
    coding: int
    """A `Coding`."""
    partial: bool
    """Whether the cluster holds more than `length` bytes, of which the first are meant."""


class _Entry(NamedTuple):
    """One entry of an index."""

    kind: int
    offset: int
    """Of a head: where in its logical cluster the extent begins."""
    value: int
    """Of a head: the block of the physical cluster. Else how many blocks the last head's cluster has; 0 when it is not said."""
    partial: bool = False


def read_extents(blob: Blob, superblock: Superblock, inode: Inode) -> list[Extent]:
    """Return the runs of a compressed file, in order and without gaps; raises ArtefactError when its index is corrupt."""
    if not inode.size:
        return []
    return _Index(blob, superblock, inode).extents()


class _Index:
    """The index of one file."""

    def __init__(self, blob: Blob, superblock: Superblock, inode: Inode) -> None:
        self._blob = blob
        self._super = superblock
        self._inode = inode
        self._header = (inode.body + 7) & ~7
        raw = blob.read(self._header, 8)
        (self._word,) = struct.unpack("<Q", raw)
        self._tail, self._advise, self._codings, bits = struct.unpack("<IHBB", raw)
        self._bits = superblock.block_bits + (bits & 7)
        self._count = -(-inode.size >> self._bits)
        self._end = 0
        if self._count > _MAX_CLUSTERS:
            raise ArtefactError(f"{blob.name} has a file of {inode.size} bytes in its EROFS; it is taken for hostile and not read")

    def extents(self) -> list[Extent]:
        if self._word & _WHOLE_FILE:
            return [Extent(0, self._inode.size, self._word ^ _WHOLE_FILE, 0, Coding.FRAGMENT, partial=False)]
        full = self._inode.layout == Layout.FULL_INDEX
        heads = self._heads(self._full() if full else self._compact())
        begins = [begin for begin, _, _ in heads] + [self._inode.size]
        if begins[0]:
            raise self._corrupt()
        found = [self._extent(begin, end - begin, entry, blocks) for (begin, entry, blocks), end in zip(heads, begins[1:], strict=True)]
        if self._advise & _INLINE:
            found[-1] = found[-1]._replace(physical=self._end, stored=self._tail >> 16)
            if found[-1].coding == Coding.INTERLACED:
                found[-1] = found[-1]._replace(coding=Coding.SHIFTED)
        elif self._advise & _FRAGMENT:
            high = heads[-1][1].value << 32 if full else 0
            found[-1] = found[-1]._replace(physical=self._tail | high, stored=0, coding=Coding.FRAGMENT)
        if any(not self._is_sound(extent) for extent in found):
            raise self._corrupt()
        return found

    def _extent(self, begin: int, length: int, head: _Entry, blocks: int) -> Extent:
        stored = blocks << self._super.block_bits if blocks else 1 << self._bits
        coding: int
        if head.kind == _PLAIN:
            coding = Coding.INTERLACED if self._advise & _INTERLACED else Coding.SHIFTED
        else:
            coding = self._codings & 15 if head.kind == _HEAD1 else self._codings >> 4
        return Extent(begin, length, head.value << self._super.block_bits, stored, coding, head.partial)

    @staticmethod
    def _is_sound(extent: Extent) -> bool:
        if extent.length <= 0:
            return False
        if extent.coding == Coding.FRAGMENT:
            return True
        most = extent.stored if extent.coding in (Coding.SHIFTED, Coding.INTERLACED) else _MAX_DECODED
        return extent.length <= most and 0 < extent.stored <= _MAX_STORED

    def _heads(self, entries: Iterator[_Entry]) -> list[tuple[int, _Entry, int]]:
        """Return where each extent begins, its head, and its blocks where they are said; a head that marks the end of the file is none."""
        found: list[tuple[int, _Entry, int]] = []
        last = -1
        for number, entry in enumerate(islice(entries, self._count)):
            if entry.kind != _NOT_HEAD:
                if entry.offset >= 1 << self._bits:
                    raise self._corrupt()
                found.append(((number << self._bits) + entry.offset, entry, 0))
                last = number
            elif entry.value:
                if last != number - 1 or not found or not self._advise & _BIG:
                    raise self._corrupt()
                found[-1] = (*found[-1][:2], entry.value)
        while found and found[-1][0] >= self._inode.size:
            found.pop()
        if not found:
            raise self._corrupt()
        return found

    def _full(self) -> Iterator[_Entry]:
        at = self._header + 16
        raw = self._blob.read(at, self._count * 8)
        self._end = at + len(raw)
        for advise, offset, word in struct.iter_unpack("<HHI", raw):
            kind = advise & 3
            if kind == _NOT_HEAD:
                delta = word & 0xFFFF
                yield _Entry(kind, 0, delta & ~_BLOCKS if delta & _BLOCKS else 0)
            else:
                yield _Entry(kind, offset, word, bool(advise & _PARTIAL))

    def _compact(self) -> Iterator[_Entry]:
        """Yield the entries of packs: up to 32-byte alignment pairs in 8 bytes, then sixteens in 32 bytes where they are used, then pairs."""
        at = self._header + 8
        if self._bits > (12 if self._advise & _TWO_BYTES else 14):
            raise self._corrupt()
        before = -at % 32 // 4
        dense = (self._count - before) // 16 * 16 if self._advise & _TWO_BYTES and before < self._count else 0
        before = min(before, self._count) if dense else self._count
        for count, entries, size in ((before, 2, 8), (dense, 16, 32), (self._count - before - dense, 2, 8)):
            raw = self._blob.read(at, -(-count // entries) * size)
            at += len(raw)
            self._end = at
            for begin in range(0, len(raw), size):
                yield from self._pack(raw[begin : begin + size], entries)

    def _pack(self, raw: bytes, entries: int) -> Iterator[_Entry]:
        """Yield the entries of one pack, which says once, at its end, the block before that of its first head."""
        width = (len(raw) - 4) * 8 // entries
        low = max(self._bits, 12)
        word = int.from_bytes(raw[:-4], "little")
        block = int.from_bytes(raw[-4:], "little") + (0 if self._advise & _BIG else 1)
        after = 0
        for _ in range(entries):
            kind, offset = word >> low & 3, word & ((1 << low) - 1)
            word >>= width
            if kind != _NOT_HEAD:
                block += after
                after = 1
                yield _Entry(kind, offset, block)
            elif offset & _BLOCKS:
                block += offset & ~_BLOCKS
                after = 0
                yield _Entry(kind, 0, offset & ~_BLOCKS)
            else:
                yield _Entry(kind, 0, 0)

    def _corrupt(self) -> ArtefactError:
        return ArtefactError(f"{self._blob.name} is corrupt: the index of a compressed file of its EROFS is wrong; build or fetch it again")
