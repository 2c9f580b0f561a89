"""Extended attributes of ext2, ext3 and ext4, with POSIX ACLs as getxattr(2) gives them."""

import struct
from collections.abc import Callable, Iterator

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.image.ext4_inode import XATTR_MAGIC, Inode
from everest_secure.image.ext4_super import Superblock

_PREFIXES = {
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
    8: "system.richacl",
}
_ACLS = (2, 3)
_MAX_VALUE = 65536
"""Bytes of a value (XATTR_SIZE_MAX of linux/limits.h)."""

Value = Callable[[int, int], bytes]
"""Returns the content of an inode that holds a value, given its number and size."""


def read_xattrs(blob: Blob, superblock: Superblock, inode: Inode, value: Value) -> dict[str, bytes]:
    """Return all attributes of an inode by full name, inline data as `system.data`; raises ArtefactError when they are corrupt."""
    found: dict[str, bytes] = {}
    if inode.extra:
        found.update(_entries(blob.name, inode, inode.extra[4:], 0, value))
    if inode.xattr_block:
        raw = blob.read(inode.xattr_block * superblock.block_size, superblock.block_size)
        if raw[:4] != XATTR_MAGIC:
            raise _corrupt(blob.name, inode)
        found.update(_entries(blob.name, inode, raw, 32, value))
    return found


def _entries(name: str, inode: Inode, raw: bytes, at: int, value: Value) -> Iterator[tuple[str, bytes]]:
    while raw[at : at + 4] not in (b"\0\0\0\0", b""):
        if at + 16 > len(raw):
            raise _corrupt(name, inode)
        length, kind, offset, holder, size = struct.unpack_from("<BBHII", raw, at)
        end = at + 16 + length
        if end > len(raw) or size > _MAX_VALUE or kind not in _PREFIXES or (not holder and offset + size > len(raw)):
            raise _corrupt(name, inode)
        content = value(holder, size) if holder else raw[offset : offset + size]
        attribute = _PREFIXES[kind] + raw[at + 16 : end].decode("utf-8", "surrogateescape")
        yield attribute, _acl(name, inode, content) if kind in _ACLS else content
        at = (end + 3) & ~3


def _acl(name: str, inode: Inode, raw: bytes) -> bytes:
    """Turn an ACL as on disk (version 1, ids only where they mean something) into version 2 of linux/posix_acl_xattr.h."""
    if raw[:4] != b"\x01\0\0\0":
        raise _corrupt(name, inode)
    found = [b"\x02\0\0\0"]
    at = 4
    while at < len(raw):
        tag = int.from_bytes(raw[at : at + 2], "little")
        size = 8 if tag in (2, 8) else 4
        if at + size > len(raw):
            raise _corrupt(name, inode)
        found.append(raw[at : at + size] if size == 8 else raw[at : at + 4] + b"\xff\xff\xff\xff")
        at += size
    return b"".join(found)


def _corrupt(name: str, inode: Inode) -> ArtefactError:
    return ArtefactError(
        f"{name} is corrupt: the extended attributes of inode {inode.number} of its ext4 file system are wrong; build or fetch it again"
    )
