"""POSIX access lists as text (acl(5), the long and the short form), and as the kernel keeps them (linux/posix_acl_xattr.h, version 2)."""

import struct

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"
_VERSION = 2
_UNDEFINED = 0xFFFFFFFF
_TAGS = {"user": (0x01, 0x02), "group": (0x04, 0x08), "mask": (0x10, 0x10), "other": (0x20, 0x20)}
"""Tags without and with a qualifier; the kernel sorts by them, and by the qualifier."""
_BASE = {0x01, 0x04, 0x20}
_MAX_ENTRIES = 1000


def acl_from_text(text: bytes) -> bytes | None:
    """Return the attribute's value; None when the list says no more than the mode does, as the kernel then keeps none.

    An entry is `TAG:QUALIFIER:PERMISSIONS`, with the id behind it when star or libarchive wrote it; the id of a name that only the accounts of the
    system could resolve is undefined. Raises ValueError when it is no access list.
    """
    lines = [line.partition("#")[0].strip() for line in text.decode("utf-8", "replace").replace(",", "\n").split("\n")]
    entries = sorted(_entry(line) for line in lines if line)
    if not entries or len(entries) > _MAX_ENTRIES:
        raise ValueError("no access list")
    if {tag for tag, _, _ in entries} <= _BASE:
        return None
    return struct.pack("<I", _VERSION) + b"".join(struct.pack("<HHI", tag, permissions, who) for tag, who, permissions in entries)


def _entry(line: str) -> tuple[int, int, int]:
    kind, qualifier, permissions, number = f"{line}:::".split(":")[:4]
    tags = next((tags for name, tags in _TAGS.items() if kind and name.startswith(kind)), None)
    if tags is None or len(permissions) != 3 or set(permissions) - set("rwx-"):
        raise ValueError("no access list")
    given = number or qualifier
    who = int(given) if given.isdigit() and len(given) < 11 and int(given) <= _UNDEFINED else _UNDEFINED
    granted = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in permissions)
    return tags[bool(qualifier)], who if qualifier else _UNDEFINED, granted
