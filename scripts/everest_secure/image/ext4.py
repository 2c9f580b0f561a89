"""Ext2, ext3 and ext4 (kernel documentation `filesystems/ext4/`), read without mounting.

A file system that was not unmounted cleanly is refused, because its journal may hold what the rest does not show yet.
"""

import stat
import struct
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from operator import attrgetter

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.ext4_blocks import Extent, extents, one_extent
from everest_secure.image.ext4_inode import EXTENTS, INLINE_DATA, Inode, InodeTable
from everest_secure.image.ext4_super import Superblock, read_superblock
from everest_secure.image.ext4_xattr import read_xattrs
from everest_secure.image.modes import PERMISSIONS, node_type
from everest_secure.image.names import entry_name
from everest_secure.image.tree import MAX_LINK, NO_XATTRS, Node, Tree, printable

_ENTRY = struct.Struct("<IHBB")
_CACHED_EXTENTS = 4096
"""Extents kept of the files that were read last."""
_ROOT = 2
_DIRECTORY = 2
"""File type of a directory entry."""
_THIS_AND_PARENT = (b".", b"..")
_INLINE = "system.data"
_INLINE_IN_INODE = 60
"""Bytes of inline data that lie in the inode's block map; the rest is the attribute `system.data`."""


@opens(order=60)
def open_ext4(blob: Blob, _depth: int) -> Artefact | None:
    """Open an ext2, ext3 or ext4 file system; see `artefact.Opener`."""
    superblock = read_superblock(blob)
    if superblock is None:
        return None
    return Artefact(name=blob.name, kind="ext4", blob=blob, tree=Ext4Tree(blob.slice(0, superblock.size, blob.name), superblock))


_logical = attrgetter("logical")


