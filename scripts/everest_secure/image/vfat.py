"""FAT12, FAT16 and FAT32 with long names (Microsoft FAT specification 1.03), as on an EFI system partition.

FAT keeps no owners and no modes; every node is root's with mode 0755, as Linux shows it by default.
EFI programs, and whatever calls itself one, are opened too: they are the children of the artefact.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_blob, open_part, opens
from everest_secure.image.blob import Blob
from everest_secure.image.cache import Cache
from everest_secure.image.fat_names import LongName, short_name
from everest_secure.image.names import entry_name
from everest_secure.image.tree import Node, NodeType, Tree, printable

_MODE = 0o755
_VOLUME = 0x08
_DIRECTORY = 0x10
_LONG = 0x0F
_MAX_DIRECTORY = 65536 * 32
"""Bytes of a directory's entries."""
_PAGE = 16 * 1024
"""Entries of the allocation table that are read at once; even, as two entries of FAT12 share three bytes."""


class Layout(NamedTuple):
    """What the boot sector says."""

    bits: int
    """12, 16 or 32 bits per entry of the allocation table."""
    cluster_size: int
    clusters: int
    fat: int
    """Offset of the first allocation table."""
    root: int
    """Offset of the root directory of FAT12 and FAT16, its first cluster for FAT32."""
    root_size: int
    """Bytes of the fixed root directory; 0 for FAT32."""
    data: int
    """Offset of cluster 2."""


