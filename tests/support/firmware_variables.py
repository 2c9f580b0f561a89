"""What UEFI firmware would start: its variables read as edk2 reads them, also where its power went while it wrote one.

Format: MdeModulePkg/Include/Guid/VariableFormat.h of edk2, authenticated variables; the load option is that of the UEFI specification, 3.1.3.
A variable is replaced in three steps (the old one is marked, the new one is written and then declared valid, the old one is deleted), so that at
any time one of the two counts.
"""

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from virt.firmware.varstore.edk2 import Edk2VarStore

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_HEADER = struct.Struct("<HBxIQ16sIII16s")
_START = 0x55AA
_VALID, _BEING_REPLACED = 0x3F, 0x3E
_PARTITION = struct.Struct("<BBHIQQ16sBB")
_MEDIA, _HARD_DRIVE = 4, 1


@dataclass(frozen=True)
class BootChoice:
    """The partitions whose programs the firmware would try, in its order, by their GUIDs; when all fail, the fallback name on any."""

    partitions: tuple[uuid.UUID, ...]
    once: bool
    """Whether the first one is for the next start alone (BootNext)."""


def choice(store: Path) -> BootChoice:
    """Return what the firmware with this variable store would start."""
    variables = boot_variables(store)
    following = variables.get("BootNext", b"")
    order = [*struct.iter_unpack("<H", following), *struct.iter_unpack("<H", variables.get("BootOrder", b""))]
    options = [variables.get(f"Boot{number:04X}", b"") for (number,) in order]
    found = [_partition(option) for option in options if option]
    return BootChoice(tuple(partition for partition in found if partition is not None), once=bool(following))


def boot_variables(store: Path) -> dict[str, bytes]:
    """Return the variables of the boot manager: `BootOrder`, `BootNext`, `Boot0001`."""
    volume = Edk2VarStore(str(store))
    data: bytes = volume.filedata
    sound: dict[str, bytes] = {}
    replaced: dict[str, bytes] = {}
    at = volume.start
    while at + _HEADER.size <= volume.end:
        start, state, _, _, _, _, name_size, size, vendor = _HEADER.unpack_from(data, at)
        if start != _START:
            break
        if 0xFFFFFFFF in (name_size, size):  # The power went while the header was written: nothing comes behind it.
            break
        where = at + _HEADER.size
        if uuid.UUID(bytes_le=vendor) == GLOBAL and state in (_VALID, _BEING_REPLACED):
            name = data[where : where + name_size].decode("utf-16-le").rstrip("\0")
            (sound if state == _VALID else replaced)[name] = data[where + name_size : where + name_size + size]
        at = (where + name_size + size + 3) & ~3
    return replaced | sound


def _partition(option: bytes) -> uuid.UUID | None:
    """Return the GUID of the partition on which a load option's program lies; None for the network, a shell and a whole disk."""
    _, length = struct.unpack_from("<IH", option)
    at = 6
    while option[at : at + 2] != b"\0\0":
        at += 2
    at += 2
    end = at + length
    while at < end:
        kind, subtype, size = struct.unpack_from("<BBH", option, at)
        if (kind, subtype) == (_MEDIA, _HARD_DRIVE):
            return uuid.UUID(bytes_le=_PARTITION.unpack_from(option, at)[6])
        at += max(size, 4)
    return None
