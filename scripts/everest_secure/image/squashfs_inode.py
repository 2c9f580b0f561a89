"""Inodes of SquashFS, in both their forms."""

import stat
from struct import Struct
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.squashfs_meta import MetaTable
from everest_secure.image.tree import MAX_LINK

NONE = 0xFFFF_FFFF
"""The number of no fragment and of no attributes."""
_MAX_BLOCKS = 1_000_000
"""Blocks of one file before its size is taken for wrong: 128 GB at the usual 128 KiB."""
_MODES = {1: stat.S_IFDIR, 2: stat.S_IFREG, 3: stat.S_IFLNK, 4: stat.S_IFBLK, 5: stat.S_IFCHR, 6: stat.S_IFIFO, 7: stat.S_IFSOCK}
_MODES |= {kind + 7: mode for kind, mode in _MODES.items()}
_HEAD = Struct("<HHHH4xI")
_DIRECTORY = Struct("<I4xHH4x")
_LARGE_DIRECTORY = Struct("<4xII6xHI")
_FILE = Struct("<IIII")
_LARGE_FILE = Struct("<QQ12xIII")
_LINK = Struct("<4xI")
_XATTR = Struct("<I")


class File(NamedTuple):
    """Where a regular file's content lies."""

    size: int
    start: int
    fragment: int
    fragment_offset: int
    words: int
    """Place in the inode table of the size words of its blocks."""
    block_count: int
    """Number of those."""


class Inode(NamedTuple):
    """One inode."""

    mode: int
    uid: int
    gid: int
    xattr: int
    """Number of its attributes."""
    file: File | None = None
    target: bytes = b""
    listing: tuple[int, int, int] = (0, 0, 0)
    """Block, offset and length of a directory's entries."""


class Inodes:
    """The inode table of one SquashFS."""

    def __init__(self, table: MetaTable, ids: tuple[int, ...], *, block_size: int, fragments: int, name: str) -> None:
        """`ids` are the users and groups that inodes name by number, `fragments` the number of fragments."""
        self.table = table
        self._ids = ids
        self._block_size = block_size
        self._fragments = fragments
        self._name = name

    def get(self, reference: int) -> Inode:
        """Return the inode that a reference leads to; raises ArtefactError when none can be there."""
        table = self.table
        at = table.position(reference >> 16, reference & 0xFFFF)
        kind, mode, user, group, number = table.unpack(_HEAD, at)
        try:
            mode = _MODES[kind] | mode & 0o7777
            uid, gid = self._ids[user], self._ids[group]
        except LookupError:
            raise self._corrupt(f"inode {number}") from None
        at += 16
        if kind == 2:
            start, fragment, offset, size = table.unpack(_FILE, at)
            return Inode(mode, uid, gid, NONE, self._file(at + 16, size, start, fragment, offset))
        if kind == 9:
            start, size, fragment, offset, xattr = table.unpack(_LARGE_FILE, at)
            return Inode(mode, uid, gid, xattr, self._file(at + 40, size, start, fragment, offset))
        if kind == 1:
            block, size, offset = table.unpack(_DIRECTORY, at)
            return Inode(mode, uid, gid, NONE, listing=(block, offset, size))
        if kind == 8:
            size, block, offset, xattr = table.unpack(_LARGE_DIRECTORY, at)
            return Inode(mode, uid, gid, xattr, listing=(block, offset, size))
        if kind in (3, 10):
            (size,) = table.unpack(_LINK, at)
            if size > MAX_LINK:
                raise self._corrupt(f"the length of link {number}")
            xattr = table.unpack(_XATTR, at + 8 + size)[0] if kind == 10 else NONE
            return Inode(mode, uid, gid, xattr, target=table.take(at + 8, size))
        place = at + (8 if kind in (11, 12) else 4)  # behind the number of links, and of the device
        return Inode(mode, uid, gid, table.unpack(_XATTR, place)[0] if kind > 7 else NONE)

    def _file(self, at: int, size: int, start: int, fragment: int, offset: int) -> File:
        count, rest = divmod(size, self._block_size)
        if fragment == NONE:
            count += bool(rest)
        elif fragment >= self._fragments:
            raise self._corrupt("a fragment number")
        if count > _MAX_BLOCKS or not self.table.holds(at, count * 4):
            raise self._corrupt("the size of a file")
        return File(size, start, fragment, offset, at, count)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self._name} is corrupt: {what} of its SquashFS is wrong; build or fetch it again")
