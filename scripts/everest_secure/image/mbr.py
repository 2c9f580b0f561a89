"""Disks with an MBR partition table, as the Raspberry Pi's firmware asks for: primary, extended and logical partitions, sectors of 512 bytes.

Numbers are the kernel's (`block/partitions/msdos.c`): primary from 1, logical from 5.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_part, opens
from everest_secure.image.blob import Blob
from everest_secure.image.partitions import Extent, refuse_overlaps

_SECTOR = 512
_SIGNATURE = b"\x55\xaa"
_EXTENDED = (0x05, 0x0F, 0x85)
_PROTECTIVE = 0xEE
_MAX_LOGICAL = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class MbrPartition(Extent):
    """One entry in use; an extended partition is none."""

    type: int
    """0x0c FAT32, 0x83 Linux ..."""
    active: bool


@dataclass(frozen=True, slots=True)
class MbrTable:
    """What an MBR says, in the order of its numbers."""

    disk: int
    """The disk's identifier, the front part of `PARTUUID=`."""
    partitions: tuple[MbrPartition, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    status: int
    type: int
    first: int
    count: int


@opens(order=80)
def open_mbr(blob: Blob, depth: int) -> Artefact | None:
    """Open a disk with an MBR and everything in its partitions, named `NAME:partition-1`; a FAT file system, asked first, ends its first sector alike."""
    table = read_mbr(blob)
    if table is None:
        return None
    children = tuple(
        open_part(blob.slice(each.offset, each.size, f"{blob.name}:partition-{each.number}"), depth + 1) for each in table.partitions
    )
    return Artefact(name=blob.name, kind="mbr", blob=blob, facts=table, children=children)


def read_mbr(blob: Blob) -> MbrTable | None:
    """Return the partition table, or None when there is none; raises ArtefactError when its partitions cannot be right."""
    if blob.size < 2 * _SECTOR:
        return None
    sector = blob.read(0, _SECTOR)
    entries = _entries(sector)
    used = [entry for entry in entries if entry.type]
    if sector[510:] != _SIGNATURE or not used or any(each.status not in (0, 0x80) or not each.first or not each.count for each in used):
        return None
    if any(entry.type == _PROTECTIVE for entry in used):
        return None
    partitions = list(_partitions(blob, entries))
    refuse_overlaps(blob, partitions)
    return MbrTable(struct.unpack_from("<I", sector, 440)[0], tuple(partitions))


def _entries(sector: bytes) -> list[_Entry]:
    return [_Entry(*struct.unpack_from("<B3xB3xII", sector, 446 + 16 * index)) for index in range(4)]


def _partitions(blob: Blob, entries: list[_Entry]) -> Iterator[MbrPartition]:
    for number, entry in enumerate(entries, 1):
        if entry.type and entry.type not in _EXTENDED:
            yield _partition(blob, number, entry, entry.first)
    extended = [entry for entry in entries if entry.type in _EXTENDED]
    if len(extended) > 1:
        raise ArtefactError(f"{blob.name} is corrupt: its MBR has {len(extended)} extended partitions; make the disk again")
    for entry in extended:
        _partition(blob, 0, entry, entry.first)
        yield from _logical(blob, entry)


def _logical(blob: Blob, extended: _Entry) -> Iterator[MbrPartition]:
    """Follow the chain of boot records: the first entry is the partition, counted from its record, the second the next record, from the first one."""
    at = extended.first
    for number in range(5, 5 + _MAX_LOGICAL):
        sector = blob.read(at * _SECTOR, _SECTOR)
        if sector[510:] != _SIGNATURE:
            raise ArtefactError(
                f"{blob.name} is corrupt: the boot record of its logical partition {number} is damaged; make the disk again"
            )
        own, following = _entries(sector)[:2]
        if own.type:
            if own.first + own.count + at > extended.first + extended.count:
                raise _outside(blob, number)
            yield _partition(blob, number, own, at + own.first)
        if following.type not in _EXTENDED:
            return
        following_at = extended.first + following.first
        if not at < following_at < extended.first + extended.count:
            raise ArtefactError(
                f"{blob.name} is corrupt: the chain of its logical partitions does not go on at {number}; make the disk again"
            )
        at = following_at
    raise ArtefactError(f"{blob.name} has more than {_MAX_LOGICAL} logical partitions; it is taken for hostile and not read")


def _partition(blob: Blob, number: int, entry: _Entry, first: int) -> MbrPartition:
    if not first or not entry.count or (first + entry.count) * _SECTOR > blob.size:
        raise _outside(blob, number)
    return MbrPartition(number=number, offset=first * _SECTOR, size=entry.count * _SECTOR, type=entry.type, active=entry.status == 0x80)


def _outside(blob: Blob, number: int) -> ArtefactError:
    which = f"partition {number}" if number else "extended partition"
    return ArtefactError(f"{blob.name} is truncated or corrupt: its {which} lies outside the disk; build or fetch it again")
