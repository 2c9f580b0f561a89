"""Inodes of ext2, ext3 and ext4."""

import struct
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.ext4_super import Superblock
from everest_secure.image.window import Window

EXTENTS = 0x0008_0000
"""Flag of an inode whose content is mapped by extents, not by a block map."""
INLINE_DATA = 0x1000_0000
"""Flag of an inode that holds its content itself."""
XATTR_MAGIC = b"\x00\x00\x02\xea"
_SMALL = struct.Struct("<HHI16xH6xI4x60s4xII6xHHH4x")
"""Mode, uid, low size, gid, flags, block map, low attribute block, high size, high attribute block, high uid and gid: 128 bytes."""
_LARGE = struct.Struct("<HHI16xH6xI4x60s4xII6xHHH4xH")
"""The same and how many bytes of fields follow."""


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
    """Attributes within the inode, from their magic number on; empty when there are none."""


class InodeTable:
    """All inodes of a file system, by number."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        self._blob = blob
        self._super = superblock
        self._tables: dict[int, int] = {}
        self._window = Window(blob)

    def get(self, number: int) -> Inode:
        """Return inode `number` (from 1); raises ArtefactError when there is none."""
        superblock = self._super
        if not 0 < number <= superblock.inode_count:
            raise ArtefactError(f"{self._blob.name} is corrupt: it has no inode {number}; build or fetch it again")
        group, index = divmod(number - 1, superblock.inodes_per_group)
        size = superblock.inode_size
        table = self._tables.get(group)
        raw, at = self._window.locate((self._table(group) if table is None else table) + index * size, size)
        extra = b""
        if size > 128:
            mode, uid, low, gid, flags, block, xattr, high, xattr_high, uid_high, gid_high, used = _LARGE.unpack_from(raw, at)
            if raw[at + 128 + used : at + 132 + used] == XATTR_MAGIC and used <= size - 132:
                extra = raw[at + 128 + used : at + size]
        else:
            mode, uid, low, gid, flags, block, xattr, high, xattr_high, uid_high, gid_high = _SMALL.unpack_from(raw, at)
        return Inode(
            number, mode, uid | uid_high << 16, gid | gid_high << 16, low | high << 32, flags, block, xattr | xattr_high << 32, extra
        )

    def _table(self, group: int) -> int:
        block = self._super.block_size
        raw = self._blob.read(self._super.descriptor(group), self._super.descriptor_size)
        table = int.from_bytes(raw[8:12], "little")
        if self._super.descriptor_size >= 64:
            table |= int.from_bytes(raw[40:44], "little") << 32
        self._tables[group] = table * block
        return self._tables[group]
