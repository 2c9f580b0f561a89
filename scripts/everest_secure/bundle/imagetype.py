"""How RAUC writes an image: by its type. From 1.15 on RAUC refuses a manifest with an image of no type that it knows; before, it looked while it installed."""

from fnmatch import fnmatchcase

_BY_NAME = {
    "*.ext4.caibx": "ext4-caibx",
    "*.vfat.caibx": "vfat-caibx",
    "*.ubifs.caibx": "ubifs-caibx",
    "*.img.caibx": "raw-caibx",
    "*.squashfs.caibx": "squashfs-caibx",
    "*.squashfs-*.caibx": "squashfs-caibx",
    "*.catar": "catar",
    "*.caidx": "caidx",
    "*.tar*": "tar",
    "*.tgz": "tar",
    "*.ext4": "ext4",
    "*.vfat": "vfat",
    "*.img": "raw",
    "*.squashfs-*": "squashfs",
    "*.squashfs": "squashfs",
    "*.ubifs": "ubifs",
}
"""Types by the pattern of a file's name (src/update_handler.c of 1.15)."""
WITHOUT_FILE = "emptyfs"
"""The type of a file system that RAUC makes, for which a bundle has no file."""
TYPES = frozenset({*_BY_NAME.values(), WITHOUT_FILE})
"""What a manifest may call one."""


def is_told_by_name(file: str) -> bool:
    """Return whether RAUC knows by a file's name how to write it."""
    return any(fnmatchcase(file, pattern) for pattern in _BY_NAME)
