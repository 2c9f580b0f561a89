"""The decompressors of EROFS, each bounded to the length that the index says."""

import lzma
import zlib
from collections.abc import Callable

from everest_secure.errors import ArtefactError
from everest_secure.image.erofs_clusters import Coding, Extent

_MAX_DECODED = 12 * 1024 * 1024
_MAX_WINDOW = 16 * 1024 * 1024
_LZ4_MORE = 16
"""Literals with which the library is content at the end of a block."""


def decompress(extent: Extent, raw: bytes, *, pads_in_front: bool, name: str) -> bytes:
    """Return the `extent.length` bytes that a physical cluster holds; raises ArtefactError when it holds fewer or is corrupt.

    A cluster is filled up with zeros: in front, where the first byte of none of these codings can be zero, or behind it (LZ4 of old images).
    """
    if pads_in_front:
        raw = raw.lstrip(b"\0")
    if extent.coding == Coding.LZ4 and (extent.partial or not pads_in_front):
        found = _lz4_prefix(raw, extent.length)
    else:
        codec = _CODECS.get(extent.coding)
        if codec is None:
            raise ArtefactError(
                f"{name} is an EROFS compressed with an unknown method ({extent.coding}), which cannot be read; build it with lz4, lzma, deflate or zstd"
            )
        found = codec(raw, extent.length)
    if found is None or len(found) < extent.length:
        raise ArtefactError(
            f"{name} is corrupt: a compressed cluster of its EROFS cannot be decompressed to {extent.length} bytes; build or fetch it again"
        )
    return found[: extent.length]


def _lz4(data: bytes, length: int) -> bytes | None:
    import lz4.block

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=length))
    except (lz4.block.LZ4BlockError, ValueError):
        return None


def _lz4_prefix(data: bytes, limit: int) -> bytes | None:
    """Decompress as many sequences at the beginning of `data` as make `limit` bytes, or all of them (LZ4 block format).

    The library insists on a block that ends with literals. So it is given the sequences before the last, the last one's literals and a few more,
    and the last one's match is copied here.
    """
    at = begin = end = length = offset = match = 0
    while at < len(data):
        literals, begin = _lz4_length(data, at + 1, data[at] >> 4)
        end = begin + literals
        length += literals
        match = 0
        if length >= limit or end >= len(data):
            break
        offset = int.from_bytes(data[end : end + 2], "little")
        match, following = _lz4_length(data, end + 2, data[at] & 15)
        match += 4
        if length + match >= limit or following >= len(data):
            break
        at = following
        length += match
    if length > _MAX_DECODED or match > _MAX_DECODED or end > len(data):
        return None
    found = _lz4(data[:at] + _lz4_literals(data[begin:end] + bytes(_LZ4_MORE)), length + _LZ4_MORE)
    if found is None:
        return None
    found = found[:length]
    if not match:
        return found
    if not 0 < offset <= length:
        return None
    again = found[length - offset :]
    return found + (again * (match // offset + 1))[:match]


def _lz4_literals(literals: bytes) -> bytes:
    """Return literals as a last sequence."""
    more, rest = divmod(len(literals) - 15, 255)
    return b"\xf0" + b"\xff" * more + bytes((rest,)) + literals


def _lz4_length(data: bytes, at: int, length: int) -> tuple[int, int]:
    if length == 15:
        while at < len(data):
            length += data[at]
            at += 1
            if data[at - 1] != 255:
                break
    return length, at


def _lzma(data: bytes, length: int) -> bytes | None:
    """Decompress MicroLZMA (XZ Embedded, `linux/include/linux/xz.h`): LZMA whose first byte, which is always zero, gives way to the inverted properties.

    The dictionary need not be larger than the output, as each cluster stands for itself.
    """
    if not data:
        return None
    header = bytes((~data[0] & 0xFF,)) + max(length, 4096).to_bytes(4, "little") + b"\xff" * 8
    try:
        return lzma.LZMADecompressor(format=lzma.FORMAT_ALONE).decompress(header + b"\0" + data[1:], length)
    except (lzma.LZMAError, MemoryError):
        return None


def _deflate(data: bytes, length: int) -> bytes | None:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, length)
    except zlib.error:
        return None


def _zstd(data: bytes, length: int) -> bytes | None:
    import zstandard

    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).stream_reader(data) as stream:
            return stream.read(length)
    except zstandard.ZstdError:
        return None


_CODECS: dict[int, Callable[[bytes, int], bytes | None]] = {
    Coding.LZ4: _lz4,
    Coding.LZMA: _lzma,
    Coding.DEFLATE: _deflate,
    Coding.ZSTD: _zstd,
}
