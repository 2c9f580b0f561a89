"""Inodes of EROFS."""

import struct
from enum import IntEnum
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.erofs_super import Superblock
from everest_secure.image.window import Window

_COMPACT = struct.Struct("<HHH2xI4xI4xHH4x")
_EXTENDED = struct.Struct("<HHH2xQI4xII28x")


class Layout(IntEnum):
    """How an inode says where its content lies."""

    PLAIN = 0
    """From one block on."""
    FULL_INDEX = 1
    """Compressed, eight bytes of index for each logical cluster."""
    INLINE = 2
    """As PLAIN, but for the last block, which follows the inode."""
    COMPACT_INDEX = 3
    """Compressed, two or four bytes of index for each logical cluster."""
    CHUNKS = 4
    """By a table of chunks."""


_LAST = int(max(Layout))


class Inode(NamedTuple):
    """One inode."""

    position: int
    """Where it lies."""
    mode: int
    uid: int
    gid: int
    size: int
    layout: int
    """A `Layout`."""
    address: int
    """First block (PLAIN, INLINE) or format of the table (CHUNKS)."""
    xattrs: int
    """Position of its attributes."""
    body: int
    """Position behind these."""


def read_inode(window: Window, superblock: Superblock, number: int, name: str) -> Inode:
    """Return inode `number`; raises ArtefactError when none can be there."""
    at = superblock.position(number)
    raw, within = window.locate(at, 64 if at + 64 <= window.size else 32)
    if raw[within] & 1:
        if len(raw) < within + 64:
            raise ArtefactError(f"{name} is corrupt: inode {number} of its EROFS reaches beyond the end; build or fetch it again")
        form, count, mode, size, address, uid, gid = _EXTENDED.unpack_from(raw, within)
        xattrs = at + 64
    else:
        form, count, mode, size, address, uid, gid = _COMPACT.unpack_from(raw, within)
        xattrs = at + 32
    layout = form >> 1
    if layout > _LAST:
        raise ArtefactError(f"{name} is corrupt: inode {number} of its EROFS is of an unknown form ({form}); build or fetch it again")
    return Inode(at, mode, uid, gid, size, layout, address, xattrs, xattrs + 8 + 4 * count if count else xattrs)
