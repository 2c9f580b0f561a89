"""Where the content of an ext2, ext3 or ext4 file lies: extent trees and block maps."""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.ext4_inode import EXTENTS, Inode
from everest_secure.image.ext4_super import Superblock

_MAGIC = 0xF30A
_ONE_EXTENT = struct.Struct("<HH2xH4xIHHI")
"""Magic number, entries and level of the root of a tree, and its first extent."""
_LEAF = struct.Struct("<IHHI")
_MAX_DEPTH = 5
_MAX_PIECES = 1_000_000
_MAX_INITIALISED = 32768
"""An extent longer than this has that many blocks fewer and reads as zeros."""


class Extent(NamedTuple):
    """A run of blocks."""

    logical: int
    length: int
    physical: int | None
    """First block in the file system; None when the run reads as zeros."""


def extents(blob: Blob, superblock: Superblock, inode: Inode) -> list[Extent]:
    """Return the runs of a file in order, adjacent ones joined; what none covers is a hole.

    Raises ArtefactError when the map is corrupt, or in too many pieces to be anything but hostile.
    """
    walk = _Walk(blob, superblock, inode)
    if not inode.flags & EXTENTS:
        return _joined(walk.map(), blob)
    only = one_extent(inode.block)
    return [only] if only else _joined(walk.extents(inode.block, None), blob)


def one_extent(root: bytes) -> Extent | None:
    """Return the only extent of a file in one piece, as most are, from the root of its tree; None for any other."""
    magic, entries, level, logical, length, high, low = _ONE_EXTENT.unpack_from(root)
    if magic == _MAGIC and entries == 1 and not level and 0 < length <= _MAX_INITIALISED:
        return Extent(logical, length, low | high << 32)
    return None


def _joined(pieces: Iterable[Extent], blob: Blob) -> list[Extent]:
    found: list[Extent] = []
    for piece in pieces:
        joined = _join(found[-1], piece) if found else None
        if joined is None:
            found.append(piece)
        else:
            found[-1] = joined
        if len(found) > _MAX_PIECES:
            raise ArtefactError(f"{blob.name} has a file in more than {_MAX_PIECES} pieces; it is taken for hostile and not read")
    return found


def _join(left: Extent, right: Extent) -> Extent | None:
    if left.logical + left.length != right.logical or left.physical is None or right.physical is None:
        return None
    if left.physical + left.length != right.physical:
        return None
    return Extent(left.logical, left.length + right.length, left.physical)


class _Walk:
    """One pass over one inode's map, in which no block may be met twice."""

    def __init__(self, blob: Blob, superblock: Superblock, inode: Inode) -> None:
        self._blob = blob
        self._super = superblock
        self._inode = inode
        self._seen: set[int] = set()
        self._next = 0

    def extents(self, raw: bytes, depth: int | None) -> Iterator[Extent]:
        """Yield the extents below a node of the tree; `depth` is what its parent says, None for the root."""
        magic, entries, most, level = struct.unpack_from("<HHHH", raw)
        if (
            magic != _MAGIC
            or entries > most
            or 12 + entries * 12 > len(raw)
            or level > _MAX_DEPTH
            or (depth is not None and level != depth)
        ):
            raise self._corrupt()
        for at in range(12, 12 + entries * 12, 12):
            if level:
                _, low, high = struct.unpack_from("<IIH", raw, at)
                yield from self.extents(self._node(low | high << 32), level - 1)
                continue
            logical, length, high, low = _LEAF.unpack_from(raw, at)
            physical: int | None = low | high << 32
            if length > _MAX_INITIALISED:
                length, physical = length - _MAX_INITIALISED, None
            if not length or logical < self._next:
                raise self._corrupt()
            self._next = logical + length
            yield Extent(logical, length, physical)

    def map(self) -> Iterator[Extent]:
        """Yield one extent per mapped block of a classic block map."""
        words = struct.unpack("<15I", self._inode.block)
        last = -(-self._inode.size // self._super.block_size)
        per_block = self._super.block_size // 4
        for logical, block in enumerate(words[:12]):
            if block and logical < last:
                yield Extent(logical, 1, block)
        logical = 12
        for level, block in enumerate(words[12:], 1):
            if block and logical < last:
                yield from self._indirect(block, level, logical, last)
            logical += per_block**level

    def _indirect(self, block: int, level: int, logical: int, last: int) -> Iterator[Extent]:
        span = (self._super.block_size // 4) ** (level - 1)
        for (child,) in struct.iter_unpack("<I", self._node(block)):
            if logical >= last:
                return
            if child and level == 1:
                yield Extent(logical, 1, child)
            elif child:
                yield from self._indirect(child, level - 1, logical, last)
            logical += span

    def _node(self, block: int) -> bytes:
        if block in self._seen:
            raise self._corrupt()
        self._seen.add(block)
        return self._blob.read(block * self._super.block_size, self._super.block_size)

    def _corrupt(self) -> ArtefactError:
        return ArtefactError(
            f"{self._blob.name} is corrupt: the block map of inode {self._inode.number} of its ext4 file system is wrong; build or fetch it again"
        )
