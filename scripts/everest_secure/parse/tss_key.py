"""Keys of a TPM in files, `TSS2 PRIVATE KEY`: the public key in one, without the TPM that can use it.

The file is a TPMKey (draft-bottomley-tpm2-keys, section 3.1), which tpm2-openssl writes and reads; its public part is a TPM2B_PUBLIC (TPM 2.0
library, part 2, sections 12.2.4 and 12.2.5).
"""

import re
from base64 import b64decode
from collections.abc import Iterator

from asn1crypto import parser
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from everest_secure.errors import ArtefactError

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
LOADABLE = b"\x67\x81\x05\x0a\x01\x03"
"""Content of the object identifier 2.23.133.10.1.3: a key that is loaded below its parent."""
_UNIVERSAL, _INTEGER, _OCTET_STRING, _OBJECT_IDENTIFIER, _SEQUENCE = 0, 2, 4, 6, 16
_PEM = re.compile(rb"-----BEGIN TSS2 PRIVATE KEY-----\s([A-Za-z0-9+/=\s]{1,20000})-----END TSS2 PRIVATE KEY-----")
_RSA, _ECC, _NULL, _RSAES, _ECDAA = 0x0001, 0x0023, 0x0010, 0x0015, 0x001A
"""TPM_ALG_ID of part 2, table 9."""
_CURVES: dict[int, type[ec.EllipticCurve]] = {0x0003: ec.SECP256R1, 0x0004: ec.SECP384R1, 0x0005: ec.SECP521R1}
_DEFAULT_EXPONENT = 65537


def public_key_of_tss(pem: bytes, where: str) -> PublicKey:
    """Return the public key of the first TPM key in a file; raises ArtefactError when there is none that can be read."""
    try:
        found = _PEM.search(pem)
        if found is None:
            raise ValueError("no TPM key")
        return _public_key(_pubkey(b64decode(found[1])))
    except (ValueError, TypeError):
        raise ArtefactError(f"{where} holds a TPM key that cannot be read; make the key again with everest-tpm") from None


def _elements(der: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield class, tag and content of each element of a SEQUENCE."""
    kind, _, tag, _, content, _ = parser.parse(der, strict=True)
    if (kind, tag) != (_UNIVERSAL, _SEQUENCE):
        raise ValueError("no SEQUENCE")
    while content:
        size = parser.peek(content)
        kind, _, tag, _, inner, _ = parser.parse(content[:size])
        yield kind, tag, inner
        content = content[size:]


def _pubkey(der: bytes) -> bytes:
    """Return the field `pubkey`: type, parent, pubkey and privkey are there, and what is optional is tagged by its context."""
    plain = [(tag, content) for kind, tag, content in _elements(der) if kind == _UNIVERSAL]
    if [tag for tag, _ in plain] != [_OBJECT_IDENTIFIER, _INTEGER, _OCTET_STRING, _OCTET_STRING] or plain[0][1] != LOADABLE:
        raise ValueError("no TPMKey")
    return plain[2][1]


class _Reader:
    """Fields of a TPM structure, most significant byte first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, size: int) -> int:
        return int.from_bytes(self.bytes(size))

    def sized(self) -> bytes:
        """Return a TPM2B: its size in two bytes, then its content."""
        return self.bytes(self.number(2))

    def bytes(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) != size:
            raise ValueError("too short")
        self._at += size
        return found


def _public_key(sized: bytes) -> PublicKey:
    area = _Reader(_Reader(sized).sized())
    kind = area.number(2)
    area.bytes(2 + 4)  # name algorithm, attributes
    area.sized()  # policy
    if area.number(2) != _NULL:  # symmetric algorithm, of parents alone
        area.bytes(2 + 2)
    scheme = area.number(2)
    area.bytes({_NULL: 0, _RSAES: 0, _ECDAA: 4}.get(scheme, 2))
    if kind == _RSA:
        area.bytes(2)  # bits, which the modulus has
        exponent = area.number(4) or _DEFAULT_EXPONENT
        return rsa.RSAPublicNumbers(exponent, int.from_bytes(area.sized())).public_key()
    curve = _CURVES.get(area.number(2))
    if kind != _ECC or curve is None:
        raise ValueError("an unknown kind of key")
    if area.number(2) != _NULL:  # key derivation
        area.bytes(2)
    x, y = int.from_bytes(area.sized()), int.from_bytes(area.sized())
    return ec.EllipticCurvePublicNumbers(x, y, curve()).public_key()
