"""Private keys: made, read, written as PKCS#8."""

from enum import StrEnum
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from everest_secure.pki.errors import PkiError
from everest_secure.pki.files import read_bounded
from everest_secure.run import Tools

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

PASSPHRASE_VARIABLE = "EVEREST_SECURE_PASSPHRASE"  # noqa: S105 - the name of a variable, no passphrase
SCRYPT_PARALLELISM = "5"
"""With OpenSSL's N=2^14 and r=8: the strongest of the settings that OWASP holds equal which OpenSSL's 32 MiB limit can still read."""


class KeyType(StrEnum):
    """What a profile may ask for."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"


def generate(key_type: KeyType) -> PrivateKey:
    """Make a new private key; RSA-4096 takes a second or two."""
    family, size = key_type.split("-")
    if family == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=int(size))
    return ec.generate_private_key(ec.SECP256R1() if key_type is KeyType.ECDSA_P256 else ec.SECP384R1())


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """Return the digest that a key signs certificates with: SHA-256, and SHA-384 for P-384 to match its strength (RFC 5480)."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size == 384:
        return hashes.SHA384()
    return hashes.SHA256()


def describe(key: PublicKeyTypes) -> str:
    """Return algorithm and size in the words of a profile, `rsa-4096`; other algorithms by the name of their class."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        known = {"secp256r1": KeyType.ECDSA_P256, "secp384r1": KeyType.ECDSA_P384}
        return str(known.get(key.curve.name, f"ecdsa-{key.curve.name}"))
    return type(key).__name__.removesuffix("PublicKey").lower()


def to_pem(key: PrivateKey) -> bytes:
    """Return a key as unencrypted PKCS#8."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key: PublicKeyTypes) -> bytes:
    """Return a public key as PEM (SubjectPublicKeyInfo)."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def to_encrypted_pem(key: PrivateKey, *, passphrase: str, tools: Tools) -> bytes:
    """Return a key as PKCS#8 encrypted with AES-256 under a key derived by scrypt.

    `openssl` does it because `cryptography` offers PBKDF2 with 2048 rounds only, which a graphics card undoes; key and passphrase reach it by
    a pipe and its environment, never on its command line. Raises ToolError.
    """
    argv = ["openssl", "pkcs8", "-topk8", "-scrypt", "-scrypt_p", SCRYPT_PARALLELISM, "-passout", f"env:{PASSPHRASE_VARIABLE}"]
    return tools.run(argv, env={PASSPHRASE_VARIABLE: passphrase}, stdin=to_pem(key))


def is_encrypted(pem: bytes) -> bool:
    """Whether a PEM private key needs a passphrase."""
    return b"BEGIN ENCRYPTED PRIVATE KEY" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def load(path: Path, *, passphrase: str | None = None) -> PrivateKey:
    """Read a PEM private key; `passphrase` is used only when it is encrypted.

    Raises PkiError when it cannot be read, is no private key, is neither RSA nor ECDSA, or the passphrase is missing or wrong.
    """
    pem = read_bounded(path)
    encrypted = is_encrypted(pem)
    if encrypted and passphrase is None:
        raise PkiError(f"the key {path} is encrypted; give its passphrase with --passphrase-env or --passphrase-fd")
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted and passphrase is not None else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        why = "its passphrase is wrong or it is corrupt" if encrypted else "it is no PEM private key"
        raise PkiError(f"the key {path} cannot be used: {why}; check both and try again") from None
    if not isinstance(key, PrivateKey):
        raise PkiError(f"the key {path} is neither RSA nor ECDSA; use one of {', '.join(KeyType)}")
    return key
