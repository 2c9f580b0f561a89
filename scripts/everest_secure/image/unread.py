"""What is known by its magic number and not read: file systems, disks in the containers of virtual machines, archives. A message names it, and none is passed over in a deploy folder."""

import struct
from zlib import crc32

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

_SAME_ROOT = "give the same root as ext4, SquashFS, EROFS or tar, or the directory that it was made from"
_SAME_DISK = "give the disk as it is written to the device (`qemu-img convert -O raw`)"
_UNPACKED = "give what is packed in it"
_JFFS2 = struct.Struct("<H6xI")
_JFFS2_MAGIC = 0x1985
_ALL = 0xFFFFFFFF
_KNOWN = (
    (0, b"UBI#", "UBI", _SAME_ROOT),
    (0, b"\x31\x18\x10\x06", "UBIFS", _SAME_ROOT),
    (0, b"\x45\x3d\xcd\x28", "cramfs", _SAME_ROOT),
    (0, b"XFSB", "XFS", _SAME_ROOT),
    (1024, b"\x10\x20\xf5\xf2", "F2FS", _SAME_ROOT),
    (32769, b"CD001", "ISO 9660", _SAME_ROOT),
    (65600, b"_BHRfS_M", "Btrfs", _SAME_ROOT),
    (0, b"QFI\xfb", "qcow2", _SAME_DISK),
    (0, b"KDMV", "VMDK", _SAME_DISK),
    (0, b"# Disk DescriptorFile", "VMDK", _SAME_DISK),
    (64, b"\x7f\x10\xda\xbe", "VDI", _SAME_DISK),
    (0, b"vhdxfile", "VHDX", _SAME_DISK),
    (0, b"conectix", "VHD", _SAME_DISK),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image", "give the disk as it is written to the device (`simg2img`)"),
    (8, b"\xf9\x9f\x12\x7b\x9c\x4d\x82\x96", "a casync index", "give what it is the index of, or a bundle with the image itself"),
    (0, b"\x89LZO\0\r\n\x1a\n", "lzop", _UNPACKED),
    (0, b"7z\xbc\xaf\x27\x1c", "7z", _UNPACKED),
    (0, b"PK\x03\x04", "ZIP", _UNPACKED),
)
"""Position, magic number (magic(5), `include/uapi/linux/magic.h`, `drivers/mtd/ubi/ubi-media.h`, QEMU's `block/`, casync's `caformat.h`), name, and what to give instead."""


def unread_format(blob: Blob) -> str | None:
    """Return the name of a format that is known and not read; None for anything else."""
    known = _find(blob)
    return known[0] if known else None


def refuse_unread(blob: Blob) -> None:
    """Raise ArtefactError when a blob is of a format that is known and not read."""
    known = _find(blob)
    if known:
        raise ArtefactError(f"{blob.path or blob.name} is {known[0]}, which is not read; {known[1]}")


def _find(blob: Blob) -> tuple[str, str] | None:
    if _begins_jffs2(blob):
        return "JFFS2", _SAME_ROOT
    for at, magic, name, instead in _KNOWN:
        if at + len(magic) <= blob.size and blob.read(at, len(magic)) == magic:
            return name, instead
    return None


def _begins_jffs2(blob: Blob) -> bool:
    """Say whether a blob begins with the header of a node: its magic number alone is two bytes, with which a firmware may begin as well.

    The checksum is a CRC-32 that is not inverted (`struct jffs2_unknown_node` of `include/uapi/linux/jffs2.h`).
    """
    if blob.size < _JFFS2.size:
        return False
    content = blob.read(0, _JFFS2.size)
    return _JFFS2.unpack(content) == (_JFFS2_MAGIC, crc32(content[:8], _ALL) ^ _ALL)
