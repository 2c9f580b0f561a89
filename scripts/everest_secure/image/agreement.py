"""Keys that CMS wraps for recipients with an elliptic curve (RFC 5753, section 3.1): agreed by ECDH with a key of the sender's, derived and unwrapped."""

from collections.abc import Iterator

from asn1crypto.cms import KeyAgreeRecipientInfo, KeyEncryptionAlgorithm
from asn1crypto.core import OctetString, Sequence
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

_SCHEMES: dict[str, type[hashes.HashAlgorithm]] = {
    "1.3.133.16.840.63.0.2": hashes.SHA1,
    "1.3.132.1.11.0": hashes.SHA224,
    "1.3.132.1.11.1": hashes.SHA256,
    "1.3.132.1.11.2": hashes.SHA384,
    "1.3.132.1.11.3": hashes.SHA512,
}
"""dhSinglePass-stdDH with X9.63's derivation by each digest (RFC 5753, section 7.1.4); SHA-1, which only derives a key here, is openssl's own choice."""
MAX_KEYS = 16
"""Keys that are tried of those that one sender's key wraps; openssl, and so rauc, makes a sender's key for each recipient."""
_WRAPS = {"aes128_wrap": 16, "aes192_wrap": 24, "aes256_wrap": 32}


class _SharedInfo(Sequence):  # type: ignore[misc] # asn1crypto has no types
    """ECC-CMS-SharedInfo, from which the key that unwraps is derived besides (RFC 5753, section 7.2)."""

    _fields = [  # noqa: RUF012 - as asn1crypto wants it
        ("keyInfo", KeyEncryptionAlgorithm),
        ("entityUInfo", OctetString, {"explicit": 0, "optional": True}),
        ("suppPubInfo", OctetString, {"explicit": 2}),
    ]


def agreed_keys(info: KeyAgreeRecipientInfo, key: ec.EllipticCurvePrivateKey) -> Iterator[bytes]:
    """Yield what is wrapped for a key; nothing where all is wrapped for others, or in a way that is not known.

    Raises the errors of asn1crypto when it is damaged.
    """
    scheme = info["key_encryption_algorithm"]
    digest = _SCHEMES.get(scheme["algorithm"].dotted)
    if digest is None or info["originator"].name != "originator_key":
        return
    wrap = scheme["parameters"].parse(KeyEncryptionAlgorithm)
    size = _WRAPS.get(wrap["algorithm"].native)
    if size is None:
        return
    shared = _SharedInfo({"keyInfo": wrap, "entityUInfo": info["ukm"].native, "suppPubInfo": (size * 8).to_bytes(4)})
    try:
        sender = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, bytes(info["originator"].chosen["public_key"].native))
    except ValueError:
        return  # a point of another curve
    derived = X963KDF(digest(), size, shared.dump()).derive(key.exchange(ec.ECDH(), sender))
    for each in list(info["recipient_encrypted_keys"])[:MAX_KEYS]:
        try:
            yield aes_key_unwrap(derived, bytes(each["encrypted_key"].native))
        except (InvalidUnwrap, ValueError):
            continue
