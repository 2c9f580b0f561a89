"""The hash tree of dm-verity (kernel documentation `admin-guide/device-mapper/verity.rst`), hash type 1: the salt goes first.

Every stored digest is compared with the block it stands for, which is what the kernel does block by block when the device is read.
"""

import hashlib
from dataclasses import dataclass

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

ALGORITHMS = ("sha1", "sha224", "sha256", "sha384", "sha512")
MAX_SALT = 256
"""Bytes of salt (dm-verity's superblock has room for no more)."""
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class VerityResult:
    """What the whole tree says of the data."""

    root_hash: bytes
    """Digest of the stored top block."""
    corrupt_blocks: tuple[int, ...]
    """Data blocks whose digest is not the stored one."""
    corrupt_hash_blocks: tuple[int, ...]
    """Blocks of the stored tree, counted from its beginning, whose digest is not the one stored above them."""

    def holds(self, root_hash: bytes) -> bool:
        """Whether a device with this root hash gives every block."""
        return self.root_hash == root_hash and not self.corrupt_blocks and not self.corrupt_hash_blocks


@dataclass(frozen=True, slots=True)
class HashTree:
    """Data and the tree of digests over it."""

    data: Blob
    """The data blocks and nothing else."""
    stored: Blob
    """The tree, top level first."""
    algorithm: str
    data_block_size: int
    hash_block_size: int
    salt: bytes

    @property
    def data_blocks(self) -> int:
        """Number of data blocks."""
        return self.data.size // self.data_block_size

    def verify(self) -> VerityResult:
        """Hash everything, about 0.9 GB/s with SHA-256; raises ArtefactError when the tree has not the size that the data asks for."""
        levels = self._levels()
        corrupt_data: list[int] = []
        corrupt_tree: list[int] = []
        root = self._digests(self.data.head(self.data_block_size), self.data_block_size)
        for depth, (start, count) in enumerate(levels):
            level = self.stored.slice(start * self.hash_block_size, count * self.hash_block_size, self.stored.name)
            if depth == 0:
                root = self._digests(level.read(0, self.hash_block_size), self.hash_block_size)
            if depth + 1 < len(levels):
                below, below_count = levels[depth + 1]
                lower = self.stored.slice(below * self.hash_block_size, below_count * self.hash_block_size, self.stored.name)
                corrupt_tree += [below + index for index in self._compare(lower, self.hash_block_size, level)]
            else:
                corrupt_data = self._compare(self.data, self.data_block_size, level)
        return VerityResult(root[: hashlib.new(self.algorithm).digest_size], tuple(corrupt_data), tuple(corrupt_tree))

    @property
    def blocks(self) -> int:
        """Number of hash blocks that the tree must have."""
        return sum(count for _, count in self._levels())

    @property
    def _stride(self) -> int:
        """Bytes from one digest to the next: its size rounded up to a power of two."""
        return 1 << (hashlib.new(self.algorithm).digest_size - 1).bit_length()

    def _levels(self) -> list[tuple[int, int]]:
        """Return first block and number of blocks of each level, top first; one data block needs none."""
        counts = []
        count = self.data_blocks
        per_block = self.hash_block_size // self._stride
        while count > 1:
            count = -(-count // per_block)
            counts.append(count)
        found, at = [], 0
        for count in reversed(counts):
            found.append((at, count))
            at += count
        return found

    def _digests(self, raw: bytes, block_size: int) -> bytes:
        salted = hashlib.new(self.algorithm, self.salt)
        padding = bytes(self._stride - salted.digest_size)
        found = []
        view = memoryview(raw)
        for at in range(0, len(raw), block_size):
            block = salted.copy()
            block.update(view[at : at + block_size])
            found.append(block.digest() + padding)
        return b"".join(found)

    def _compare(self, blocks: Blob, block_size: int, level: Blob) -> list[int]:
        """Return the indexes of those blocks whose digest is not the one in `level`."""
        per_chunk = max(_CHUNK // block_size, 1)
        total = blocks.size // block_size
        stride = self._stride
        bad = []
        for first in range(0, total, per_chunk):
            count = min(per_chunk, total - first)
            computed = self._digests(blocks.read(first * block_size, count * block_size), block_size)
            stored = level.read(first * stride, count * stride)
            if computed != stored:
                bad += [first + i for i in range(count) if computed[i * stride : (i + 1) * stride] != stored[i * stride : (i + 1) * stride]]
        return bad


def hash_tree(
    data: Blob, stored: Blob, *, algorithm: str = "sha256", data_block_size: int = 4096, hash_block_size: int = 4096, salt: bytes
) -> HashTree:
    """Return the tree of `data`, cut to its size from the beginning of `stored`; raises ArtefactError when the parameters cannot be right."""
    sizes = (data_block_size, hash_block_size)
    if any(not 512 <= size <= 65536 or size & (size - 1) for size in sizes) or len(salt) > MAX_SALT:
        raise ArtefactError(f"{data.name} is corrupt: its dm-verity parameters are impossible; build or fetch it again")
    if algorithm not in ALGORITHMS:
        raise ArtefactError(f"{data.name} uses dm-verity with an algorithm other than {', '.join(ALGORITHMS)}; build it with sha256")
    if not data.size or data.size % data_block_size:
        raise ArtefactError(f"{data.name} is corrupt: its dm-verity data is no whole number of blocks; build or fetch it again")
    whole = HashTree(data, stored, algorithm, data_block_size, hash_block_size, salt)
    return HashTree(
        data,
        stored.slice(0, whole.blocks * hash_block_size, f"hash tree of {data.name}"),
        algorithm,
        data_block_size,
        hash_block_size,
        salt,
    )
