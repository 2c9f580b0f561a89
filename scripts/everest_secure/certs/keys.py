"""The public key in a file of a private key, wherever the private one lies."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

from everest_secure.image.blob import from_bytes
from everest_secure.parse.private_keys import FoundKey, KeyKind, find_keys
from everest_secure.parse.tss_key import public_key_of_tss


def keys_in(content: bytes, where: str) -> tuple[FoundKey, ...]:
    """Return the private keys in the content of a file, in order."""
    return tuple(find_keys(from_bytes(content, where)))


def public_key_of(content: bytes, key: FoundKey, where: str) -> PublicKeyTypes | None:
    """Return the public key of a private key in a file; None when the file does not tell without a passphrase.

    Raises ArtefactError for a key of the TPM that cannot be read.
    """
    if key.kind is KeyKind.TPM:
        return public_key_of_tss(content[key.offset :], where)
    private = _load(content[key.offset :], key.kind)
    return private.public_key() if private else None


def same_key(one: PublicKeyTypes, other: PublicKeyTypes) -> bool:
    """Whether two public keys are the same."""
    layout = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return one.public_bytes(*layout) == other.public_bytes(*layout)


def _load(content: bytes, kind: KeyKind) -> PrivateKeyTypes | None:
    try:
        if kind is KeyKind.DER:
            return serialization.load_der_private_key(content, password=None)
        return serialization.load_pem_private_key(content, password=None) if kind is KeyKind.PEM else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
