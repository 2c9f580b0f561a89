"""Compressed streams, member by member as their own programs decompress them, and bounded: gzip, xz, LZMA, Zstandard, bzip2, and LZ4, in frames and in the legacy form that Linux reads."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import Protocol

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob

MAGIC = {
    b"\x1f\x8b\x08": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x04\x22\x4d\x18": "lz4-frame",
}
"""Methods by the first bytes of a stream."""
MAX_SIZE = 64 * 1024**3
"""Bytes of what is decompressed."""
MAX_RATIO = 1000
"""How many times larger than its stream it may be, beyond the first `FREE` bytes; a disk that is mostly empty comes to some hundreds."""
FREE = 256 * 1024 * 1024
_READ = 256 * 1024
_CHUNK = 1024 * 1024
_MEMORY = 128 * 1024 * 1024
"""Memory that a decompressor may take: what `zstd` allows without `--long`, and more than `xz -9` needs."""
_LEAST_DICTIONARY = 4096
_NOT_KNOWN = (1 << 64) - 1
"""Size of the content of LZMA alone that ends with a marker."""
_MAX_FRAMES = 1_000_000
_LZ4_MAGIC = 0x184C2102
_LZ4_BLOCK = 8 * 1024 * 1024
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


class _Damaged(Exception):
    """A stream that its decompressor does not accept."""


class _Decompressor(Protocol):
    """What zlib, lzma and bz2 have in common, as far as `_members` asks."""

    @property
    def eof(self) -> bool:
        """Whether the member is complete."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the member."""

    def step(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return what comes of more input, at most `_CHUNK` bytes, and the input for the next step; None when more must be read."""


def method_of(blob: Blob) -> str | None:
    """Return how a blob is compressed; None when it is not."""
    head = blob.head(6)
    found = next((method for magic, method in MAGIC.items() if head.startswith(magic)), None)
    if found is None and _is_lzma(blob.head(14)):
        return "lzma"
    return found or ("zstd" if _skips_to_zstd(blob, head) else None)


def _is_lzma(head: bytes) -> bool:
    """Whether this is the header of a stream of LZMA alone, which has no magic number.

    As liblzma's own decoder guesses (`alone_decoder.c`), and with the usual lc, lp and pb: properties, size of the dictionary, 2^n or 2^n + 2^(n-1); size of the content, if
    known less than 256 GiB; the first byte of the range coder, which is zero.
    """
    if len(head) < 14 or head[0] != 0x5D or head[13]:
        return False
    dictionary, size = int.from_bytes(head[1:5], "little"), int.from_bytes(head[5:13], "little")
    return f"{dictionary:b}".rstrip("0") in ("1", "11") and dictionary >= _LEAST_DICTIONARY and (size == _NOT_KNOWN or size < 1 << 38)


def _skips_to_zstd(blob: Blob, head: bytes) -> bool:
    """Whether a first frame that is skipped is followed by one of Zstandard, as pzstd has it, and so OE-Core's archives of SPDX; LZ4 skips the same frames."""
    if int.from_bytes(head[:4], "little") not in _SKIPPABLE or blob.size < 12:
        return False
    at = 8 + int.from_bytes(blob.read(4, 4), "little")
    return at + 4 <= blob.size and MAGIC.get(blob.read(at, 4)) == "zstd"


def beginning(blob: Blob, method: str) -> bytes:
    """Return about the first MiB of the content, without a look at the rest; raises ArtefactError when it is damaged."""
    try:
        return next(_zstd_until(blob, blob.size) if method == "zstd" else _chunks(blob, method), b"")
    except _Damaged:
        raise _refused(blob, method) from None


def decompressed(blob: Blob, method: str) -> Iterator[bytes]:
    """Yield the whole content in chunks of about a MiB.

    Raises ArtefactError when the stream is damaged or truncated, or grows beyond `MAX_SIZE` or `MAX_RATIO`.
    """
    limit = min(MAX_SIZE, FREE + MAX_RATIO * blob.size)
    size = 0
    try:
        for chunk in _chunks(blob, method):
            size += len(chunk)
            if size > limit:
                raise ArtefactError(
                    f"{blob.name} grows to more than {limit} bytes when it is decompressed; it is taken for hostile and not read"
                )
            yield chunk
    except _Damaged:
        raise _refused(blob, method) from None


def _chunks(blob: Blob, method: str) -> Iterator[bytes]:
    return _BLOCKS[method](blob) if method in _BLOCKS else _members(blob, method, _MAKE[method])


def _refused(blob: Blob, method: str) -> ArtefactError:
    return ArtefactError(f"{blob.name} is corrupt or truncated: its {method} stream cannot be decompressed; build or fetch it again")


class _Deflate:
    """A member of gzip (RFC 1952)."""

    def __init__(self) -> None:
        library = deflate_library()
        self._stream = library.decompressobj(wbits=31)
        self._error: type[Exception] = library.error

    @property
    def eof(self) -> bool:
        return bool(self._stream.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data)

    def step(self, data: bytes) -> tuple[bytes, bytes | None]:
        try:
            found = self._stream.decompress(data, _CHUNK)
        except self._error as error:
            raise _Damaged from error
        rest = self._stream.unconsumed_tail
        return found, rest if rest or len(found) == _CHUNK else None


@cache
def deflate_library() -> ModuleType:
    """Return ISA-L, which is twice as fast, where there is a package of it, else zlib; both have the same functions."""
    try:
        from isal import isal_zlib
    except ImportError:  # no wheel for this processor
        return zlib
    return isal_zlib


class _Stream(Protocol):
    """What the decompressors of lzma, bz2 and lz4 have in common."""

    @property
    def eof(self) -> bool:
        """Whether the member is complete."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the member."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing is left of the input."""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Return what comes of more input."""


class _Standard:
    """A member of xz, LZMA, bzip2 or LZ4."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return bytes(self._stream.unused_data or b"")

    def step(self, data: bytes) -> tuple[bytes, bytes | None]:
        try:
            found = self._stream.decompress(data, _CHUNK)
        except (lzma.LZMAError, OSError, EOFError, MemoryError, RuntimeError) as error:  # the last is lz4's
            raise _Damaged from error
        return found, None if self._stream.needs_input else b""


def _lz4_frame() -> _Standard:
    import lz4.frame

    return _Standard(lz4.frame.LZ4FrameDecompressor())


_MAKE: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Deflate,
    "lz4-frame": _lz4_frame,
    "lzma": lambda: _Standard(lzma.LZMADecompressor(format=lzma.FORMAT_ALONE, memlimit=_MEMORY)),
    "xz": lambda: _Standard(lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)),
    "bzip2": lambda: _Standard(bz2.BZ2Decompressor()),
}


