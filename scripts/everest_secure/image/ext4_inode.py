"""Inodes of ext2, ext3 and ext4."""

import struct
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.ext4_super import Superblock

_EXTENTS = 0x0008_0000
_INLINE_DATA = 0x1000_0000
_HEAD = struct.Struct("<HHIIIIIHHIII60sIIIIHHHHHH")
_CHUNK = 65536
"""Bytes of an inode table read at once."""


class Inode(NamedTuple):
    """One inode."""

    number: int
    mode: int
    uid: int
    gid: int
    size: int
    flags: int
    block: bytes
    """The 60 bytes that hold the block map, the extent tree's root, a short link, or inline data."""
    xattr_block: int
    extra: bytes
    """What follows the fields that the inode says it has: attributes within the inode; empty when there is no room."""

    @property
    def has_extents(self) -> bool:
        """Whether content is mapped by extents, not by a block map."""
        return bool(self.flags & _EXTENTS)

    @property
    def has_inline_data(self) -> bool:
        """Whether content lies in the inode itself."""
        return bool(self.flags & _INLINE_DATA)


class InodeTable:
    """All inodes of a file system, by number."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        self._blob = blob
        self._super = superblock
        self._tables: dict[int, int] = {}
        self._chunks: Cache[int, bytes] = Cache(64)

    def get(self, number: int) -> Inode:
        """Return inode `number` (from 1); raises ArtefactError when there is none."""
        if not 0 < number <= self._super.inode_count:
            raise ArtefactError(f"{self._blob.name} is corrupt: it has no inode {number}; build or fetch it again")
        group, index = divmod(number - 1, self._super.inodes_per_group)
        size = self._super.inode_size
        raw = self._at(self._table(group) + index * size, size)
        head = _HEAD.unpack_from(raw)
        mode, uid, size_low, gid, flags, block = head[0], head[1], head[2], head[7], head[10], head[12]
        xattr_low, size_high, xattr_high, uid_high, gid_high = head[14], head[15], head[18], head[19], head[20]
        extra = b""
        if size > 128:
            used = int.from_bytes(raw[128:130], "little")
            extra = raw[128 + used :]
        return Inode(
            number,
            mode,
            uid | uid_high << 16,
            gid | gid_high << 16,
            size_low | size_high << 32,
            flags,
            block,
            xattr_low | xattr_high << 32,
            extra,
        )

    def _at(self, offset: int, size: int) -> bytes:
        """Inodes are a power of two long and their tables aligned to blocks, so that none spans two chunks but in a file system of odd blocks."""
        start, within = offset - offset % _CHUNK, offset % _CHUNK
        chunk = self._chunks.get(
            start, lambda: self._blob.read(start, min(_CHUNK, self._blob.size - start)) if start < self._blob.size else b""
        )
        if within + size > len(chunk):
            return self._blob.read(offset, size)
        return chunk[within : within + size]

    def _table(self, group: int) -> int:
        if group not in self._tables:
            block = self._super.block_size
            raw = self._blob.read(self._super.descriptor(group), self._super.descriptor_size)
            table = int.from_bytes(raw[8:12], "little")
            if self._super.descriptor_size >= 64:
                table |= int.from_bytes(raw[40:44], "little") << 32
            self._tables[group] = table * block
        return self._tables[group]
