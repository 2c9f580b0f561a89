"""GPT disks (UEFI specification 2.10, chapter 5), with sectors of 512 or 4096 bytes.

Both copies of the table must be sound and equal: a disk that boots from its backup table alone is a damaged disk.
"""

import struct
import uuid
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_part, opens
from everest_secure.image.blob import Blob
from everest_secure.image.partitions import Extent, refuse_overlaps
from everest_secure.image.tree import printable

_SIGNATURE = b"EFI PART"
_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_MAX_ENTRIES = 1024
_MAX_ENTRY = 4096
_PROTECTIVE = 0xEE


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition(Extent):
    """One entry in use."""

    label: str
    type: uuid.UUID
    uuid: uuid.UUID
    attributes: int


@dataclass(frozen=True, slots=True)
class PartitionTable:
    """What a GPT says, in the order of its entries."""

    sector_size: int
    disk: uuid.UUID
    partitions: tuple[Partition, ...]


class _Header(NamedTuple):
    lba: int
    alternate: int
    first: int
    last: int
    disk: bytes
    entries: bytes


@opens(order=10)
def open_gpt(blob: Blob, depth: int) -> Artefact | None:
    """Open a GPT disk and everything in its partitions; see `artefact.Opener`."""
    table = read_table(blob)
    if table is None:
        return None
    children = []
    names: set[str] = set()
    for partition in table.partitions:
        label = printable(partition.label) or f"partition-{partition.number}"
        name = label if label not in names else f"{label}#{partition.number}"
        names.add(name)
        children.append(open_part(blob.slice(partition.offset, partition.size, f"{blob.name}:{name}"), depth + 1))
    return Artefact(name=blob.name, kind="gpt", blob=blob, facts=table, children=tuple(children))


def read_table(blob: Blob) -> PartitionTable | None:
    """Return the partition table, or None when `blob` is no GPT disk; raises ArtefactError when either copy is damaged."""
    head = blob.head(4096 + 512)
    sector = next((size for size in (512, 4096) if head[size : size + 8] == _SIGNATURE), None)
    protective = head[510:512] == b"\x55\xaa" and any(head[446 + 16 * index + 4] == _PROTECTIVE for index in range(4))
    if sector is None:
        if protective:
            raise ArtefactError(f"{blob.name} has a protective MBR and no GPT behind it; it is truncated or damaged")
        return None
    if not protective:
        raise ArtefactError(f"{blob.name} has a GPT without a protective MBR, which firmware does not accept; make the disk again")
    primary = _header(blob, sector, 1, "primary")
    backup = _header(blob, sector, primary.alternate, "backup")
    if (backup.alternate, backup.entries, backup.disk) != (1, primary.entries, primary.disk):
        raise ArtefactError(f"{blob.name} is corrupt: the primary and the backup copy of its GPT differ; build or fetch it again")
    partitions = tuple(_partitions(blob, sector, primary))
    refuse_overlaps(blob, partitions)
    _require_same(blob, sector, head[446:510], partitions)
    return PartitionTable(sector, uuid.UUID(bytes_le=primary.disk), partitions)


def _require_same(blob: Blob, sector: int, entries: bytes, partitions: Iterable[Partition]) -> None:
    """Refuse a hybrid MBR, as firmware that knows no GPT wants one, when it shows it something else than partitions of the GPT."""
    known = {(partition.offset, partition.size) for partition in partitions}
    for kind, start, length in struct.iter_unpack("<4xB3xII", entries):
        if kind not in (0, _PROTECTIVE) and (start * sector, length * sector) not in known:
            raise ArtefactError(
                f"{blob.name} has a hybrid MBR, by which some firmware finds other partitions than the GPT's; make the disk with a protective one"
            )


def _header(blob: Blob, sector: int, lba: int, which: str) -> _Header:
    raw = blob.read(lba * sector, sector)
    signature, revision, size, crc, _, own, alternate, first, last, disk, at, count, length, entries_crc = _HEADER.unpack_from(raw)
    if (
        signature != _SIGNATURE
        or revision != b"\0\0\1\0"
        or own != lba
        or not _HEADER.size <= size <= sector
        or zlib.crc32(raw[:16] + bytes(4) + raw[20:size]) != crc
        or not 0 < count <= _MAX_ENTRIES
        or length % 128
        or not 128 <= length <= _MAX_ENTRY
    ):
        raise _damaged(blob, which)
    entries = blob.read(at * sector, count * length)
    if zlib.crc32(entries) != entries_crc:
        raise _damaged(blob, which)
    # Entries longer than 128 bytes keep their known fields at the front.
    return _Header(own, alternate, first, last, disk, b"".join(entries[i : i + 128] for i in range(0, len(entries), length)))


def _partitions(blob: Blob, sector: int, header: _Header) -> list[Partition]:
    found = []
    for number, at in enumerate(range(0, len(header.entries), 128), 1):
        kind, own, first, last, attributes, label = struct.unpack_from("<16s16sQQQ72s", header.entries, at)
        if not any(kind):
            continue
        if not header.first <= first <= last <= header.last or (last + 1) * sector > blob.size:
            raise ArtefactError(
                f"{blob.name} is truncated or corrupt: its partition {number} lies outside the disk; build or fetch it again"
            )
        found.append(
            Partition(
                number=number,
                label=label.decode("utf-16-le", "replace").split("\0", 1)[0],
                type=uuid.UUID(bytes_le=kind),
                uuid=uuid.UUID(bytes_le=own),
                offset=first * sector,
                size=(last - first + 1) * sector,
                attributes=attributes,
            )
        )
    return found


def _damaged(blob: Blob, which: str) -> ArtefactError:
    return ArtefactError(f"{blob.name} is corrupt: the {which} copy of its GPT is damaged; make the disk again, or repair it with sgdisk")