def read_layout(blob: Blob) -> Layout | None:
    """Return the layout, or None when `blob` holds no FAT; raises ArtefactError when it is truncated."""
    if blob.size < 512:
        return None
    raw = blob.read(0, 512)
    sector, per_cluster, reserved, fats, root_entries, small_total = struct.unpack_from("<HBHBHH", raw, 11)
    (small_fat,) = struct.unpack_from("<H", raw, 22)
    (large_total,) = struct.unpack_from("<I", raw, 32)
    large_fat, _, _, root_cluster = struct.unpack_from("<IHHI", raw, 36)
    fat_size = (small_fat or large_fat) * sector
    total = small_total or large_total
    if (
        raw[510:512] != b"\x55\xaa"
        or raw[0] not in (0xE9, 0xEB)
        or b"FAT" not in (raw[54:57], raw[82:85])
        or sector not in (512, 1024, 2048, 4096)
        or not per_cluster
        or per_cluster & (per_cluster - 1)
        or not reserved
        or fats not in (1, 2)
        or not fat_size
        or not total
    ):
        return None
    root = reserved * sector + fats * fat_size
    root_size = -(-root_entries * 32 // sector) * sector
    data = root + root_size
    cluster_size = per_cluster * sector
    clusters = (total * sector - data) // cluster_size
    if total * sector > blob.size:
        raise ArtefactError(
            f"{blob.name} is truncated: its FAT file system has {total * sector} bytes, {blob.size} are there; build or fetch it again"
        )
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    if clusters < 1 or (bits == 32) != (not small_fat) or (clusters + 2) * bits > fat_size * 8:
        raise ArtefactError(f"{blob.name} is corrupt: the boot sector of its FAT file system is wrong; build or fetch it again")
    return Layout(bits, cluster_size, clusters, reserved * sector, root_cluster if bits == 32 else root, root_size, data)


@opens(order=70)
def open_vfat(blob: Blob, depth: int) -> Artefact | None:
    """Open a FAT file system and the EFI programs on it; see `artefact.Opener`."""
    layout = read_layout(blob)
    if layout is None:
        return None
    tree = VfatTree(blob, layout)
    return Artefact(name=blob.name, kind="vfat", blob=blob, tree=tree, children=tuple(_programs(tree, depth)))


def _programs(tree: Tree, depth: int) -> Iterator[Artefact]:
    for node in tree.nodes():
        if not node.is_file:
            continue
        if node.name.lower().endswith(".efi"):
            yield open_part(tree.blob(node), depth + 1)
        else:
            found = open_blob(tree.blob(node), depth + 1)
            if found is not None:
                yield found


class _File(NamedTuple):
    cluster: int
    size: int


class VfatTree(Tree):
    """A FAT file system in a blob."""

    def __init__(self, blob: Blob, layout: Layout) -> None:
        super().__init__(blob.name, "vfat")
        self._blob = blob
        self._layout = layout
        self._chains: Cache[_File, list[int]] = Cache(8)
        self._pages: Cache[int, tuple[int, ...]] = Cache(16)

    def _scan(self) -> Iterator[tuple[Node, object]]:
        root = self._layout.root if self._layout.bits == 32 else 0
        yield Node("/", NodeType.DIRECTORY, _MODE, 0, 0, 0), None
        todo = [("", root)]
        seen = {root}
        while todo:
            parent, cluster = todo.pop()
            for raw_name, attributes, first, size in self._entries(self._listing(cluster), parent):
                path = f"{parent}/{entry_name(raw_name, self.name)}"
                if attributes & _DIRECTORY:
                    if first in seen:
                        raise self._corrupt(f"the directory {printable(path)}, which is linked twice,")
                    seen.add(first)
                    todo.append((path, first))
                    yield Node(path, NodeType.DIRECTORY, _MODE, 0, 0, 0), None
                    continue
                if size > self._layout.clusters * self._layout.cluster_size:
                    raise self._corrupt(f"the size of {printable(path)}")
                yield Node(path, NodeType.FILE, _MODE, 0, 0, size), _File(first, size)

    def _listing(self, cluster: int) -> bytes:
        layout = self._layout
        if not cluster and layout.bits != 32:
            return self._blob.read(layout.root, layout.root_size)
        chain = list(self._chain(cluster, _MAX_DIRECTORY // layout.cluster_size or 1))
        return self._clusters(chain)

    def _entries(self, listing: bytes, parent: str) -> Iterator[tuple[bytes, int, int, int]]:
        """Yield name, attributes, first cluster and size of each entry."""
        long = LongName()
        for at in range(0, len(listing), 32):
            raw = listing[at : at + 32]
            if raw[0] == 0:
                return
            attributes = raw[11]
            if raw[0] == 0xE5:
                long = LongName()
            elif attributes & 0x3F == _LONG:
                long = long.add(raw)
            else:
                name = long.of(raw) or short_name(raw)
                long = LongName()
                if attributes & _VOLUME or name in (".", ".."):
                    continue
                high, low, size = struct.unpack_from("<H4xHI", raw, 20)
                first = low | (high << 16 if self._layout.bits == 32 else 0)
                if attributes & _DIRECTORY and not first:
                    raise self._corrupt(f"the directory {printable(f'{parent}/{name}')}")
                yield name.encode("utf-8", "surrogatepass"), attributes, first, size

    def _chain(self, cluster: int, limit: int) -> Iterator[int]:
        """Yield at most `limit` clusters of a file; raises ArtefactError when the chain leaves the disk or is longer than a directory may be."""
        end = {12: 0xFF8, 16: 0xFFF8, 32: 0xFFF_FFF8}[self._layout.bits]
        first, page = 0, tuple[int, ...]()
        for _ in range(limit):
            if not 2 <= cluster < self._layout.clusters + 2:
                raise self._corrupt("a cluster chain")
            yield cluster
            if not first <= cluster < first + len(page):
                first = cluster - cluster % _PAGE
                page = self._pages.get(first, partial(self._page, first))
            cluster = page[cluster - first]
            if cluster >= end:
                return

    def _page(self, first: int) -> tuple[int, ...]:
        """Return the entries of the allocation table from cluster `first` on, at most `_PAGE` of them."""
        bits = self._layout.bits
        count = min(_PAGE, self._layout.clusters + 2 - first)
        raw = self._blob.read(self._layout.fat + first * bits // 8, -(-count * bits // 8))
        if bits == 12:
            pairs = (int.from_bytes(raw[at : at + 3], "little") for at in range(0, len(raw), 3))
            return tuple(entry for pair in pairs for entry in (pair & 0xFFF, pair >> 12))
        if bits == 16:
            return struct.unpack(f"<{count}H", raw)
        return tuple(entry & 0x0FFF_FFFF for entry in struct.unpack(f"<{count}I", raw))

    def _clusters(self, chain: Sequence[int]) -> bytes:
        """Return the content of clusters; those that follow one another are read at once."""
        size, runs = self._layout.cluster_size, list[tuple[int, int]]()
        for number in chain:
            if runs and sum(runs[-1]) == number:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((number, 1))
        return b"".join(self._blob.read(self._layout.data + (first - 2) * size, count * size) for first, count in runs)

    def _read(self, handle: object, offset: int, length: int) -> bytes:
        if not isinstance(handle, _File):
            raise TypeError(handle)
        if not length:
            return b""
        size = self._layout.cluster_size
        chain = self._chains.get(handle, lambda: list(self._chain(handle.cluster, -(-handle.size // size))))
        first, last = offset // size, (offset + length - 1) // size
        if last >= len(chain):
            raise self._corrupt("the length of a file")
        found = self._clusters(chain[first : last + 1])
        return found[offset - first * size : offset - first * size + length]

    def _corrupt(self, what: str) -> ArtefactError:
        return ArtefactError(f"{self.name} is corrupt: {what} of its FAT file system is wrong; build or fetch it again")
