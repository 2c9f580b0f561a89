"""Content of EROFS files, however it is laid out."""

from bisect import bisect_right
from itertools import islice

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.erofs_clusters import Coding, Extent, read_extents
from everest_secure.image.erofs_codecs import decompress
from everest_secure.image.erofs_inode import Inode, Layout
from everest_secure.image.erofs_super import Superblock

_HOLE = 0xFFFF_FFFF
_CHUNK_BITS = 0x1F
_INDEXES = 0x20
_CACHED = 8 * 1024 * 1024
"""Bytes of decompressed clusters that are kept."""
_CACHED_EXTENTS = 100_000
"""Extents of files that are kept."""


class Content:
    """Reads the content of inodes, files or not."""

    def __init__(self, blob: Blob, superblock: Superblock, packed: Inode | None) -> None:
        """`packed` is the inode that holds the tails of files."""
        self._blob = blob
        self._super = superblock
        self._packed = packed
        self._maps: Cache[int, list[Extent]] = Cache(_CACHED_EXTENTS, weigh=lambda found: len(found) + 1)
        self._clusters: Cache[Extent, bytes] = Cache(_CACHED, weigh=len)

    def read(self, inode: Inode, offset: int, length: int) -> bytes:
        """Return bytes that lie within the inode's size; raises ArtefactError when they cannot be had."""
        if not length:
            return b""
        if inode.layout in (Layout.PLAIN, Layout.INLINE):
            return self._flat(inode, offset, length)
        if inode.layout == Layout.CHUNKS:
            return self._chunks(inode, offset, length)
        return self._compressed(inode, offset, length)

    def _flat(self, inode: Inode, offset: int, length: int) -> bytes:
        bits = self._super.block_bits
        tail = (inode.size - 1) >> bits << bits if inode.layout == Layout.INLINE else inode.size
        blocks = inode.address << bits
        if offset + length <= tail:
            return self._blob.read(blocks + offset, length)
        if offset >= tail:
            return self._blob.read(inode.body + offset - tail, length)
        return self._blob.read(blocks + offset, tail - offset) + self._blob.read(inode.body, offset + length - tail)

    def _chunks(self, inode: Inode, offset: int, length: int) -> bytes:
        form = inode.address
        if form & ~(_CHUNK_BITS | _INDEXES):
            raise self._corrupt(f"the table of chunks of an inode is of an unknown form ({form})")
        bits = self._super.block_bits + (form & _CHUNK_BITS)
        unit = 8 if form & _INDEXES else 4
        first, last = offset >> bits, (offset + length - 1) >> bits
        table = -(-inode.body // unit) * unit + first * unit
        raw = self._blob.read(table, (last - first + 1) * unit)
        found = bytearray(length)
        for number in range(first, last + 1):
            entry = raw[(number - first) * unit : (number - first + 1) * unit]
            if entry[2:4] != b"\0\0" and unit == 8:
                raise self._corrupt("a chunk lies on a device that it has not")
            block = int.from_bytes(entry[-4:], "little")
            begin = max(number << bits, offset)
            end = min((number + 1) << bits, offset + length)
            if block != _HOLE:
                at = (block << self._super.block_bits) + begin - (number << bits)
                found[begin - offset : end - offset] = self._blob.read(at, end - begin)
        return bytes(found)

    def _compressed(self, inode: Inode, offset: int, length: int) -> bytes:
        pieces = self._maps.get(inode.position, lambda: read_extents(self._blob, self._super, inode))
        end = offset + length
        parts = []
        for extent in islice(pieces, bisect_right(pieces, offset, key=lambda extent: extent.logical) - 1, None):
            if extent.logical >= end:
                break
            begin = max(offset - extent.logical, 0)
            parts.append(self._piece(inode, extent, begin, min(extent.length, end - extent.logical) - begin))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _piece(self, inode: Inode, extent: Extent, begin: int, length: int) -> bytes:
        if extent.coding != Coding.FRAGMENT:
            return self._clusters.get(extent, lambda: self._decoded(extent))[begin : begin + length]
        packed = self._packed
        if packed is None or packed.position == inode.position or extent.physical + extent.length > packed.size:
            raise self._corrupt("a file's tail is said to lie where there is none")
        return self.read(packed, extent.physical + begin, length)

    def _decoded(self, extent: Extent) -> bytes:
        raw = self._blob.read(extent.physical, extent.stored)
        if extent.coding == Coding.SHIFTED:
            return raw[: extent.length]
        if extent.coding == Coding.INTERLACED:
            block = 1 << self._super.block_bits
            turn = block - extent.logical % block
            return (raw[len(raw) - turn :] + raw)[: extent.length] if extent.length > turn else raw[len(raw) - turn :][: extent.length]
        return decompress(extent, raw, pads_in_front=self._super.pads_in_front, name=self._blob.name)

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self._blob.name} is corrupt: {what} in its EROFS; build or fetch it again")
