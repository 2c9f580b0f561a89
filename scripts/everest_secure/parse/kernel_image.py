"""The configuration inside a kernel image (CONFIG_IKCONFIG): bzImage, Image, EFI zboot, uImage, zImage, vmlinux, compressed or not.

The payload is unpacked before the mark is looked for: a compressed kernel may hold the mark by chance, as zstd leaves what it cannot compress as it is.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import islice

from everest_secure.errors import ArtefactError
from everest_secure.image.blob import Blob
from everest_secure.parse.kconfig import MAX_CONFIG
from everest_secure.parse.unpacking import CHUNK, unpacked

_MARK = b"IKCFG_ST"
"""What kernel/configs.c puts in front of the configuration, which is compressed with gzip."""
_MAX_GZIP = 1024 * 1024
_MAX_WRAPPERS = 3
"""Headers one in the other: a uImage that holds a compressed Image."""
_PACKED = re.compile(rb"\x1f\x8b\x08|\xfd7zXZ\0|\x28\xb5\x2f\xfd|\x02\x21\x4c\x18", re.DOTALL)
_MAX_TRIES = 16
_HEAD = 256 * 1024
"""Bytes of an Arm zImage in which its payload begins."""


def kernel_configuration(blob: Blob) -> bytes | None:
    """Return the configuration that a kernel image or `configs.ko` carries; None when it carries none.

    Raises ArtefactError when the image is damaged.
    """
    damage: ArtefactError | None = None
    for payload in _payloads(blob, _MAX_WRAPPERS):
        try:
            found = _marked(payload)
        except ArtefactError as error:
            damage = error
            continue
        if found is not None:
            return found
    if damage:
        raise damage
    return None


def _payloads(blob: Blob, depth: int) -> Iterator[Iterator[bytes]]:
    """Yield what a kernel image unpacks to, each in pieces; itself when nothing in it is compressed."""
    pieces = unpacked(blob)
    if pieces is not None:
        yield pieces
        return
    inner = [part for part in _wrapped(blob) if part.size] if depth else []
    for part in inner:
        yield from _payloads(part, depth - 1)
    if not inner:
        yield (blob.read(at, min(CHUNK, blob.size - at)) for at in range(0, blob.size, CHUNK))


def _wrapped(blob: Blob) -> Iterator[Blob]:
    """Yield what lies behind a header that is known."""
    head = blob.head(0x260)
    if head[0x202:0x206] == b"HdrS" and len(head) == 0x260:  # Documentation/arch/x86/boot.rst
        setup = ((head[0x1F1] or 4) + 1) * 512
        yield _part(blob, setup + int.from_bytes(head[0x248:0x24C], "little"), int.from_bytes(head[0x24C:0x250], "little"))
    elif head[:2] == b"MZ" and head[4:8] == b"zimg":  # drivers/firmware/efi/libstub/zboot-header.S
        yield _part(blob, int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little"))
    elif head[:4] == b"\x27\x05\x19\x56":  # U-Boot, include/image.h
        yield _part(blob, 64, int.from_bytes(head[12:16], "big"))
    elif head[0x24:0x28] == b"\x18\x28\x6f\x01":  # arch/arm/boot/compressed/head.S: what unpacks it comes first, of no fixed size
        for found in islice(_PACKED.finditer(blob.head(_HEAD)), _MAX_TRIES):
            yield _part(blob, found.start(), blob.size - found.start())


def _part(blob: Blob, at: int, size: int) -> Blob:
    return blob.slice(at, size, f"{blob.name} (payload)")


def _marked(pieces: Iterator[bytes]) -> bytes | None:
    """Return what follows a mark; one that no compressed configuration follows is there by chance."""
    held = b""
    for piece in pieces:
        held += piece
        at = held.find(_MARK)
        while at >= 0:
            held += _more(pieces, at + len(_MARK) + _MAX_GZIP - len(held))
            found = _inflated(held[at + len(_MARK) : at + len(_MARK) + _MAX_GZIP])
            if found is not None:
                return found
            at = held.find(_MARK, at + 1)
        held = held[-len(_MARK) + 1 :]
    return None


def _more(pieces: Iterator[bytes], wanted: int) -> bytes:
    """Return the next bytes, up to the end or to where what follows is damaged: the configuration may be complete before that."""
    found = b""
    try:
        while len(found) < wanted and (piece := next(pieces, b"")):
            found += piece
    except ArtefactError:
        return found
    return found


def _inflated(data: bytes) -> bytes | None:
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(data, MAX_CONFIG)
    except zlib.error:
        return None
    return found if stream.eof and b"CONFIG_" in found else None
