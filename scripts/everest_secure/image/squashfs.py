"""SquashFS 4.0 (kernel documentation `filesystems/squashfs.rst`, `fs/squashfs/squashfs_fs.h`).

Reads gzip, xz, zstd, lz4, lzo and lzma; fragments, sparse files, hard links and extended attributes. Every size in the image is bounded before it is used.
"""

import stat
import struct
from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, opens
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.codecs import squashfs_codec
from everest_secure.image.modes import node_type
from everest_secure.image.names import entry_name
from everest_secure.image.squashfs_meta import ABSENT, MetaReader, MetaTable, XattrTable
from everest_secure.image.tree import MAX_LINK, Node, Tree, printable

MAGIC = b"hsqs"
_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
_NONE = 0xFFFF_FFFF
_UNCOMPRESSED = 1 << 24
_CACHED_BLOCKS = 16 * 1024 * 1024
"""Bytes of decompressed blocks kept: who reads the files in the order of their paths, as they were packed, decompresses each block once."""
_CACHED_MAPS = 8
"""Files whose block positions are kept."""
_BASIC = {1: stat.S_IFDIR, 2: stat.S_IFREG, 3: stat.S_IFLNK, 4: stat.S_IFBLK, 5: stat.S_IFCHR, 6: stat.S_IFIFO, 7: stat.S_IFSOCK}


class Superblock(NamedTuple):
    """The first 96 bytes."""

    magic: bytes
    inodes: int
    modified: int
    block_size: int
    fragments: int
    compression: int
    block_log: int
    flags: int
    ids: int
    major: int
    minor: int
    root: int
    bytes_used: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int


class _File(NamedTuple):
    """Where a regular file's content lies."""

    size: int
    start: int
    fragment: int
    fragment_offset: int
    words: int
    """Place in the inode table of the size words of its blocks."""
    block_count: int
    """Number of those."""


class _Map(NamedTuple):
    """Position and size word of each block of a file."""

    positions: tuple[int, ...]
    words: tuple[int, ...]


class _Inode(NamedTuple):
    mode: int
    uid: int
    gid: int
    number: int
    xattr: int
    file: _File | None = None
    target: bytes = b""
    listing: tuple[int, int, int] = (0, 0, 0)
    """Block, offset and length of a directory's entries."""


def read_superblock(blob: Blob) -> Superblock | None:
    """Return the superblock, or None when `blob` holds no SquashFS; raises ArtefactError when it is one that cannot be right."""
    if blob.head(4) != MAGIC:
        return None
    found = Superblock(*_SUPERBLOCK.unpack(blob.read(0, _SUPERBLOCK.size)))
    if (found.major, found.minor) != (4, 0):
        raise ArtefactError(f"{blob.name} is SquashFS version {found.major}.{found.minor}, only 4.0 can be read; build it again")
    if not 12 <= found.block_log <= 20 or found.block_size != 1 << found.block_log:
        raise ArtefactError(
            f"{blob.name} is corrupt: its SquashFS superblock has the block size {found.block_size}; build or fetch it again"
        )
    if found.bytes_used > blob.size:
        raise ArtefactError(
            f"{blob.name} is truncated: its SquashFS has {found.bytes_used} bytes, {blob.size} are there; build or fetch it again"
        )
    return found


@opens(order=50)
def open_squashfs(blob: Blob, _depth: int) -> Artefact | None:
    """Open a SquashFS; see `artefact.Opener`."""
    superblock = read_superblock(blob)
    if superblock is None:
        return None
    used = blob.slice(0, superblock.bytes_used, blob.name)
    return Artefact(name=blob.name, kind="squashfs", blob=blob, tree=SquashfsTree(used, superblock))


