"""Private keys by content, whatever their file is called."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from everest_secure.image.blob import Blob

_PEM = re.compile(rb"-----BEGIN (?P<label>(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?)-----(?:\\n|\s)+(?=[A-Za-z0-9+/]{16}|[A-Z][A-Za-z-]+: )")
_PKCS12 = re.compile(rb"\A\x30(?:[\x00-\x7f]|\x81.|\x82..|\x83...|\x80)\x02\x01\x03\x30", re.DOTALL)
_PUTTY = re.compile(rb"\APuTTY-User-Key-File-\d: ")
CHUNK = 1 << 20
OVERLAP = 128


class KeyKind(StrEnum):
    """What form a private key has."""

    PEM = "private key in PEM"
    TPM = "TPM key (TSS2 PRIVATE KEY)"
    OPENPGP = "OpenPGP private key"
    PKCS12 = "PKCS#12 store"
    JKS = "Java key store"
    PUTTY = "PuTTY private key"


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


def pem_keys(content: bytes) -> Iterator[FoundKey]:
    """Yield every PEM private key: a header followed by base64 or header fields, so that a program that only names the header is none."""
    if b"PRIVATE KEY" not in content:
        return
    for found in _PEM.finditer(content):
        label = found["label"].decode("ascii")
        kind = KeyKind.TPM if label == "TSS2 PRIVATE KEY" else KeyKind.OPENPGP if label.startswith("PGP") else KeyKind.PEM
        yield FoundKey(kind, found.start())


def first_piece(blob: Blob) -> bytes:
    """Return what `find_keys` looks at first, for callers that have a use for it too."""
    return blob.head(CHUNK + OVERLAP)


def find_keys(blob: Blob, first: bytes | None = None) -> Iterator[FoundKey]:
    """Scan a whole file in pieces of 1 MiB; a key at a seam is found once. `first` is its first piece, when that is at hand."""
    piece = first_piece(blob) if first is None else first
    found_magic = magic_key(piece[:32])
    if found_magic:
        yield found_magic
        return
    offset, last = 0, -1
    while piece:
        for key in pem_keys(piece):
            if offset + key.offset > last:
                last = offset + key.offset
                yield FoundKey(key.kind, last)
        offset += CHUNK
        piece = blob.read(offset, min(CHUNK + OVERLAP, blob.size - offset)) if offset < blob.size else b""
