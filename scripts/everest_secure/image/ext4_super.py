"""The superblock of ext2, ext3 and ext4, and what of it this reader understands."""

import struct
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

_OFFSET = 1024
_MAGIC = 0xEF53
_FILETYPE = 0x2
_RECOVER = 0x4
_EXTENTS = 0x40
_64BIT = 0x80
_META_BG = 0x10
_UNDERSTOOD = _FILETYPE | _EXTENTS | _64BIT | _META_BG | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000
"""File type, extents, 64bit, meta_bg, mmp, flex_bg, ea_inode, csum_seed, largedir, inline_data; the rest changes where things lie."""
_REFUSED = {
    0x1: "compression",
    0x8: "journal_dev",
    0x1000: "dirdata",
    0x10000: "encrypt",
    0x20000: "casefold",
}
_SPARSE_SUPER = 0x1
"""Read-only compatible: not every group begins with a copy of the superblock."""
_SPARSE_SUPER2 = 0x200
"""Compatible: two groups at most do."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What is needed to find inodes and blocks."""

    block_size: int
    block_count: int
    first_block: int
    inode_count: int
    inodes_per_group: int
    inode_size: int
    descriptor_size: int
    has_file_type: bool
    blocks_per_group: int
    meta_group: int
    """First group of descriptors that lies in the groups that it describes (meta_bg), counted in blocks of descriptors."""
    copies: frozenset[int] | None
    """Groups other than the first that begin with a copy of the superblock; None for all."""

    def descriptor(self, group: int) -> int:
        """Return the position of a group's descriptor (Linux, `fs/ext4/super.c`, descriptor_loc)."""
        number, within = divmod(group * self.descriptor_size, self.block_size)
        if number < self.meta_group:
            superblock = _OFFSET // self.block_size
            return (superblock + 1 + number) * self.block_size + within
        first = number * (self.block_size // self.descriptor_size)
        behind = int(not first or self.copies is None or first in self.copies)
        if self.block_size == _OFFSET and not number and not self.first_block:
            behind += 1
        return (self.first_block + first * self.blocks_per_group + behind) * self.block_size + within

    @property
    def size(self) -> int:
        """Bytes of the whole file system."""
        return self.block_count * self.block_size


def read_superblock(blob: Blob) -> Superblock | None:
    """Return the superblock, or None when `blob` holds no such file system.

    Raises ArtefactError when it needs journal recovery, uses a feature that this reader does not know, or cannot be right.
    """
    if blob.size < 2 * _OFFSET:
        return None
    raw = blob.read(_OFFSET, _OFFSET)
    if int.from_bytes(raw[56:58], "little") != _MAGIC:
        return None
    inode_count, low_count = struct.unpack_from("<II", raw, 0)
    first_block, log = struct.unpack_from("<II", raw, 20)
    (per_group,) = struct.unpack_from("<I", raw, 40)
    (revision,) = struct.unpack_from("<I", raw, 76)
    inode_size, _, compat, incompat, ro_compat = struct.unpack_from("<HHIII", raw, 88)
    if not revision:
        inode_size, compat, incompat, ro_compat = 128, 0, 0, 0
    _refuse(blob.name, incompat)
    wide = bool(incompat & _64BIT)
    found = Superblock(
        block_size=1024 << log if log <= 6 else 0,
        block_count=low_count | (int.from_bytes(raw[0x150:0x154], "little") << 32 if wide else 0),
        first_block=first_block,
        inode_count=inode_count,
        inodes_per_group=per_group,
        inode_size=inode_size,
        descriptor_size=int.from_bytes(raw[254:256], "little") if wide else 32,
        has_file_type=bool(incompat & _FILETYPE),
        blocks_per_group=int.from_bytes(raw[32:36], "little"),
        meta_group=int.from_bytes(raw[260:264], "little") if incompat & _META_BG else 1 << 32,
        copies=_copies(compat, ro_compat, raw),
    )
    _validate(blob, found)
    return found


def _copies(compat: int, ro_compat: int, raw: bytes) -> frozenset[int] | None:
    """Return the groups with a copy of the superblock: those that it names, or powers of 3, 5 and 7."""
    if compat & _SPARSE_SUPER2:
        return frozenset(struct.unpack_from("<II", raw, 0x24C))
    if ro_compat & _SPARSE_SUPER:
        return frozenset(base**power for base in (3, 5, 7) for power in range(21))
    return None


def _refuse(name: str, incompat: int) -> None:
    if incompat & _RECOVER:
        raise ArtefactError(
            f"{name} was not unmounted cleanly: its ext4 journal needs recovery (needs_recovery); run e2fsck on it, or build it again"
        )
    unknown = incompat & ~_UNDERSTOOD
    if unknown:
        names = [_REFUSED.get(1 << bit, f"0x{1 << bit:x}") for bit in range(32) if unknown >> bit & 1]
        raise ArtefactError(
            f"{name} is an ext4 file system with {', '.join(names)}, which cannot be read; build it without (mke2fs -O ^{names[0]})"
        )


def _validate(blob: Blob, found: Superblock) -> None:
    sound = (
        found.block_size
        and 128 <= found.inode_size <= found.block_size
        and not found.inode_size & (found.inode_size - 1)
        and found.inodes_per_group
        and 32 <= found.descriptor_size <= found.block_size
    )
    if not sound:
        raise ArtefactError(f"{blob.name} is corrupt: the superblock of its ext4 file system is wrong; build or fetch it again")
    if found.size > blob.size:
        raise ArtefactError(
            f"{blob.name} is truncated: its ext4 file system has {found.size} bytes, {blob.size} are there; build or fetch it again"
        )
