"""Files of TPM keys as tpm2-openssl writes them, made without a TPM: what a program reads of one without asking the TPM is all there.

TPMKey ::= SEQUENCE { type, [0] emptyAuth, parent, pubkey, privkey } (draft-bottomley-tpm2-keys); pubkey is a TPM2B_PUBLIC, privkey a TPM2B_PRIVATE
(TPM 2.0 library, part 2, 12.2.5 and 12.3.7).
"""

import os
import struct
from base64 import encodebytes

from cryptography.hazmat.primitives.asymmetric import ec

LOADABLE = bytes.fromhex("0606678105 0a0103".replace(" ", ""))
"""OBJECT IDENTIFIER 2.23.133.10.1.3."""
_ECC, _SHA256, _NULL, _P256 = 0x0023, 0x000B, 0x0010, 0x0003
_SIGNS = 0x00040072
"""fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth; sign."""


def tss_private_key(key: ec.EllipticCurvePublicKey, *, parent: int = 0x40000001) -> str:
    """Return a `TSS2 PRIVATE KEY` in PEM whose public part is `key`, on P-256, and whose private part is noise."""
    assert isinstance(key.curve, ec.SECP256R1)
    point = key.public_numbers()
    unique = b"".join(_sized(number.to_bytes(32)) for number in (point.x, point.y))
    public = struct.pack(">HHI", _ECC, _SHA256, _SIGNS) + _sized(b"") + struct.pack(">HHHH", _NULL, _NULL, _P256, _NULL) + unique
    fields = LOADABLE, _der(0xA0, _der(0x01, b"\xff")), _der(0x02, parent.to_bytes(5).lstrip(b"\0") or b"\0")
    blobs = (_der(0x04, _sized(public)), _der(0x04, _sized(os.urandom(126))))
    text = encodebytes(_der(0x30, b"".join((*fields, *blobs)))).decode().replace("\n", "")
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN TSS2 PRIVATE KEY-----\n{lines}\n-----END TSS2 PRIVATE KEY-----\n"


def _sized(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content
