"""Private keys by content, whatever their file is called."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from everest_secure.image.blob import Blob
from everest_secure.image.streams import deflate_library
from everest_secure.parse.literals import occurrence_of
from everest_secure.parse.pieces import CHUNK, OVERLAP, first_piece, pieces

_TEXT = re.compile(
    rb"-----BEGIN (?P<label>(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----(?:\\n|\s)+(?=[A-Za-z0-9+/]{16}|[A-Z][A-Za-z-]+: )"
    rb"|(?P<openvpn>-----BEGIN OpenVPN (?:Static key V1|tls-crypt-v2 (?:client|server) key)-----)(?:\\n|\s)+(?=[A-Za-z0-9+/]{16})"
    rb"|^[ \t]*(?P<wireguard>PrivateKey|PresharedKey)[ \t]*=[ \t]*[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=[ \t\r]*$",  # wg(8), systemd.netdev(5)
    re.MULTILINE,
)
_PKCS12 = re.compile(rb"\A\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...|\x80)\x02\x01\x03\x30", re.DOTALL)
_PUTTY = re.compile(rb"\APuTTY-User-Key-File-\d: ")
_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..|\x83...)"
_DER = re.compile(
    rb"\A\x30" + _LENGTH + rb"(?:"
    rb"\x02\x01[\x00\x01]\x30" + _LENGTH + rb"\x06"  # PrivateKeyInfo (RFC 5958): version, algorithm
    rb"|\x02\x01\x00\x02(?:\x81.|\x82..)"  # RSAPrivateKey (RFC 8017): version, modulus
    rb"|\x02\x01\x01\x04[\x10-\x42]"  # ECPrivateKey (RFC 5915): version, the number
    rb"|\x30" + _LENGTH + rb"\x06[\x09\x0a]\x2a\x86\x48\x86\xf7\x0d\x01(?:\x05|\x0c\x01)"  # EncryptedPrivateKeyInfo: PKCS#5, PKCS#12
    rb")",
    re.DOTALL,
)
_BINARY = frozenset((b"\xfe", b"\xce", b"\x30", b"P"))
"""First bytes of what `magic_key` and `is_der_key` know."""
_names_a_key = occurrence_of(b"PRIVATE KEY", b"BEGIN OpenVPN", b"PrivateKey", b"PresharedKey")
_GZIP = b"\x1f\x8b\x08"
MAX_INFLATED = 256 << 20
"""Bytes of one compressed file that are looked at."""


class KeyKind(StrEnum):
    """What form a private key has."""

    PEM = "private key in PEM"
    DER = "private key in DER"
    TPM = "TPM key (TSS2 PRIVATE KEY)"
    OPENPGP = "OpenPGP private key"
    PKCS12 = "PKCS#12 store"
    JKS = "Java key store"
    PUTTY = "PuTTY private key"
    OPENVPN = "OpenVPN key"
    WIREGUARD = "WireGuard key"


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A private key inside a file."""

    kind: KeyKind
    offset: int
    """Byte where it starts."""


def magic_key(head: bytes) -> FoundKey | None:
    """Recognise a binary key store by the first 16 bytes: PKCS#12 (PFX version 3), JKS or JCEKS, PuTTY."""
    if head[:4] in (b"\xfe\xed\xfe\xed", b"\xce\xce\xce\xce") and head[4:8] in (b"\0\0\0\1", b"\0\0\0\2"):
        return FoundKey(KeyKind.JKS, 0)
    if _PKCS12.match(head):
        return FoundKey(KeyKind.PKCS12, 0)
    return FoundKey(KeyKind.PUTTY, 0) if _PUTTY.match(head) else None


def is_der_key(head: bytes, size: int) -> bool:
    """Whether a file of `size` bytes that starts with `head` is one private key in DER, encrypted or not; a newline may follow."""
    if not _DER.match(head):
        return False
    count = head[1] & 0x7F if head[1] & 0x80 else 0
    length = int.from_bytes(head[2 : 2 + count]) if count else head[1]
    return size - 2 <= 2 + count + length <= size


def _compressed_keys(blob: Blob) -> Iterator[FoundKey]:
    seen, start, last = b"", 0, -1
    for piece in _inflated(blob):
        window = seen + piece
        for key in text_keys(window):
            if start + key.offset > last:
                last = start + key.offset
                yield FoundKey(key.kind, last)
        start += max(len(window) - OVERLAP, 0)
        seen = window[-OVERLAP:]


def _inflated(blob: Blob) -> Iterator[bytes]:
    """Yield what the members of a gzip file hold (RFC 1952), in pieces of at most `CHUNK` bytes; a damaged file ends where the damage is."""
    library = deflate_library()
    inflater, total = library.decompressobj(wbits=31), 0
    for offset in range(0, blob.size, CHUNK):
        data = blob.read(offset, min(CHUNK, blob.size - offset))
        while data and total < MAX_INFLATED:
            try:
                piece = inflater.decompress(data, CHUNK)
            except library.error:
                return
            total += len(piece)
            yield piece
            data = inflater.unconsumed_tail
            if inflater.eof:
                data, inflater = inflater.unused_data, library.decompressobj(wbits=31)


def text_keys(content: bytes) -> Iterator[FoundKey]:
    """Yield every private key in text: a header followed by base64 or header fields, so that a program that only names the header is none; a setting of WireGuard's."""
    if not _names_a_key(content):
        return
    for found in _TEXT.finditer(content):
        yield FoundKey(_kind(found), found.start())


def _kind(found: re.Match[bytes]) -> KeyKind:
    if found["wireguard"] or found["openvpn"]:
        return KeyKind.WIREGUARD if found["wireguard"] else KeyKind.OPENVPN
    label = found["label"]
    return KeyKind.TPM if label == b"TSS2 PRIVATE KEY" else KeyKind.OPENPGP if label.startswith(b"PGP") else KeyKind.PEM


def find_keys(blob: Blob, first: bytes | None = None) -> Iterator[FoundKey]:
    """Scan a whole file piece by piece; a key at a seam is found once. `first` is its first piece, when that is at hand.

    A file compressed by gzip is scanned as what it holds, up to 256 MiB; offsets count there.
    """
    piece = first_piece(blob) if first is None else first
    if piece[:1] in _BINARY:
        found_magic = magic_key(piece[:32])
        if found_magic:
            yield found_magic
            return
        if is_der_key(piece[:32], blob.size):
            yield FoundKey(KeyKind.DER, 0)
            return
    if piece.startswith(_GZIP):
        yield from _compressed_keys(blob)
        return
    last = -1
    for offset, content in pieces(blob, piece):
        for key in text_keys(content):
            if offset + key.offset > last:
                last = offset + key.offset
                yield FoundKey(key.kind, last)
