"""What the partitions of every kind of table have in common: where they lie, and that they lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Where a partition lies."""

    number: int
    """From 1, as the kernel counts."""
    offset: int
    """Bytes from the beginning of the disk."""
    size: int
    """Bytes."""


def refuse_overlaps(disk: Blob, partitions: Sequence[Extent]) -> None:
    """Raise ArtefactError when a byte belongs to two partitions."""
    end = 0
    for each in sorted(partitions, key=lambda found: found.offset):
        if each.offset < end:
            raise ArtefactError(f"{disk.name} is corrupt: its partition {each.number} overlaps another; build or fetch it again")
        end = each.offset + each.size
