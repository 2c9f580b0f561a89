"""The decompressors of SquashFS, each bounded to the size that the format allows for a block."""

import lzma
import zlib
from collections.abc import Callable

from everest_secure.errors import ArtefactError

Decompress = Callable[[bytes, int], bytes]
"""`decompress(data, limit)` returns at most `limit` bytes; raises ArtefactError when `data` is corrupt or holds more."""

_UNSUPPORTED = {2: "lzma", 3: "lzo"}


def squashfs_codec(compression: int, name: str) -> Decompress:
    """Return the decompressor for a SquashFS superblock's compression id; raises ArtefactError when there is none."""
    codec = {1: _gzip, 4: _xz, 5: _lz4, 6: _zstd}.get(compression)
    if codec is None:
        what = _UNSUPPORTED.get(compression, f"an unknown method ({compression})")
        raise ArtefactError(f"{name} is a SquashFS compressed with {what}, which cannot be read; build it with zstd, xz, gzip or lz4")

    def decompress(data: bytes, limit: int) -> bytes:
        found = codec(data, limit)
        if found is None or len(found) > limit:
            raise ArtefactError(
                f"{name} is corrupt: a compressed block of its SquashFS cannot be decompressed to at most {limit} bytes; build or fetch it again"
            )
        return found

    return decompress


def _gzip(data: bytes, limit: int) -> bytes | None:
    try:
        stream = zlib.decompressobj()
        found = stream.decompress(data, limit + 1)
    except zlib.error:
        return None
    return found if stream.eof else None


def _xz(data: bytes, limit: int) -> bytes | None:
    try:
        stream = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=64 * 1024 * 1024)
        found = stream.decompress(data, limit + 1)
    except (lzma.LZMAError, MemoryError):
        return None
    return found if stream.eof else None


def _lz4(data: bytes, limit: int) -> bytes | None:
    import lz4.block

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=limit))
    except (lz4.block.LZ4BlockError, ValueError):
        return None


def _zstd(data: bytes, limit: int) -> bytes | None:
    import zstandard

    try:
        size = zstandard.frame_content_size(data)
        if size > limit:
            return None
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=limit)
    except zstandard.ZstdError:
        return None
