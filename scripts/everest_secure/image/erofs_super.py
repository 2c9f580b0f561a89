"""The superblock of EROFS, and what of the format this reader understands."""

import struct
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.crc32c import crc32c

OFFSET = 1024
_MAGIC = 0xE0F5E1E2
_LAYOUT = struct.Struct("<4xIIBxH20xIII32xI2xH2xBBIQ")
_CHECKSUM = 0x1
_PLAIN_PREFIXES = 0x10
_0PADDING = 0x1
_FRAGMENTS = 0x20
_UNDERSTOOD = 0x7F
"""0padding, big physical clusters and codec settings, chunks, device table and second head, ztailpacking, fragments and dedupe, long prefixes."""
_REFUSED = {0x80: "48bit", 0x100: "metabox"}
_INODE = 32
"""Bytes of the unit in which inodes are numbered."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What is needed to find inodes and blocks."""

    block_bits: int
    block_count: int
    directory_bits: int
    """Logarithm of the size of a directory's blocks."""
    root: int
    """Number of the root directory's inode; a number is a place, see `position`."""
    metadata: int
    """Position of inode 0."""
    shared_xattrs: int
    """Position of the attributes that inodes share."""
    packed: int
    """Number of the inode that holds the tails of files; 0 when there is none."""
    prefixes: tuple[int, int]
    """How many long prefixes of attribute names there are, and where."""
    prefixes_are_packed: bool
    """Whether that is a place in the packed inode."""
    pads_in_front: bool
    """Whether compressed clusters are filled up with zeros in front (`0padding`), not behind."""

    @property
    def size(self) -> int:
        """Bytes of the whole file system."""
        return self.block_count << self.block_bits

    def position(self, number: int) -> int:
        """Return where inode `number` lies."""
        return self.metadata + number * _INODE


def read_superblock(blob: Blob) -> Superblock | None:
    """Return the superblock, or None when `blob` holds no EROFS.

    Raises ArtefactError when it is truncated or corrupt, or needs what this reader does not know.
    """
    if blob.size < OFFSET + 128 or int.from_bytes(blob.read(OFFSET, 4), "little") != _MAGIC:
        return None
    fields = _LAYOUT.unpack_from(blob.read(OFFSET, 128))
    checksum, compat, bits, root, blocks, metadata, xattrs, incompat, devices, directory, prefixes, start, packed = fields
    _refuse(blob.name, incompat, devices)
    if not 9 <= bits <= 16 or bits + directory > 16:
        raise _corrupt(blob.name, "says an impossible block size")
    if blocks << bits > blob.size:
        raise ArtefactError(
            f"{blob.name} is truncated: its EROFS has {blocks << bits} bytes, {blob.size} are there; build or fetch it again"
        )
    if compat & _CHECKSUM and _checksum(blob, bits) != checksum:
        raise _corrupt(blob.name, "does not fit its checksum")
    packed = packed if incompat & _FRAGMENTS else 0
    return Superblock(
        block_bits=bits,
        block_count=blocks or blob.size >> bits,
        directory_bits=bits + directory,
        root=root,
        metadata=metadata << bits,
        shared_xattrs=xattrs << bits,
        packed=packed,
        prefixes=(prefixes, start * 4),
        prefixes_are_packed=bool(packed) and not compat & _PLAIN_PREFIXES,
        pads_in_front=bool(incompat & _0PADDING),
    )


def _refuse(name: str, incompat: int, devices: int) -> None:
    unknown = incompat & ~_UNDERSTOOD
    if unknown:
        names = ", ".join(_REFUSED.get(1 << bit, f"feature 0x{1 << bit:x}") for bit in range(32) if unknown >> bit & 1)
        raise ArtefactError(f"{name} is an EROFS with {names}, which cannot be read; build it without")
    if devices:
        raise ArtefactError(
            f"{name} is an EROFS with content on {devices} other devices, which cannot be read; build it in one (mkfs.erofs without --blobdev)"
        )


def _checksum(blob: Blob, bits: int) -> int:
    """Return what the checksum should be: over the rest of the superblock's block, itself as zero, and not inverted at the end."""
    length = 1 << bits
    raw = bytearray(blob.read(OFFSET, length - OFFSET if length > OFFSET else length))
    raw[4:8] = bytes(4)
    return crc32c(bytes(raw)) ^ 0xFFFF_FFFF


def _corrupt(name: str, what: str) -> ArtefactError:
    return ArtefactError(f"{name} is corrupt: the superblock of its EROFS {what}; build or fetch it again")
