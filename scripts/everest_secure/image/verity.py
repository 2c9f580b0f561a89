"""A file system followed by its dm-verity superblock and hash tree in the same partition, as `veritysetup format --hash-offset` makes it.

The superblock is looked for in the first MiB behind the file system's end (cryptsetup, `lib/verity/verity.c`).
"""

import struct
import uuid
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image import erofs_super, ext4_super, squashfs
from everest_secure.image.artefact import Artefact, open_part, opens
from everest_secure.image.blob import Blob
from everest_secure.image.hashtree import HashTree, VerityResult, hash_tree

SIGNATURE = b"verity\0\0"
_LAYOUT = struct.Struct("<8sII16s32sIIQH6x256s168x")
_SECTOR = 512
_WINDOW = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verity:
    """What a dm-verity superblock says."""

    uuid: uuid.UUID
    hash_offset: int
    """Bytes from the beginning of the partition to the superblock: `hash-offset=` of systemd-veritysetup."""
    tree: HashTree

    def verify_tree(self) -> VerityResult:
        """Hash the whole file system and its tree; raises ArtefactError when it cannot be read."""
        return self.tree.verify()


@opens(order=30)
def open_verity(blob: Blob, depth: int) -> Artefact | None:
    """Open a file system with its verity tree behind it; the file system is the child and has the same name. See `artefact.Opener`."""
    end = _end_of_file_system(blob)
    if end is None:
        return None
    at = _find(blob, end)
    if at is None:
        return None
    facts = read_verity(blob, at)
    return Artefact(name=blob.name, kind="verity", blob=blob, facts=facts, children=(open_part(facts.tree.data, depth + 1),))


def read_verity(blob: Blob, at: int) -> Verity:
    """Return what the superblock at offset `at` says; raises ArtefactError when it cannot be right or the tree is truncated."""
    _, version, kind, own, algorithm, data_size, hash_size, blocks, salt_size, salt = _LAYOUT.unpack(blob.read(at, _LAYOUT.size))
    if version != 1 or kind != 1:
        raise ArtefactError(
            f"{blob.name} has a dm-verity superblock of version {version} and hash type {kind}, only 1 and 1 can be read; build it with veritysetup --format=1"
        )
    if salt_size > len(salt) or blocks * data_size > at or not 512 <= hash_size <= 65536:
        raise ArtefactError(f"{blob.name} is corrupt: its dm-verity superblock is wrong; build or fetch it again")
    first = -(-(at + _LAYOUT.size) // hash_size) * hash_size
    tree = hash_tree(
        blob.slice(0, blocks * data_size, blob.name),
        blob.slice(first, blob.size - first, blob.name),
        algorithm=algorithm.split(b"\0", 1)[0].decode("ascii", "replace"),
        data_block_size=data_size,
        hash_block_size=hash_size,
        salt=salt[:salt_size],
    )
    return Verity(uuid.UUID(bytes=own), at, tree)


def _end_of_file_system(blob: Blob) -> int | None:
    packed = squashfs.read_superblock(blob)
    if packed is not None:
        return packed.bytes_used
    found = erofs_super.read_superblock(blob) or ext4_super.read_superblock(blob)
    return found.size if found else None


def _find(blob: Blob, end: int) -> int | None:
    start = -(-end // _SECTOR) * _SECTOR
    if start >= blob.size:
        return None
    window = blob.read(start, min(_WINDOW, blob.size - start))
    return next((start + at for at in range(0, len(window), _SECTOR) if window[at : at + 8] == SIGNATURE), None)
