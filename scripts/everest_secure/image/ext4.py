"""Ext2, ext3 and ext4 (kernel documentation `filesystems/ext4/`), read without mounting.

A file system that was not unmounted cleanly is refused, because its journal may hold what the rest does not show yet.
"""

import stat
import struct
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.ext4_blocks import Extent, extents
from everest_secure.image.ext4_inode import Inode, InodeTable
from everest_secure.image.ext4_super import Superblock, read_superblock
from everest_secure.image.ext4_xattr import read_xattrs
from everest_secure.image.modes import node_type
from everest_secure.image.names import entry_name
from everest_secure.image.tree import MAX_LINK, Node, Tree, printable

_ENTRY = struct.Struct("<IHBB")
_ROOT = 2
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


class Ext4Tree(Tree):
    """An ext2, ext3 or ext4 file system in a blob."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        super().__init__(blob.name, "ext4")
        self._blob = blob
        self._super = superblock
        self._inodes = InodeTable(blob, superblock)
        self._maps: Cache[int, list[Extent]] = Cache(16)
        self._xattrs: Cache[int, dict[str, bytes]] = Cache(16)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        seen = {_ROOT}
        listed = 0
        todo = [("/", _ROOT)]
        while todo:
            path, number = todo.pop()
            inode = self._inodes.get(number)
            xattrs = read_xattrs(self._blob, self._super, inode, self._value)
            inline = xattrs.pop(_INLINE, b"") if inode.has_inline_data else b""
            yield self._node(path, inode, inline, xattrs), inode
            if not stat.S_ISDIR(inode.mode):
                if number == _ROOT:
                    raise self._corrupt("the root directory")
                continue
            listed += inode.size
            if listed > self._blob.size:
                raise self._corrupt(f"the size of the directory {printable(path)}")
            parent = "" if path == "/" else path
            for name, child, kind in self._entries(inode, inline, path):
                if kind == 2 or (not kind and stat.S_ISDIR(self._inodes.get(child).mode)):
                    if child in seen:
                        raise self._corrupt(f"a second link to a directory in {printable(path)}")
                    seen.add(child)
                todo.append((f"{parent}/{name}", child))

    def _node(self, path: str, inode: Inode, inline: bytes, xattrs: dict[str, bytes]) -> Node:
        kind = node_type(inode.mode)
        if kind is None:
            raise self._corrupt(f"the mode of {printable(path)}")
        regular = stat.S_ISREG(inode.mode)
        target = self._target(path, inode, inline) if stat.S_ISLNK(inode.mode) else ""
        return Node(path, kind, inode.mode & 0o7777, inode.uid, inode.gid, inode.size if regular else 0, target, xattrs)

    def _target(self, path: str, inode: Inode, inline: bytes) -> str:
        if not 0 < inode.size <= MAX_LINK:
            raise self._corrupt(f"the length of the link {printable(path)}")
        if inode.has_inline_data:
            raw = (inode.block + inline)[: inode.size]
        elif inode.size < _INLINE_IN_INODE and not inode.has_extents:
            raw = inode.block[: inode.size]
        else:
            raw = self._content(inode, 0, inode.size)
        return raw.decode("utf-8", "surrogateescape")

    def _entries(self, inode: Inode, inline: bytes, path: str) -> Iterator[tuple[str, int, int]]:
        """Yield name, inode number and file type (0 when not recorded) of each entry but `.` and `..`."""
        for raw in self._listings(inode, inline, path):
            at = 0
            while at + 8 <= len(raw):
                number, length, size, kind = _ENTRY.unpack_from(raw, at)
                if length in (0, 0xFFFF) and self._super.block_size == 65536:
                    length = 65536
                if length < 8 or length % 4 or at + length > len(raw) or (number and size > length - 8):
                    raise self._corrupt(f"the directory {printable(path)}")
                name = raw[at + 8 : at + 8 + size]
                if number and name not in (b".", b".."):
                    yield entry_name(name, self.name), number, kind if self._super.has_file_type else 0
                at += length

    def _listings(self, inode: Inode, inline: bytes, path: str) -> Iterator[bytes]:
        if inode.has_inline_data:
            yield inode.block[4:_INLINE_IN_INODE]
            yield inline
            return
        block = self._super.block_size
        if inode.size % block:
            raise self._corrupt(f"the size of the directory {printable(path)}")
        blocks = inode.size // block
        for extent in extents(self._blob, self._super, inode):
            if extent.physical is None:
                raise self._corrupt(f"a hole in the directory {printable(path)}")
            for index in range(max(0, min(extent.length, blocks - extent.logical))):
                yield self._blob.read((extent.physical + index) * block, block)

    def _value(self, number: int, size: int) -> bytes:
        """Return an attribute's value that fills an inode of its own (ea_inode)."""
        inode = self._inodes.get(number)
        if inode.size != size or inode.has_inline_data:
            raise self._corrupt(f"the attribute in inode {number}")
        return self._content(inode, 0, size)

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, Inode):
            raise TypeError(handle)
        if handle.has_inline_data:
            inline = self._xattrs.get(handle.number, lambda: read_xattrs(self._blob, self._super, handle, self._value)).get(_INLINE, b"")
            return (handle.block + inline)[offset : offset + length]
        return self._content(handle, offset, length)

    def _content(self, inode: Inode, offset: int, length: int) -> bytes:
        block = self._super.block_size
        end = offset + length
        found = bytearray(length)
        pieces = self._maps.get(inode.number, lambda: list(extents(self._blob, self._super, inode)))
        begin = max(bisect_right(pieces, offset // block, key=lambda extent: extent.logical) - 1, 0)
        for extent in islice(pieces, begin, None):
            if extent.logical * block >= end:
                break
            first = max(extent.logical * block, offset)
            last = min((extent.logical + extent.length) * block, end)
            if extent.physical is not None and first < last:
                at = extent.physical * block + first - extent.logical * block
                found[first - offset : last - offset] = self._blob.read(at, last - first)
        return bytes(found)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its ext4 file system is wrong; build or fetch it again")
