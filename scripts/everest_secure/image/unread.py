"""File systems that are known by their magic number and not read, so that a message can name them."""

from everest_secure.image.blob import Blob

_MAGIC = (
    (0, b"UBI#", "UBI"),
    (0, b"\x31\x18\x10\x06", "UBIFS"),
    (0, b"\x85\x19", "JFFS2"),
    (0, b"\x45\x3d\xcd\x28", "cramfs"),
    (0, b"XFSB", "XFS"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (32769, b"CD001", "ISO 9660"),
    (65600, b"_BHRfS_M", "Btrfs"),
)
"""Position, magic number (magic(5), `include/uapi/linux/magic.h`, `drivers/mtd/ubi/ubi-media.h`) and name."""


def unread_format(blob: Blob) -> str | None:
    """Return the name of a format that is known and not read; None for anything else."""
    for at, magic, name in _MAGIC:
        if at + len(magic) <= blob.size and blob.read(at, len(magic)) == magic:
            return name
    return None