class Ext4Tree(Tree):
    """An ext2, ext3 or ext4 file system in a blob."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        super().__init__(blob.name, "ext4")
        self._blob = blob
        self._super = superblock
        self._inodes = InodeTable(blob, superblock)
        self._maps: Cache[int, list[Extent]] = Cache(_CACHED_EXTENTS, weigh=lambda found: len(found) + 1)
        self._xattrs: Cache[int, dict[str, bytes]] = Cache(16)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        seen = {_ROOT}
        listed = 0
        todo = [("/", _ROOT)]
        while todo:
            path, number = todo.pop()
            inode = self._inodes.get(number)
            mode = inode.mode
            kind = node_type(mode)
            if kind is None:
                raise self._corrupt(f"the mode of {printable(path)}")
            xattrs, inline = self._attributes(inode) if inode.extra or inode.xattr_block else (NO_XATTRS, b"")
            target = self._target(path, inode, inline) if stat.S_ISLNK(mode) else ""
            size = inode.size if stat.S_ISREG(mode) else 0
            handle = self._handle(inode) if size else number
            yield Node(path, kind, PERMISSIONS[mode & 0o7777], inode.uid, inode.gid, size, target, xattrs), handle
            if not stat.S_ISDIR(mode):
                if number == _ROOT:
                    raise self._corrupt("the root directory")
                continue
            listed += inode.size
            if listed > self._blob.size:
                raise self._corrupt(f"the size of the directory {printable(path)}")
            parent = "/" if path == "/" else f"{path}/"
            for name, child, entry in self._entries(inode, inline, path):
                if entry == _DIRECTORY or (not entry and stat.S_ISDIR(self._inodes.get(child).mode)):
                    if child in seen:
                        raise self._corrupt(f"a second link to a directory in {printable(path)}")
                    seen.add(child)
                todo.append((parent + name, child))

    def _handle(self, inode: Inode) -> int:
        """Return the negative number of the first block of a file that lies in one piece, as most do; the number of the inode of any other."""
        flags = inode.flags
        piece = one_extent(inode.block) if flags & EXTENTS and not flags & INLINE_DATA else None
        if piece is None or piece.logical or piece.length * self._super.block_size < inode.size or not piece.physical:
            return inode.number
        return -piece.physical

    def _position(self, handle: object) -> int:
        return -handle * self._super.block_size if isinstance(handle, int) and handle < 0 else 0

    def _attributes(self, inode: Inode) -> tuple[Mapping[str, bytes], bytes]:
        """Return the attributes and the inline content that lies among them."""
        found = read_xattrs(self._blob, self._super, inode, self._value)
        return found, found.pop(_INLINE, b"") if inode.flags & INLINE_DATA else b""

    def _target(self, path: str, inode: Inode, inline: bytes) -> str:
        if not 0 < inode.size <= MAX_LINK:
            raise self._corrupt(f"the length of the link {printable(path)}")
        if inode.flags & INLINE_DATA:
            raw = (inode.block + inline)[: inode.size]
        elif inode.size < _INLINE_IN_INODE and not inode.flags & EXTENTS:
            raw = inode.block[: inode.size]
        else:
            raw = self._content(inode, 0, inode.size)
        return raw.decode("utf-8", "surrogateescape")

    def _entries(self, inode: Inode, inline: bytes, path: str) -> list[tuple[str, int, int]]:
        """Return name, inode number and file type (0 when not recorded) of each entry but `.` and `..`."""
        found = []
        for raw in self._listings(inode, inline, path):
            at, end = 0, len(raw)
            while at + 8 <= end:
                number, length, size, kind = _ENTRY.unpack_from(raw, at)
                if length in (0, 0xFFFF) and self._super.block_size == 65536:
                    length = 65536
                if length < 8 or length % 4 or at + length > end or (number and size > length - 8):
                    raise self._corrupt(f"the directory {printable(path)}")
                if number:
                    name = raw[at + 8 : at + 8 + size]
                    if name not in _THIS_AND_PARENT:
                        found.append((entry_name(name, self.name), number, kind if self._super.has_file_type else 0))
                at += length
        return found

    def _listings(self, inode: Inode, inline: bytes, path: str) -> Iterator[bytes]:
        if inode.flags & INLINE_DATA:
            yield inode.block[4:_INLINE_IN_INODE]
            yield inline
            return
        block = self._super.block_size
        if inode.size % block:
            raise self._corrupt(f"the size of the directory {printable(path)}")
        blocks = inode.size // block
        for logical, length, physical in extents(self._blob, self._super, inode):
            if physical is None:
                raise self._corrupt(f"a hole in the directory {printable(path)}")
            for number in range(physical, physical + min(length, blocks - logical)):
                yield self._blob.read(number * block, block)

    def _value(self, number: int, size: int) -> bytes:
        """Return an attribute's value that fills an inode of its own (ea_inode)."""
        inode = self._inodes.get(number)
        if inode.size != size or inode.flags & INLINE_DATA:
            raise self._corrupt(f"the attribute in inode {number}")
        return self._content(inode, 0, size)

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, int):
            raise TypeError(handle)
        if handle < 0:
            return self._blob.read(offset - handle * self._super.block_size, length)
        inode = self._inodes.get(handle)
        if inode.flags & INLINE_DATA:
            inline = self._xattrs.get(handle, lambda: read_xattrs(self._blob, self._super, inode, self._value)).get(_INLINE, b"")
            return (inode.block + inline)[offset : offset + length]
        return self._content(inode, offset, length)

    def _content(self, inode: Inode, offset: int, length: int) -> bytes:
        block = self._super.block_size
        at, end = offset, offset + length
        parts = []
        pieces = self._maps.get(inode.number, lambda: extents(self._blob, self._super, inode))
        first = max(bisect_right(pieces, offset // block, key=_logical) - 1, 0) if len(pieces) > 1 else 0
        for logical, count, physical in islice(pieces, first, None):
            begin = logical * block
            stop = min(begin + count * block, end)
            if stop <= at:
                continue
            if begin >= end:
                break
            if begin > at:
                parts.append(bytes(begin - at))
                at = begin
            parts.append(bytes(stop - at) if physical is None else self._blob.read(physical * block + at - begin, stop - at))
            at = stop
        if at < end:
            parts.append(bytes(end - at))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its ext4 file system is wrong; build or fetch it again")
