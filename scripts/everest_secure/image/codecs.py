"""The decompressors of SquashFS, each bounded to the size that the format allows for a block."""

import lzma
import re
from collections.abc import Callable

from everest_secure.errors import ArtefactError
from everest_secure.image.streams import deflate_library

Decompress = Callable[[bytes, int], bytes]
"""`decompress(data, limit)` returns at most `limit` bytes; raises ArtefactError when `data` is corrupt or holds more."""
Codec = Callable[[bytes, int], bytes | None]
"""The same, but returns None when `data` is corrupt, and may return more than the limit."""
_ZSTD = 6
_MAX_DICTIONARY = 64 * 1024 * 1024
_MAX_LZO = 64 * 1024 * 1024
"""Bytes that an LZO block may seem to hold before it is taken for hostile: its decompressor has no limit."""
_LZO_RUN = re.compile(rb"\0{3,}")
"""In LZO each zero of a run adds 255 to a length; a run among literals would have been a match."""


def squashfs_codec(compression: int, name: str) -> Decompress:
    """Return the decompressor for a SquashFS superblock's compression id; raises ArtefactError when there is none."""
    codec = _zstd() if compression == _ZSTD else _CODECS.get(compression)
    if codec is None:
        raise ArtefactError(
            f"{name} is a SquashFS compressed with an unknown method ({compression}), which cannot be read; build it with zstd, xz, gzip or lz4"
        )

    def decompress(data: bytes, limit: int) -> bytes:
        found = codec(data, limit)
        if found is None or len(found) > limit:
            raise ArtefactError(
                f"{name} is corrupt: a compressed block of its SquashFS cannot be decompressed to at most {limit} bytes; build or fetch it again"
            )
        return found

    return decompress


def _gzip(data: bytes, limit: int) -> bytes | None:
    library = deflate_library()
    try:
        stream = library.decompressobj()
        found: bytes = stream.decompress(data, limit + 1)
    except library.error:
        return None
    return found if stream.eof else None


def _lzma(data: bytes, limit: int) -> bytes | None:
    return _liblzma(lzma.FORMAT_ALONE, data, limit)


def _xz(data: bytes, limit: int) -> bytes | None:
    return _liblzma(lzma.FORMAT_XZ, data, limit)


def _liblzma(form: int, data: bytes, limit: int) -> bytes | None:
    try:
        stream = lzma.LZMADecompressor(format=form, memlimit=_MAX_DICTIONARY)
        found = stream.decompress(data, limit + 1)
    except (lzma.LZMAError, MemoryError):
        return None
    return found if stream.eof else None


def _lzo(data: bytes, limit: int) -> bytes | None:
    from lzallright import LZOCompressor, LZOError

    if 255 * len(data) > _MAX_LZO and 255 * sum(map(len, _LZO_RUN.findall(data))) > _MAX_LZO:
        return None
    try:
        return LZOCompressor.decompress(data, limit)
    except LZOError:
        return None


def _lz4(data: bytes, limit: int) -> bytes | None:
    import lz4.block

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=limit))
    except (lz4.block.LZ4BlockError, ValueError):
        return None


def _zstd() -> Codec:
    import zstandard

    decompressor = zstandard.ZstdDecompressor()

    def decompress(data: bytes, limit: int) -> bytes | None:
        try:
            if zstandard.frame_content_size(data) > limit:
                return None
            return decompressor.decompress(data, max_output_size=limit)
        except zstandard.ZstdError:
            return None

    return decompress


_CODECS: dict[int, Codec] = {1: _gzip, 2: _lzma, 3: _lzo, 4: _xz, 5: _lz4}
OF_LIBLZMA = frozenset({2, 4})
"""Compression ids of SquashFS whose blocks cost most to decompress."""
"""By the number in the superblock."""
