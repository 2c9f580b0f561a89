"""Decompression of kernels and kernel modules piece by piece, in bounded memory."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

CHUNK = 256 * 1024
"""Bytes that are read at once, and that a piece of gzip, xz, lzma and bzip2 has at most."""
MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes that a kernel has at most when it is decompressed."""
_LZ4_BLOCK = 8 * 1024 * 1024
_ZSTD_INPUT = 128
_MEMORY = 160 * 1024 * 1024
"""Bytes of a window, which xz may ask for; zstd has a power of two."""


def unpacked(blob: Blob) -> Iterator[bytes] | None:
    """Return the content of a compressed blob in pieces, none of them empty; None when it is compressed by no method that kernels use.

    What follows the end of the stream is left out. The iteration raises ArtefactError when the stream is damaged or ends early, or is larger than
    a kernel can be.
    """
    head = blob.head(16)
    method = next((method for magic, method in _METHODS if head.startswith(magic)), None)
    return _bounded(method(blob), blob) if method else None


def _bounded(pieces: Iterator[bytes], blob: Blob) -> Iterator[bytes]:
    size = 0
    try:
        for piece in pieces:
            size += len(piece)
            if size > MAX_UNPACKED:
                raise ArtefactError(f"{blob.name} unpacks to more than {MAX_UNPACKED} bytes; it is taken for hostile and not read")
            if piece:
                yield piece
    except (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, MemoryError):
        raise ArtefactError(f"{blob.name} is truncated or corrupt: it cannot be unpacked; build or fetch it again") from None


def _raw(blob: Blob) -> Iterator[bytes]:
    return (blob.read(at, min(CHUNK, blob.size - at)) for at in range(0, blob.size, CHUNK))


def _gzip(blob: Blob) -> Iterator[bytes]:
    stream = zlib.decompressobj(wbits=31)
    for data in _raw(blob):
        yield stream.decompress(data, CHUNK)
        while stream.unconsumed_tail:
            yield stream.decompress(stream.unconsumed_tail, CHUNK)
        if stream.eof:
            return
    raise EOFError


def _until_end(stream: lzma.LZMADecompressor | bz2.BZ2Decompressor, blob: Blob) -> Iterator[bytes]:
    source = _raw(blob)
    while not stream.eof:
        data = next(source, b"") if stream.needs_input else b""
        if stream.needs_input and not data:
            raise EOFError
        yield stream.decompress(data, CHUNK)


def _lz4(blob: Blob) -> Iterator[bytes]:
    """Unpack blocks, each behind its size; the kernel's build appends the unpacked size, which is no block (lib/decompress_unlz4.c)."""
    import lz4.block

    at = 4
    while at + 8 <= blob.size:
        size = int.from_bytes(blob.read(at, 4), "little")
        if not 0 < size <= blob.size - at - 4:
            raise EOFError
        try:
            yield bytes(lz4.block.decompress(blob.read(at + 4, size), uncompressed_size=_LZ4_BLOCK))
        except lz4.block.LZ4BlockError:
            raise EOFError from None
        at += 4 + size


def _zstd(blob: Blob) -> Iterator[bytes]:
    """Unpack one frame; of input it gets little at a time, as nothing else bounds what comes out at once: 128 KiB for 4 bytes."""
    import zstandard

    stream = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    try:
        for data in _raw(blob):
            for at in range(0, len(data), _ZSTD_INPUT):
                yield stream.decompress(data[at : at + _ZSTD_INPUT])
                if stream.eof:
                    return
    except zstandard.ZstdError:
        raise EOFError from None
    raise EOFError


_METHODS: tuple[tuple[bytes, Callable[[Blob], Iterator[bytes]]], ...] = (
    (b"\x1f\x8b\x08", _gzip),
    (b"\xfd7zXZ\0", lambda blob: _until_end(lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY), blob)),
    (b"\x5d\0\0", lambda blob: _until_end(lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MEMORY), blob)),
    (b"BZh", lambda blob: _until_end(bz2.BZ2Decompressor(), blob)),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"\x02\x21\x4c\x18", _lz4),
)