def _members(blob: Blob, method: str, make: Callable[[], _Decompressor]) -> Iterator[bytes]:
    """Yield the content of one member after the other; zeros behind the last are padding, anything else is not."""
    at, buffered = 0, b""
    for _ in range(_MAX_FRAMES):
        stream = make()
        data: bytes | None = buffered
        while not stream.eof:
            if data is None or (not data and at == 0):
                length = min(_READ, blob.size - at)
                if not length:
                    raise _Damaged
                data, at = blob.read(at, length), at + length
            found, data = stream.step(data)
            if found:
                yield found
        buffered, at = _behind_padding(blob, stream.unused_data, at)
        if not buffered:
            return
        if len(buffered) < 6:
            length = min(_READ, blob.size - at)
            buffered, at = buffered + blob.read(at, length), at + length
        if not any(buffered.startswith(magic) and kind == method for magic, kind in MAGIC.items()):
            raise _Damaged
    raise _Damaged


def _behind_padding(blob: Blob, data: bytes, at: int) -> tuple[bytes, int]:
    """Skip zeros; return what is left of `data`, or of what follows it, and where to read on."""
    while True:
        data = data.lstrip(b"\0")
        length = min(_READ, blob.size - at)
        if data or not length:
            return data, at
        data, at = blob.read(at, length), at + length


def _zstd(blob: Blob) -> Iterator[bytes]:
    # The library takes a stream that ends early for a whole one, so that its end is looked for first.
    yield from _zstd_until(blob, _zstd_end(blob))


def _zstd_until(blob: Blob, end: int) -> Iterator[bytes]:
    import zstandard

    source = io.BufferedReader(_Raw(blob, end), _READ)
    reader = zstandard.ZstdDecompressor(max_window_size=_MEMORY).stream_reader(source, read_size=_READ, read_across_frames=True)
    try:
        while chunk := reader.read(_CHUNK):
            yield chunk
    except zstandard.ZstdError as error:
        raise _Damaged from error


class _Raw(io.RawIOBase):
    """A blob's first bytes as a file."""

    def __init__(self, blob: Blob, size: int) -> None:
        self._blob, self._size, self._at = blob, size, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]  # any writable buffer comes as a memoryview
        length = min(len(buffer), self._size - self._at)
        buffer[:length] = self._blob.read(self._at, length)
        self._at += length
        return length


def _zstd_end(blob: Blob) -> int:
    """Walk frames and blocks (RFC 8878, 3.1) and return where the last one ends; behind it are zeros."""
    at = 0
    for _ in range(_MAX_FRAMES):
        magic = int.from_bytes(_take(blob, at, 4), "little")
        if magic in _SKIPPABLE:
            at += 8 + int.from_bytes(_take(blob, at + 4, 4), "little")
        elif magic == 0xFD2FB528:
            at = _frame_end(blob, at)
        elif at and not _behind_padding(blob, b"", at)[0]:
            return at
        else:
            raise _Damaged
        if at == blob.size:
            return at
    raise _Damaged


def _frame_end(blob: Blob, at: int) -> int:
    descriptor = _take(blob, at + 4, 1)[0]
    single = bool(descriptor & 0x20)
    content_size = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    at += 5 + (not single) + (0, 1, 2, 4)[descriptor & 3] + content_size
    while True:
        header = int.from_bytes(_take(blob, at, 3), "little")
        kind, size = header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == 1 else size)
        if header & 1:
            at += 4 if descriptor & 4 else 0
            _take(blob, at, 0)
            return at


def _lz4(blob: Blob) -> Iterator[bytes]:
    """Yield block by block: each has its size in front, and all but the last are of 8 MiB (LZ4, `doc/lz4_Frame_format.md`, "Legacy frame")."""
    import lz4.block

    at = 0
    for _ in range(_MAX_FRAMES):
        size = int.from_bytes(_take(blob, at, 4), "little")
        at += 4
        if size == 0 and at > 4:
            if _behind_padding(blob, b"", at)[0]:
                raise _Damaged
            return
        if size != _LZ4_MAGIC:
            try:
                yield bytes(lz4.block.decompress(_take(blob, at, size), uncompressed_size=_LZ4_BLOCK))
            except (lz4.block.LZ4BlockError, ValueError) as error:
                raise _Damaged from error
            at += size
        if at == blob.size:
            return
    raise _Damaged


_BLOCKS: dict[str, Callable[[Blob], Iterator[bytes]]] = {"zstd": _zstd, "lz4": _lz4}


def _take(blob: Blob, at: int, length: int) -> bytes:
    if at + length > blob.size:
        raise _Damaged
    return blob.read(at, length)
