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
_WRITTEN = {
    "ext4": {"ext4", "raw", "boot-gpt-switch"},
    "vfat": {"vfat", "raw", "boot-mbr-switch", "boot-gpt-switch"},
    "squashfs": {"raw", "ubivol"},
    "ubifs": {"ubifs", "ubivol"},
    "raw": {
        "raw", "ext4", "vfat", "ubifs", "ubivol", "jffs2", "nor", "nand",
        "boot-emmc", "boot-mbr-switch", "boot-gpt-switch", "boot-raw-fallback",
    },
    "tar": {"ext4", "vfat", "ubifs", "jffs2"},
    "ext4-caibx": {"ext4", "raw"},
    "vfat-caibx": {"raw"},
    "squashfs-caibx": {"raw", "ubivol"},
    "ubifs-caibx": {"ubifs", "ubivol"},
    "raw-caibx": {"raw", "ext4", "vfat", "ubifs", "ubivol", "jffs2", "nor", "nand"},
    "caidx": {"ext4", "vfat", "ubifs"},
    "catar": {"ext4"},
    WITHOUT_FILE: {"ext4"},
}  # fmt: skip
"""Types of slots (`type` of system.conf) by the type of image that RAUC writes into them (image_type_map of src/update_handler.c, 1.15)."""


def told_by_name(file: str) -> str:
    """Return the type by which RAUC writes a file of a name; empty when it does not know by that."""
    return next((kind for pattern, kind in _BY_NAME.items() if fnmatchcase(file, pattern)), "")


def is_written(image: str, slot: str) -> bool:
    """Return whether RAUC writes an image of one of its types into a slot of a type."""
    return slot in _WRITTEN[image]
