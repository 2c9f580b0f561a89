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
from everest_secure.image.codecs import OF_LIBLZMA, squashfs_codec
from everest_secure.image.modes import PERMISSIONS, node_type
from everest_secure.image.names import entry_name
from everest_secure.image.squashfs_inode import NONE, File, Inodes
from everest_secure.image.squashfs_meta import ABSENT, MetaReader, MetaTable, XattrTable
from everest_secure.image.tree import NO_XATTRS, Node, Tree, printable

MAGIC = b"hsqs"
_SUPERBLOCK = struct.Struct("<4s4I6H8Q")
_RUN = struct.Struct("<II4x")
_ENTRY = struct.Struct("<H4xH")
_UNCOMPRESSED = 1 << 24
_CACHED_BYTES, _CACHED_BYTES_OF_LIBLZMA, _CACHED_BLOCKS = 1024 * 1024, 4 * 1024 * 1024, 4
"""Bytes of decompressed blocks kept by each process, and how many blocks there are at least. Who reads files in the order of the
image decompresses one block in a hundred again where 4 MiB are kept, and fifteen with 1 MiB, which costs with xz alone.
"""
_CACHED_MAPS = 4096
"""Positions of blocks kept of the files that were read last."""


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


class _Map(NamedTuple):
    """Position and size word of each block of a file."""

    positions: tuple[int, ...]
    words: tuple[int, ...]


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
        kept = _CACHED_BYTES_OF_LIBLZMA if superblock.compression in OF_LIBLZMA else _CACHED_BYTES
        self._blocks: Cache[tuple[int, int], bytes] = Cache(max(_CACHED_BLOCKS, kept // superblock.block_size))
        self._maps: Cache[object, tuple[File, _Map]] = Cache(_CACHED_MAPS, weigh=lambda found: len(found[1].words) + 1)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its SquashFS is wrong; build or fetch it again")

    @cached_property
    def _fragments(self) -> list[tuple[int, int, int]]:
        if self._super.fragment_table == ABSENT or not self._super.fragments:
            return []
        return list(struct.iter_unpack("<QII", self._meta.indexed(self._super.fragment_table, self._super.fragments * 16)))

    @cached_property
    def _inodes(self) -> Inodes:
        first = self._super
        ids = struct.unpack(f"<{first.ids}I", self._meta.indexed(first.id_table, first.ids * 4))
        table = self._meta.table(first.inode_table, first.directory_table)
        return Inodes(table, ids, block_size=first.block_size, fragments=first.fragments, name=self.name)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        first = self._super
        behind = [at for at in (first.fragment_table, first.export_table, first.id_table) if at > first.directory_table]
        if not behind:
            raise self._corrupt("the order of the tables")
        listings = self._meta.table(first.directory_table, min(behind))
        xattrs = XattrTable(self._meta, self.name, first.xattr_table)
        inodes = self._inodes
        seen: set[int] = set()
        todo = [("/", first.root)]
        while todo:
            path, reference = todo.pop()
            mode, uid, gid, xattr, file, target, listing = inodes.get(reference)
            kind = node_type(mode)
            if kind is None:
                raise self._corrupt(f"the mode of {printable(path)}")
            size = file.size if file else 0
            link = target.decode("utf-8", "surrogateescape") if target else ""
            attributes = NO_XATTRS if xattr == NONE else xattrs.get(xattr)
            yield Node(path, kind, PERMISSIONS[mode & 0o7777], uid, gid, size, link, attributes), reference
            if stat.S_ISDIR(mode):
                if reference in seen:
                    raise ArtefactError(f"{self.name} is corrupt: its directory {printable(path)} is linked twice; build or fetch it again")
                seen.add(reference)
                todo += self._entries(listings, *listing, path)
            elif path == "/":
                raise self._corrupt("the root directory")

    def _entries(self, table: MetaTable, block: int, offset: int, size: int, path: str) -> list[tuple[str, int]]:
        """Return path and inode reference of each entry; a directory's length counts three bytes more than are there."""
        found: list[tuple[str, int]] = []
        if size <= 3:
            return found
        parent = "/" if path == "/" else f"{path}/"
        at = table.position(block, offset)
        end = at + size - 3
        while at < end:
            count, start = table.unpack(_RUN, at)
            start <<= 16
            at += 12
            if count >= 256:
                raise self._corrupt(f"the listing of {printable(path)}")
            for _ in range(count + 1):
                offset, length = table.unpack(_ENTRY, at)
                found.append((parent + entry_name(table.take(at + 8, length + 1), self.name), start | offset))
                at += 9 + length
        if at != end:
            raise self._corrupt(f"the listing of {printable(path)}")
        return found

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        file, blocks = self._maps.get(handle, lambda: self._map(handle))
        size = self._super.block_size
        parts = []
        for index in range(offset // size, -(-(offset + length) // size)):
            begin = max(offset - index * size, 0)
            stop = min(offset + length - index * size, size)
            expected = min(size, file.size - index * size)
            block = self._block(file, blocks, index, expected)
            if len(block) < expected:
                raise self._corrupt(f"the length of data block {index} of a file")
            parts.append(block[begin:stop])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _position(self, handle: object) -> int:
        file = self._file(handle)
        return file.start if file.block_count else self._fragments[file.fragment][0]

    def _file(self, handle: object) -> File:
        file = self._inodes.get(handle).file if isinstance(handle, int) else None
        if file is None:
            raise TypeError(handle)
        return file

    def _map(self, handle: object) -> tuple[File, _Map]:
        file = self._file(handle)
        words = struct.unpack(f"<{file.block_count}I", self._inodes.table.take(file.words, file.block_count * 4))
        return file, _Map(tuple(accumulate((word & ~_UNCOMPRESSED for word in words), initial=file.start)), words)

    def _block(self, file: File, blocks: _Map, index: int, expected: int) -> bytes:
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