class SquashfsTree(Tree):
    """A SquashFS in a blob."""

    def __init__(self, blob: Blob, superblock: Superblock) -> None:
        super().__init__(blob.name, "squashfs")
        self._blob = blob
        self._super = superblock
        self._meta = MetaReader(blob, squashfs_codec(superblock.compression, blob.name))
        self._blocks: Cache[tuple[int, int], bytes] = Cache(_CACHED_BLOCKS // superblock.block_size)
        self._maps: Cache[_File, _Map] = Cache(_CACHED_MAPS)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its SquashFS is wrong; build or fetch it again")

    @cached_property
    def _ids(self) -> tuple[int, ...]:
        data = self._meta.indexed(self._super.id_table, self._super.ids * 4)
        return struct.unpack(f"<{self._super.ids}I", data)

    @cached_property
    def _fragments(self) -> list[tuple[int, int, int]]:
        if self._super.fragment_table == ABSENT or not self._super.fragments:
            return []
        return list(struct.iter_unpack("<QII", self._meta.indexed(self._super.fragment_table, self._super.fragments * 16)))

    @cached_property
    def _inodes(self) -> MetaTable:
        return self._meta.table(self._super.inode_table, self._super.directory_table)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        first = self._super
        behind = [at for at in (first.fragment_table, first.export_table, first.id_table) if at > first.directory_table]
        if not behind:
            raise self._corrupt("the order of the tables")
        listings = self._meta.table(first.directory_table, min(behind))
        xattrs = XattrTable(self._meta, self.name, first.xattr_table)
        seen: set[int] = set()
        todo = [("/", first.root)]
        while todo:
            path, reference = todo.pop()
            inode = self._inode(self._inodes, reference)
            kind = node_type(inode.mode)
            if kind is None:
                raise self._corrupt(f"the mode of {printable(path)}")
            yield (
                Node(
                    path,
                    kind,
                    inode.mode & 0o7777,
                    inode.uid,
                    inode.gid,
                    inode.file.size if inode.file else 0,
                    inode.target.decode("utf-8", "surrogateescape"),
                    {} if inode.xattr == _NONE else xattrs.get(inode.xattr),
                ),
                inode.file,
            )
            if stat.S_ISDIR(inode.mode):
                if reference in seen:
                    raise ArtefactError(f"{self.name} is corrupt: its directory {printable(path)} is linked twice; build or fetch it again")
                seen.add(reference)
                parent = "" if path == "/" else path
                todo += [(f"{parent}/{entry_name(name, self.name)}", at) for name, at in self._entries(listings, inode, path)]
            elif path == "/":
                raise self._corrupt("the root directory")

    def _inode(self, table: MetaTable, reference: int) -> _Inode:
        at = table.position(reference >> 16, reference & 0xFFFF)
        kind, mode, uid, gid, _, number = table.unpack("<HHHHII", at)
        basic = kind if kind < 8 else kind - 7
        if basic not in _BASIC or uid >= len(self._ids) or gid >= len(self._ids):
            raise self._corrupt(f"inode {number}")
        mode = _BASIC[basic] | mode & 0o7777
        uid, gid = self._ids[uid], self._ids[gid]
        at += 16
        if kind == 1:
            block, _, size, offset, _ = table.unpack("<IIHHI", at)
            return _Inode(mode, uid, gid, number, _NONE, listing=(block, offset, size))
        if kind == 8:
            _, size, block, _, _, offset, xattr = table.unpack("<IIIIHHI", at)
            return _Inode(mode, uid, gid, number, xattr, listing=(block, offset, size))
        if kind == 2:
            start, fragment, offset, size = table.unpack("<IIII", at)
            return _Inode(mode, uid, gid, number, _NONE, self._file(table, at + 16, size, start, fragment, offset))
        if kind == 9:
            start, size, _, _, fragment, offset, xattr = table.unpack("<QQQIIII", at)
            return _Inode(mode, uid, gid, number, xattr, self._file(table, at + 40, size, start, fragment, offset))
        if basic == 3:
            _, size = table.unpack("<II", at)
            if size > MAX_LINK:
                raise self._corrupt(f"the length of link {number}")
            target = table.take(at + 8, size)
            xattr = table.unpack("<I", at + 8 + size)[0] if kind == 10 else _NONE
            return _Inode(mode, uid, gid, number, xattr, target=target)
        device = basic in (4, 5)
        xattr = table.unpack("<I", at + (8 if device else 4))[0] if kind > 8 else _NONE
        return _Inode(mode, uid, gid, number, xattr)

    def _file(self, table: MetaTable, at: int, size: int, start: int, fragment: int, offset: int) -> _File:
        whole, rest = divmod(size, self._super.block_size)
        count = whole if fragment != _NONE or not rest else whole + 1
        if fragment != _NONE and fragment >= self._super.fragments:
            raise self._corrupt("a fragment number")
        if not table.holds(at, count * 4):
            raise self._corrupt("the size of a file")
        return _File(size, start, fragment, offset, at, count)

    def _entries(self, table: MetaTable, inode: _Inode, path: str) -> Iterator[tuple[bytes, int]]:
        """Yield name and inode reference of each entry; a directory's length counts three bytes more than are there."""
        block, offset, size = inode.listing
        if size <= 3:
            return
        at = table.position(block, offset)
        end = at + size - 3
        while at < end:
            count, start, _ = table.unpack("<III", at)
            at += 12
            if count >= 256:
                raise self._corrupt(f"the listing of {printable(path)}")
            for _ in range(count + 1):
                offset, _, _, length = table.unpack("<HhHH", at)
                yield table.take(at + 8, length + 1), start << 16 | offset
                at += 9 + length
        if at != end:
            raise self._corrupt(f"the listing of {printable(path)}")

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, _File):
            raise TypeError(handle)
        size = self._super.block_size
        blocks = self._maps.get(handle, lambda: self._map(handle))
        parts = []
        for index in range(offset // size, -(-(offset + length) // size)):
            begin = max(offset - index * size, 0)
            stop = min(offset + length - index * size, size)
            expected = min(size, handle.size - index * size)
            block = self._block(handle, blocks, index, expected)
            if len(block) < expected:
                raise self._corrupt(f"the length of data block {index} of a file")
            parts.append(block[begin:stop])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _map(self, file: _File) -> _Map:
        words = struct.unpack(f"<{file.block_count}I", self._inodes.take(file.words, file.block_count * 4))
        return _Map(tuple(accumulate((word & ~_UNCOMPRESSED for word in words), initial=file.start)), words)

    def _block(self, file: _File, blocks: _Map, index: int, expected: int) -> bytes:
        if index < file.block_count:
            word = blocks.words[index]
            return self._data(blocks.positions[index], word) if word & ~_UNCOMPRESSED else bytes(expected)
        start, word, _ = self._fragments[file.fragment]
        return self._data(start, word)[file.fragment_offset : file.fragment_offset + expected]

    def _data(self, start: int, word: int) -> bytes:
        length = word & ~_UNCOMPRESSED
        if length > self._super.block_size:
            raise self._corrupt("the length of a data block")

        def load() -> bytes:
            raw = self._blob.read(start, length)
            return raw if word & _UNCOMPRESSED else self._meta.decompress(raw, self._super.block_size)

        return self._blocks.get((start, word), load)
